// Role: the structs of HTTP over capabilities on their bytes, and the rules that hold for what stands in them.
// State: none but scratch. Must not know: streams, who serves or asks.
//
// What is read here comes from a stranger, and may go on into an HTTP message: a name that is no token or a value with a line
// break is refused where it is read, and so cannot become a header of its own anywhere behind.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Content } from "../wire/content.js";
import { ContentBuilder, StructReader, type StructBuilder } from "../wire/struct.js";
import { COMMON_NAMES, COMMON_VALUES, METHODS } from "./protocol.js";

/** Headers in their order, a name as often as it has values. Names in any case. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** A request without its body. */
export interface RequestHead {
  /** In upper case, one of {@link METHODS}. */
  readonly method: string;
  readonly url: string;
  readonly headers: HeaderList;
  /** Bytes of its body; 0 for none, null when nobody knows. */
  readonly size: number | null;
}

/** A response without its body. */
export interface ResponseHead {
  readonly status: number;
  /** Empty for the usual one. */
  readonly statusText: string;
  readonly headers: HeaderList;
  /** Bytes of its body; 0 for none, null when nobody knows. */
  readonly size: number | null;
}

const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;
// oxlint-disable-next-line no-control-regex -- these are what is looked for
const BREAKS = /[\0\r\n]/;
// oxlint-disable-next-line no-control-regex -- the bytes of a header
const WIDE = /[^\0-\xff]/;

const nameNumbers: ReadonlyMap<string, number> = /* @__PURE__ */ new Map(
  COMMON_NAMES.map((name, number) => [name.toLowerCase(), number]),
);
const methodNumbers: ReadonlyMap<string, number> = /* @__PURE__ */ new Map(
  METHODS.map((name, number) => [name, number]),
);

const builder = /* @__PURE__ */ new ContentBuilder();

function bad(what: string): RpcError {
  return new RpcError("failed", "invalid-payload", what);
}

/** Params of HttpService.request; the context is number 0 of the table. @throws RpcError invalid-argument. */
export function writeRequest(head: RequestHead): Content {
  const number = methodNumbers.get(head.method);
  if (number === undefined) throw invalidArgument(`the method ${head.method} has no number`);
  const params = builder.root(0, 2);
  const request = params.struct(0, 2, 2);
  request.u16(0, number);
  request.text(0, head.url);
  writeHeaders(request, head.headers);
  writeSize(request, head.size);
  params.capability(1, 0);
  return builder.finish();
}

/** @returns the request, and the index of its context in the table, or -1. @throws RpcError invalid-payload. */
export function readRequest(content: Content): { head: RequestHead; context: number } {
  const params = StructReader.of(content);
  const request = params.struct(0);
  const number = request.u16(0);
  const method = METHODS[number];
  if (method === undefined) throw bad(`there is no method of number ${number}`);
  const head = {
    method,
    url: request.text(0),
    headers: readHeaders(request, 1),
    size: readSize(request),
  };
  return { head, context: params.capability(1) };
}

/** Params of startResponse. @throws RpcError invalid-argument. */
export function writeResponse(head: ResponseHead): Content {
  const response = builder.root(0, 1).struct(0, 2, 2);
  response.u16(0, head.status);
  if (head.statusText !== "") response.text(0, head.statusText);
  writeHeaders(response, head.headers);
  writeSize(response, head.size);
  return builder.finish();
}

/** @throws RpcError invalid-payload. */
export function readResponse(content: Content): ResponseHead {
  const response = StructReader.of(content).struct(0);
  const status = response.u16(0);
  if (status < 200 || status > 599) throw bad(`${status} is no status of a response`);
  const statusText = response.text(0);
  if (BREAKS.test(statusText)) throw bad("a line break in the text of a status");
  return {
    status,
    statusText: byteString(statusText),
    headers: readHeaders(response, 1),
    size: readSize(response),
  };
}

/** Params of startWebSocket; the socket is number 0 of the table. @throws RpcError invalid-argument. */
export function writeHandshake(headers: HeaderList): Content {
  const params = builder.root(0, 2);
  writeHeaderList(params, 0, headers);
  params.capability(1, 0);
  return builder.finish();
}

/** @returns the headers, and the index of the socket in the table, or -1. @throws RpcError invalid-payload. */
export function readHandshake(content: Content): { headers: HeaderList; socket: number } {
  const params = StructReader.of(content);
  return { headers: readHeaders(params, 0), socket: params.capability(1) };
}

/** Params of WebSocket.sendText. */
export function writeText(text: string): Content {
  builder.root(0, 1).text(0, text);
  return builder.finish();
}

export function readText(content: Content): string {
  return StructReader.of(content).text(0);
}

/** Params of WebSocket.close. */
export function writeClose(code: number, reason: string): Content {
  const params = builder.root(1, 1);
  params.u16(0, code);
  params.text(0, reason);
  return builder.finish();
}

export function readClose(content: Content): { code: number; reason: string } {
  const params = StructReader.of(content);
  return { code: params.u16(0), reason: params.text(0) };
}

function writeHeaders(head: StructBuilder, headers: HeaderList): void {
  writeHeaderList(head, 1, headers);
}

function writeHeaderList(into: StructBuilder, index: number, headers: HeaderList): void {
  if (headers.length === 0) return;
  const structs = into.structs(index, headers.length, 2, 1);
  headers.forEach(([name, value], i) => {
    if (!TOKEN.test(name) || BREAKS.test(value))
      throw invalidArgument(`${JSON.stringify(name)} is no header`);
    const struct = structs[i]!;
    const number = nameNumbers.get(name.toLowerCase());
    if (number === undefined) {
      struct.u16(8, 1);
      const uncommon = struct.struct(0, 0, 2);
      uncommon.text(0, name);
      uncommon.text(1, value);
      return;
    }
    struct.u16(0, number);
    const common = COMMON_VALUES.indexOf(value);
    if (common > 0) struct.u16(2, common);
    else {
      struct.u16(4, 1);
      struct.text(0, value);
    }
  });
}

function readHeaders(from: StructReader, index: number): HeaderList {
  // A few bytes may claim to be millions of structs of no size: the first of those is no header.
  const list = from.list(index);
  return Array.from({ length: list.length }, (_, i) => {
    const [name, value] = readHeader(list.at(i));
    if (!TOKEN.test(name)) throw bad(`${JSON.stringify(name.slice(0, 100))} is no header's name`);
    if (BREAKS.test(value)) throw bad(`a line break in the header ${name}`);
    return [name, byteString(value)] as const;
  });
}

function readHeader(struct: StructReader): [name: string, value: string] {
  const tag = struct.u16(8);
  if (tag === 1) {
    const uncommon = struct.struct(0);
    return [uncommon.text(0), uncommon.text(1)];
  }
  const number = struct.u16(0);
  const name = COMMON_NAMES[number];
  if (tag !== 0 || name === undefined || number === 0) throw bad("a header of an unknown kind");
  const form = struct.u16(4);
  if (form === 1) return [name, struct.text(0)];
  const value = form === 0 ? COMMON_VALUES[struct.u16(2)] : undefined;
  if (value === undefined || value === "") throw bad(`a value of an unknown kind for ${name}`);
  return [name, value];
}

/** Headers are bytes, and JavaScript shows each byte as a character: so is what is not Latin-1, as its UTF-8. */
function byteString(text: string): string {
  if (!WIDE.test(text)) return text;
  return Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join("");
}

function writeSize(head: StructBuilder, size: number | null): void {
  if (size === null) return;
  head.u16(2, 1);
  head.u64(8, BigInt(size));
}

function readSize(head: StructReader): number | null {
  const tag = head.u16(2);
  if (tag === 0) return null;
  const size = Number(head.u64(8));
  if (tag !== 1 || !Number.isSafeInteger(size)) throw bad("the size of a body is none");
  return size;
}
