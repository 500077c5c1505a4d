// Role: makes the classes of fetch again.
// State: none. Must not know: bytes, how a body was carried.

import { invalidValue } from "./failures.js";
import { REQUEST_DEFAULTS } from "./kinds.js";
import type { Node, Raiser } from "./raise.js";

function text(raiser: Raiser, part: unknown): string {
  const value = raiser.raise(part);
  if (typeof value !== "string") throw invalidValue("something is no string that must be");
  return value;
}

export function raiseUrl(raiser: Raiser, node: Node): URL {
  if (node.length !== 2) throw invalidValue("a URL has not one part");
  return new URL(text(raiser, node[1]));
}

export function raiseHeaders(raiser: Raiser, node: Node): Headers {
  if (node.length % 2 === 0) throw invalidValue("a header has no value");
  const headers = raiser.number(new Headers());
  for (let i = 1; i < node.length; i += 2)
    headers.append(text(raiser, node[i]), text(raiser, node[i + 1]));
  return headers;
}

export function raiseRequest(raiser: Raiser, node: Node): Request {
  if (node.length < 5 || node.length % 2 === 0) throw invalidValue("a Request lacks a part");
  const url = text(raiser, node[1]);
  const method = text(raiser, node[2]);
  const headers = headersOf(raiser, node[3]);
  const body = bodyOf(raiser, node[4]);
  const init: Record<string, unknown> = { method, headers };
  if (body !== null) Object.assign(init, { body, duplex: "half" });
  for (let i = 5; i < node.length; i += 2) {
    const name = text(raiser, node[i]);
    if (!REQUEST_DEFAULTS.has(name)) throw invalidValue("a Request has a part that none has");
    init[name] = raiser.raise(node[i + 1]);
  }
  return new Request(url, init as RequestInit);
}

export function raiseResponse(raiser: Raiser, node: Node): Response {
  if (node.length !== 5) throw invalidValue("a Response lacks a part");
  const status = node[1];
  if (typeof status !== "number") throw invalidValue("a Response has no status");
  const statusText = text(raiser, node[2]);
  const headers = headersOf(raiser, node[3]);
  return new Response(bodyOf(raiser, node[4]), { status, statusText, headers });
}

function headersOf(raiser: Raiser, part: unknown): Headers {
  const headers = raiser.raise(part);
  if (!(headers instanceof Headers)) throw invalidValue("headers are missing");
  return headers;
}

function bodyOf(raiser: Raiser, part: unknown): ReadableStream | null {
  const body = raiser.raise(part);
  if (body === null || body instanceof ReadableStream) return body;
  throw invalidValue("a body is no stream");
}
