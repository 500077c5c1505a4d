// The structs of HTTP by capability, as the capnp tool understands them, in both directions; and what their rules let through.

import { spawnSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import {
  asksForWebSocket,
  endToEnd,
  headersOf,
  listOf,
  requestHeaders,
  responseHeaders,
} from "../../src/http/headers.js";
import {
  readClose,
  readHandshake,
  readRequest,
  readResponse,
  readText,
  type RequestHead,
  writeClose,
  writeHandshake,
  writeRequest,
  writeResponse,
  writeText,
} from "../../src/http/messages.js";
import { COMMON_NAMES, COMMON_VALUES, METHODS } from "../../src/http/protocol.js";
import { Content } from "../../src/wire/content.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";
import { capnp, schemaPath } from "../schema/capnp-tool.js";
import { WIRE_FACTS } from "../spec/wire-facts.js";
import { missingTool } from "../support/tools.js";

const HEAD: RequestHead = {
  method: "M-SEARCH",
  url: "https://host.test/\u20ac?q",
  headers: [
    ["accept-encoding", "gzip, deflate"],
    ["CONTENT-TYPE", "text/plain"],
    ["X-Own", "gzip, deflate"],
    ["Set-Cookie", "a=1"],
    ["Set-Cookie", "b=2"],
  ],
  size: 2 ** 40,
};

it("numbers methods and headers as the schema does", () => {
  const { enums } = WIRE_FACTS["http.capnp"]!;
  const plain = (names: readonly string[]): string[] =>
    names.map((name) => name.replaceAll("-", "").toLowerCase());
  expect(plain(METHODS)).toEqual(enums!["HttpMethod"]!.names);
  const [, ...names] = plain(enums!["CommonHeaderName"]!.names);
  expect(plain(COMMON_NAMES)).toEqual(["", ...names]);
  expect(COMMON_VALUES).toEqual(["", "gzip, deflate"]);
});

it("reads what it writes", () => {
  const { head, context } = readRequest(writeRequest(HEAD));
  expect(head).toEqual({
    ...HEAD,
    headers: [
      ["Accept-Encoding", "gzip, deflate"],
      ["Content-Type", "text/plain"],
      ["X-Own", "gzip, deflate"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ],
  });
  expect(context).toBe(0);
  const response = { status: 404, statusText: "", headers: [], size: null };
  expect(readResponse(writeResponse(response))).toEqual(response);
  const other = { status: 200, statusText: "Fine", headers: [["Age", ""]] as const, size: 0 };
  expect(readResponse(writeResponse(other))).toEqual(other);
  expect(readHandshake(writeHandshake([["A", "b"]]))).toEqual({ headers: [["A", "b"]], socket: 0 });
  expect(readText(writeText("\u20ac\0"))).toBe("\u20ac\0");
  expect(readClose(writeClose(4999, "why"))).toEqual({ code: 4999, reason: "why" });
});

it("shows bytes of a header that are no Latin-1 as bytes, as HTTP does", () => {
  const list = [
    ["X", "caf\u00e9"],
    ["Y", "\u20ac"],
  ] as const;
  const { headers } = readHandshake(writeHandshake(list));
  expect(headers).toEqual([
    ["X", "caf\u00e9"],
    ["Y", "\u00e2\u0082\u00ac"],
  ]);
  expect(new TextDecoder().decode(Uint8Array.from(headers[1]![1], (c) => c.charCodeAt(0)))).toBe(
    "\u20ac",
  );
});

it("writes nothing that would be another header", () => {
  for (const header of [
    ["a b", "c"],
    ["", "c"],
    ["a", "b\nc: d"],
    ["a", "b\r"],
    ["a\0", ""],
  ] as const)
    expect(() => writeHandshake([header]), JSON.stringify(header)).toThrow("is no header");
  expect(() => writeRequest({ ...HEAD, method: "get" })).toThrow("no number");
});

it("reads nothing that would be another header", () => {
  const builder = new ContentBuilder();
  const read = (name: string, value: string): unknown => {
    const struct = builder.root(0, 2).structs(0, 1, 2, 1)[0]!;
    struct.u16(8, 1);
    const pair = struct.struct(0, 0, 2);
    pair.text(0, name);
    pair.text(1, value);
    return readHandshake(builder.finish()).headers;
  };
  expect(read("X", "a b")).toEqual([["X", "a b"]]);
  for (const value of ["a\r\nSet-Cookie: b", "a\nb", "a\rb", "a\0b"])
    expect(() => read("X", value), JSON.stringify(value)).toThrow("line break");
  for (const name of ["", "X Y", "X:", "X\r\nY"])
    expect(() => read(name, "a"), JSON.stringify(name)).toThrow("no header's name");
});

it("keeps what is of one connection out of what goes on", () => {
  const list = [
    ["Connection", "X-A, upgrade"],
    ["x-a", "1"],
    ["Keep-Alive", "1"],
    ["TE", "trailers"],
    ["Upgrade", "h2c"],
    ["Content-Length", "5"],
    ["X-B", "2"],
  ] as const;
  expect(endToEnd(list)).toEqual([
    ["Content-Length", "5"],
    ["X-B", "2"],
  ]);
  expect(requestHeaders(list, false)).toEqual([["X-B", "2"]]);
  expect(requestHeaders(list, true)).toEqual([
    ["X-B", "2"],
    ["Upgrade", "websocket"],
  ]);
  expect(responseHeaders(list, true)).toEqual([["X-B", "2"]]);
  expect(responseHeaders(list, false)).toEqual([
    ["Content-Length", "5"],
    ["X-B", "2"],
  ]);
  expect(asksForWebSocket("GET", [["UPGRADE", " WebSocket "]])).toBe(true);
  expect(asksForWebSocket("POST", [["Upgrade", "websocket"]])).toBe(false);
  expect(asksForWebSocket("GET", [["Upgrade", "h2c"]])).toBe(false);
  const cookies = [
    ["set-cookie", "a=1, b"],
    ["set-cookie", "c"],
  ] as const;
  expect(listOf(headersOf([["x", "1"], ["X", "2"], ...cookies]))).toEqual([
    ["x", "1, 2"],
    ...cookies,
  ]);
});

describe.skipIf(missingTool("capnp"))("beside the capnp tool", () => {
  /** A message of one segment. */
  const framed = (content: Content): Uint8Array => {
    const { bytes } = content.flat();
    const frame = new Uint8Array(8 + bytes.length);
    new DataView(frame.buffer).setUint32(4, bytes.length / 8, true);
    frame.set(bytes, 8);
    return frame;
  };

  it("is read", () => {
    const request = StructReader.of(writeRequest(HEAD).own()).any(0);
    const text = capnp(["decode", schemaPath("http.capnp"), "HttpRequest"], framed(request));
    expect(
      text
        .replace(/\s+/g, " ")
        .replace(/(?<=[[(]) | (?=[\])])/g, "")
        .trim(),
    ).toBe(
      '(method = msearch, url = "https://host.test/\u20ac?q", headers = [' +
        "(common = (name = acceptEncoding, commonValue = gzipDeflate)), " +
        '(common = (name = contentType, value = "text/plain")), ' +
        '(uncommon = (name = "X-Own", value = "gzip, deflate")), ' +
        '(common = (name = setCookie, value = "a=1")), ' +
        '(common = (name = setCookie, value = "b=2"))], ' +
        `bodySize = (fixed = ${2 ** 40}))`,
    );
  });

  it("reads", () => {
    const text =
      '(statusCode = 206, statusText = "Part", bodySize = (fixed = 7), headers = [' +
      '(uncommon = (name = "Content-Type", value = "a")), (common = (name = etag, value = "b")), ' +
      "(common = (name = acceptEncoding, commonValue = gzipDeflate))])";
    const tool = spawnSync("capnp", ["encode", schemaPath("http.capnp"), "HttpResponse"], {
      input: text,
    });
    expect(tool.stderr.toString()).toBe("");
    const builder = new ContentBuilder();
    builder.root(0, 1).any(0, new Content(new Uint8Array(tool.stdout.subarray(8))), null);
    expect(readResponse(builder.finish())).toEqual({
      status: 206,
      statusText: "Part",
      headers: [
        ["Content-Type", "a"],
        ["ETag", "b"],
        ["Accept-Encoding", "gzip, deflate"],
      ],
      size: 7,
    });
  });
});
