// Role: the numbers of the value format: kinds of nodes, types of views, names of standard errors.
// State: none. Must not know: how a kind is walked, packed or made. docs/js-values.md is the format's text.

/** The first byte of the extended form; MessagePack never uses it, so the rest of a message says which form it is. */
export const EXTENDED = 0xc1;

/** First element of each array in the extended form. The numbers are the format: they are never given anew. */
export const Kind = Object.freeze({
  undefined: 0,
  negativeZero: 1,
  bigint: 2,
  utf16: 3,
  again: 4,
  // From here on nodes are objects: they are numbered, so that `again` can name them.
  array: 5,
  object: 6,
  sparse: 7,
  reference: 8,
  date: 9,
  boxed: 10,
  // From here on nodes cost more than they weigh in bytes.
  map: 11,
  set: 12,
  regexp: 13,
  buffer: 14,
  view: 15,
  error: 16,
  url: 17,
  headers: 18,
  request: 19,
  response: 20,
  registered: 21,
});

/** The lowest kind that is an object. */
export const FIRST_OBJECT = Kind.array;

/** Nodes that one of this kind is charged beyond its items: an empty Map is one byte to send and 200 to hold. */
export function weightOf(kind: number): number {
  return kind >= Kind.map ? 8 : 0;
}

/** Bytes that a buffer may grow by are charged as nodes, shifted by this. */
export const GROWTH_SHIFT = 4;

type ViewConstructor = new (
  buffer: ArrayBuffer,
  byteOffset: number,
  length: number,
) => ArrayBufferView;

export interface ViewType {
  readonly make: ViewConstructor;
  /** Bytes of one element. */
  readonly size: number;
}

/** A view's type is its index here. */
export const VIEW_TYPES: readonly ViewType[] = [
  { make: Int8Array, size: 1 },
  { make: Uint8Array, size: 1 },
  { make: Uint8ClampedArray, size: 1 },
  { make: Int16Array, size: 2 },
  { make: Uint16Array, size: 2 },
  { make: Int32Array, size: 4 },
  { make: Uint32Array, size: 4 },
  { make: Float32Array, size: 4 },
  { make: Float64Array, size: 8 },
  { make: BigInt64Array, size: 8 },
  { make: BigUint64Array, size: 8 },
  { make: DataView, size: 1 },
];

/** The standard classes of errors, by the name that stands for them in the format. */
export const ERRORS: ReadonlyMap<string, new (message?: string) => Error> = new Map([
  ["Error", Error],
  ["EvalError", EvalError],
  ["RangeError", RangeError],
  ["ReferenceError", ReferenceError],
  ["SyntaxError", SyntaxError],
  ["TypeError", TypeError],
  ["URIError", URIError],
]);
export const AGGREGATE_ERROR = "AggregateError";
export const DOM_EXCEPTION = "DOMException";

/** What `new Request` takes for granted; of these only what differs is sent. */
export const REQUEST_DEFAULTS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["redirect", "follow"],
  ["cache", "default"],
  ["credentials", "same-origin"],
  ["integrity", ""],
  ["keepalive", false],
  ["mode", "cors"],
  ["referrerPolicy", ""],
]);
