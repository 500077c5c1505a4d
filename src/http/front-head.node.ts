// Role: the head of a request as Node's HTTP server has parsed it, checked, as the head of a request to a service.
// State: none. Must not know: services, responses.

import { type IncomingMessage, STATUS_CODES } from "node:http";
import type { TLSSocket } from "node:tls";
import { asksForWebSocket, requestHeaders } from "./headers.js";
import type { HeaderList, RequestHead } from "./messages.js";
import { METHODS } from "./protocol.js";

/** What of a request is bounded. */
export interface FrontLimits {
  readonly maxHeaderBytes: number;
  readonly maxBodyBytes: number;
}

/** A request that is not passed on. */
export class Refusal extends Error {
  readonly status: number;

  constructor(status: number) {
    super(STATUS_CODES[status]);
    this.status = status;
  }
}

/** A host with or without a port, and nothing else that could move the path of a URL. */
export const AUTHORITY = /^(?:\[[\da-f:.]+\]|[^\s:/?#@\\[\]]+)(?::\d{1,5})?$/i;

/** @param mayUpgrade whether the connection could become a WebSocket. @throws Refusal. */
export function headOf(
  request: IncomingMessage,
  limits: FrontLimits,
  mayUpgrade: boolean,
): RequestHead {
  const method = request.method ?? "";
  if (!METHODS.includes(method)) throw new Refusal(501);
  const headers = pairsOf(request.rawHeaders);
  let bytes = 0;
  for (const [name, value] of headers) bytes += name.length + value.length + 4;
  if (bytes > limits.maxHeaderBytes) throw new Refusal(431);
  const url = urlOf(request);
  const upgrades = mayUpgrade && asksForWebSocket(method, headers);
  const size = upgrades ? 0 : sizeOf(request);
  if (size !== null && size > limits.maxBodyBytes) throw new Refusal(413);
  const kept = requestHeaders(headers, upgrades).map((header) =>
    // The form of a target that proxies get is allowed to all, and the host in it is the one that counts.
    header[0].toLowerCase() === "host" ? ([header[0], url.host] as const) : header,
  );
  return { method, url: url.href, headers: kept, size };
}

function pairsOf(raw: readonly string[]): HeaderList {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!, raw[2 * i + 1]!] as const);
}

function urlOf({ url = "", headers, rawHeaders, socket }: IncomingMessage): URL {
  const scheme = (socket as Partial<TLSSocket>).encrypted === true ? "https" : "http";
  const host = headers.host ?? "localhost";
  // Of two, a proxy before this may have believed the other.
  const hosts = rawHeaders.filter((name, i) => i % 2 === 0 && name.toLowerCase() === "host");
  if (hosts.length > 1 || !AUTHORITY.test(host)) throw new Refusal(400);
  const text = url.startsWith("/") ? `${scheme}://${host}${url}` : url;
  if (!URL.canParse(text)) throw new Refusal(400);
  const parsed = new URL(text);
  if (!/^https?:$/.test(parsed.protocol) || parsed.username !== "" || parsed.password !== "")
    throw new Refusal(400);
  return parsed;
}

function sizeOf({ headers }: IncomingMessage): number | null {
  if (headers["transfer-encoding"] !== undefined) return null;
  const length = headers["content-length"];
  if (length === undefined) return 0;
  const size = Number(length);
  if (!/^\d+$/.test(length) || !Number.isSafeInteger(size)) throw new Refusal(400);
  return size;
}
