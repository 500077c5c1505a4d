// Role: makes the host objects of workerd again.
// State: none. Must not know: how an external travels.

import { readDomException, readNativeError } from "./read-errors.js";
import { define, HEAVY, type ValueReader } from "./reader.js";
import type { ExternalKind } from "./contract.js";
import { COMMON_NAMES } from "../../http/protocol.js";
import { FOREIGN_TAGS, HostTag, NEVER_ABORTS } from "./tags.js";

const EXTERNALS = new Map<number, ExternalKind>([
  [HostTag.stub, "stub"],
  [HostTag.writableStream, "writableStream"],
  [HostTag.readableStream, "readableStream"],
  [HostTag.serviceStub, "serviceStub"],
]);

/** What fetch has no place for: it becomes an own property. */
const KEPT = ["cf", "encodeBody", "encodeResponseBody"];

/** A host object, behind the tag that all have. */
export function readHost(reader: ValueReader): unknown {
  const number = reader.pend();
  const tag = reader.uint32();
  const external = EXTERNALS.get(tag);
  if (external !== undefined) return reader.settle(number, reader.source.take(external));
  switch (tag) {
    case HostTag.nativeError:
      return readNativeError(reader, number);
    case HostTag.domException:
    case HostTag.oldDomException:
      return readDomException(reader, number, tag === HostTag.oldDomException);
    case HostTag.headers:
      return reader.settle(number, readHeaders(reader));
    case HostTag.request:
      return reader.settle(number, readRequest(reader));
    case HostTag.response:
      return reader.settle(number, readResponse(reader));
    case HostTag.abortSignal:
      return reader.settle(number, readSignal(reader));
    case HostTag.blob: {
      const type = reader.utf8();
      return reader.settle(number, new Blob([new Uint8Array(reader.sized())], { type }));
    }
    default: {
      const what = FOREIGN_TAGS.get(tag) ?? "an unknown kind of object";
      throw reader.invalid(`${what} (tag ${tag}) means nothing outside of workerd`);
    }
  }
}

function readSignal(reader: ValueReader): unknown {
  const aborted = reader.uint32() !== 0;
  const flag = reader.uint32();
  const reason = reader.value();
  if (aborted) return AbortSignal.abort(reason);
  return flag === NEVER_ABORTS ? new AbortController().signal : reader.source.take("abortSignal");
}

function readHeaders(reader: ValueReader): Headers {
  const headers = new Headers();
  // Who may change them is for whoever sent them to know.
  reader.uint32();
  for (let left = reader.uint32(); left > 0; left--) {
    reader.charge(HEAVY);
    const id = reader.uint32();
    const name = id === 0 ? reader.utf8() : COMMON_NAMES[id];
    if (name === undefined) throw reader.invalid(`there is no header of number ${id}`);
    headers.append(name, reader.utf8());
  }
  return headers;
}

/** What a Request or Response is made with, and what of that has no place in one here. */
interface Init {
  readonly known: Record<string, unknown>;
  readonly kept: Record<string, unknown>;
}

function readInit(reader: ValueReader, names: readonly string[]): Init {
  const init = reader.value();
  if (typeof init !== "object" || init === null) throw reader.invalid("an init is no object");
  const known: Record<string, unknown> = {};
  const kept: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(init)) {
    if (value === undefined || value === null) continue;
    if (names.includes(name)) known[name] = value;
    else if (KEPT.includes(name)) kept[name] = value;
    else throw reader.invalid(`a part ${JSON.stringify(name.slice(0, 100))} has no place here`);
  }
  const { headers } = known;
  if (headers !== undefined && !(headers instanceof Headers))
    throw reader.invalid("headers are something else");
  return { known, kept };
}

function keep<T extends object>(object: T, kept: Record<string, unknown>): T {
  for (const name of Object.keys(kept)) define(object, name, kept[name], true);
  return object;
}

const REQUEST_NAMES = ["method", "headers", "body", "redirect", "cache", "integrity", "signal"];

function readRequest(reader: ValueReader): Request {
  const url = reader.utf8();
  const { known, kept } = readInit(reader, REQUEST_NAMES);
  if ("body" in known) {
    checkBody(reader, known["body"]);
    known["duplex"] = "half";
  }
  for (const name of ["method", "redirect", "cache", "integrity"])
    if (name in known && typeof known[name] !== "string")
      throw reader.invalid(`the ${name} of a Request is no string`);
  if ("signal" in known && !(known["signal"] instanceof AbortSignal))
    throw reader.invalid("the signal of a Request is something else");
  return keep(new Request(url, known), kept);
}

function readResponse(reader: ValueReader): Response {
  const body = reader.value();
  const { known, kept } = readInit(reader, ["status", "statusText", "headers"]);
  if (body !== null) checkBody(reader, body);
  if ("status" in known && typeof known["status"] !== "number")
    throw reader.invalid("the status of a Response is no number");
  if ("statusText" in known && typeof known["statusText"] !== "string")
    throw reader.invalid("the text of a Response's status is no string");
  return keep(new Response(body as ReadableStream | null, known), kept);
}

function checkBody(reader: ValueReader, body: unknown): void {
  if (!(body instanceof ReadableStream)) throw reader.invalid("a body is no stream");
}
