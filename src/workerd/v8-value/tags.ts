// Role: the numbers of V8's serialization format, and of the host objects that workerd puts into it.
// State: none. Must not know: how anything is read or written.
//
// Source: V8's value-serializer.cc and workerd's SerializationTag, checked against what workerd sends (test/workerd/).

import { COMMON_NAMES } from "../../http/protocol.js";

/** The first byte, then the version. */
export const HEADER = 0xff;
export const OLDEST_VERSION = 13;
/** From here on a view has flags. */
export const VERSION_WITH_FLAGS = 14;
/** What is written, and what workerd itself writes. */
export const WRITTEN_VERSION = 15;
/** From here on lengths and offsets of memory may take more than 32 bits. */
export const VERSION_WITH_LONG_SIZES = 16;
export const NEWEST_VERSION = 16;

const code = (character: string): number => character.charCodeAt(0);

export const Tag = /* @__PURE__ */ Object.freeze({
  padding: 0,
  /** A count that means nothing any more. */
  objectCount: code("?"),
  hole: code("-"),
  undefined: code("_"),
  null: code("0"),
  true: code("T"),
  false: code("F"),
  int32: code("I"),
  uint32: code("U"),
  double: code("N"),
  bigint: code("Z"),
  utf8: code("S"),
  oneByte: code('"'),
  twoByte: code("c"),
  reference: code("^"),
  object: code("o"),
  objectEnd: code("{"),
  sparseArray: code("a"),
  sparseArrayEnd: code("@"),
  denseArray: code("A"),
  denseArrayEnd: code("$"),
  date: code("D"),
  trueObject: code("y"),
  falseObject: code("x"),
  numberObject: code("n"),
  bigintObject: code("z"),
  stringObject: code("s"),
  regexp: code("R"),
  map: code(";"),
  mapEnd: code(":"),
  set: code("'"),
  setEnd: code(","),
  buffer: code("B"),
  resizableBuffer: code("~"),
  view: code("V"),
  error: code("r"),
  host: code("\\"),
  transferredBuffer: code("t"),
  sharedBuffer: code("u"),
  sharedObject: code("p"),
  wasmModule: code("w"),
  wasmMemory: code("m"),
});

/** What follows {@link Tag.error}, any of them and then `end`. */
export const ErrorTag = /* @__PURE__ */ Object.freeze({
  message: code("m"),
  cause: code("c"),
  stack: code("s"),
  end: code("."),
});

/** The class of an error, by the byte that stands for it; Error has none. */
export const ERROR_CLASSES: ReadonlyMap<number, string> = /* @__PURE__ */ new Map([
  [code("E"), "EvalError"],
  [code("R"), "RangeError"],
  [code("F"), "ReferenceError"],
  [code("S"), "SyntaxError"],
  [code("T"), "TypeError"],
  [code("U"), "URIError"],
]);

/** The flags of a regular expression, by their bit. Bit 6 is one of V8's own. */
export const REGEXP_FLAGS: readonly string[] = Object.freeze("g i m y u s  d v".split(" "));

/** Flags of a view. */
export const FOLLOWS_LENGTH = 1;
export const OF_RESIZABLE = 2;

/** The byte of each type of views, in the order of VIEW_TYPES in cap/dynamic/values. */
export const VIEW_TAGS: readonly number[] = Object.freeze(Array.from("bBCwWdDfFqQ?", code));
export const FLOAT16_TAG = code("h");

/** What follows {@link Tag.host}: kinds of objects that V8 itself does not know. */
export const HostTag = /* @__PURE__ */ Object.freeze({
  stub: 1,
  writableStream: 2,
  readableStream: 3,
  headers: 4,
  request: 5,
  response: 6,
  oldDomException: 7,
  domException: 8,
  abortSignal: 9,
  nativeError: 10,
  serviceStub: 11,
  blob: 15,
});

/** Kinds that only mean something inside of workerd, in words. */
export const FOREIGN_TAGS: ReadonlyMap<number, string> = /* @__PURE__ */ new Map([
  [12, "a class of Durable Objects"],
  [13, "an R2 bucket"],
  [14, "a KV namespace"],
  [16, "a socket"],
  [17, "a wrapped binding"],
]);

/** What stands for the class of a native error; one of another name is 0, and its name follows. */
export const ERROR_KINDS: readonly string[] = Object.freeze(
  (
    " Error TypeError RangeError ReferenceError SyntaxError WasmCompileError WasmLinkError WasmRuntimeError WasmSuspendError " +
    "EvalError URIError AggregateError SuppressedError"
  ).split(" "),
);

/** An AbortSignal that can never fire. */
export const NEVER_ABORTS = 1;

/** Headers that anybody may change. */
export const UNGUARDED = 3;

/** The number of a header's name in small letters; 0 for those that have none. */
export function commonHeader(name: string): number {
  return commonIds.get(name) ?? 0;
}
const commonIds = /* @__PURE__ */ new Map(
  COMMON_NAMES.map((name, id) => [name.toLowerCase(), id] as const),
);
