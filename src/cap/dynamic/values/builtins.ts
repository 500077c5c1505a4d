// Role: how the standard kinds of objects are read, whatever realm made them.
// State: none. Must not know: bytes, paths.
//
// What an object is, its internal slots say, not its prototype or its tag: each reader goes through an intrinsic that
// throws when the slot is not there, as with a proxy or an object made by hand.

import { readError, standardErrorOf } from "./builtin-errors.js";
import { readHeaders, readRequest, readResponse, readUrl } from "./builtin-web.js";
import { Kind, VIEW_TYPES } from "./kinds.js";
import { DATA_VIEWS, getter, TYPED_ARRAYS } from "./memory.js";
import { Part, ViewPart, type Walker } from "./parts.js";

export type Reader = (walker: Walker, value: object) => Part;

const bufferLength = getter<number>(ArrayBuffer.prototype, "byteLength")!;
const regexpSource = getter<string>(RegExp.prototype, "source")!;
const regexpFlags = getter<string>(RegExp.prototype, "flags")!;
const getTime = Date.prototype.getTime;
const mapForEach = Map.prototype.forEach;
const setForEach = Set.prototype.forEach;

const SHARED = typeof SharedArrayBuffer === "undefined" ? null : SharedArrayBuffer;
const SHARED_WHY =
  "shared memory cannot be shared with another process: send a copy, `new Uint8Array(shared).slice()`";
const FAKE_WHY =
  "it is a proxy, or only looks like what its prototype says: send the object itself";

/** Runs an intrinsic that throws when `value` is not what it seems. */
function slot<T>(walker: Walker, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw walker.refuse(FAKE_WHY, error);
  }
}

/** Reads memory, which may be gone. */
function memory(walker: Walker, read: () => Uint8Array): void {
  try {
    read();
  } catch (error) {
    throw walker.refuse("its memory is gone: it was transferred away, or its buffer shrank", error);
  }
}

const readDate: Reader = (walker, value) =>
  walker.remember(value, new Part(Kind.date, [slot(walker, () => getTime.call(value as Date))]));

const readRegExp: Reader = (walker, value) => {
  const source = slot(walker, () => regexpSource.call(value));
  const part = walker.remember(value, new Part(Kind.regexp, []));
  part.parts.push(walker.child(source, "source"), String(regexpFlags.call(value)));
  return part;
};

const readMap: Reader = (walker, value) => {
  const entries: unknown[] = [];
  const add = (item: unknown, key: unknown): number => entries.push(key, item);
  slot(walker, () => mapForEach.call(value as Map<unknown, unknown>, add));
  const part = walker.remember(value, new Part(Kind.map, []));
  walker.charge(entries.length);
  for (let i = 0; i < entries.length; i += 2) {
    const key = entries[i];
    part.parts.push(walker.child(key, { text: `.keys()[${i / 2}]` }));
    const named = typeof key === "string" || typeof key === "number";
    const text = named ? `.get(${JSON.stringify(key)})` : `.values()[${i / 2}]`;
    part.parts.push(walker.child(entries[i + 1], { text }));
  }
  return part;
};

const readSet: Reader = (walker, value) => {
  const items: unknown[] = [];
  const add = (item: unknown): number => items.push(item);
  slot(walker, () => setForEach.call(value as Set<unknown>, add));
  const part = walker.remember(value, new Part(Kind.set, []));
  walker.charge(items.length);
  for (let i = 0; i < items.length; i++)
    part.parts.push(walker.child(items[i], { text: `.values()[${i}]` }));
  return part;
};

const readBuffer: Reader = (walker, value) => {
  slot(walker, () => bufferLength.call(value));
  memory(walker, () => new Uint8Array(value as ArrayBuffer));
  const part = walker.buffer(value as ArrayBuffer);
  part.held = true;
  return part;
};

const readShared: Reader = (walker) => {
  throw walker.refuse(SHARED_WHY);
};

function viewReader(type: number, alone: boolean): Reader {
  const shape = VIEW_TYPES[type]!.make === DataView ? DATA_VIEWS : TYPED_ARRAYS;
  return (walker, value) => {
    const buffer = slot(walker, () => shape.bufferOf(value));
    if (SHARED !== null && buffer instanceof SHARED) throw walker.refuse(SHARED_WHY);
    memory(walker, () => shape.bytesOf(value));
    const of = alone ? null : walker.buffer(buffer);
    if (of !== null) of.views++;
    return walker.remember(value, new ViewPart(value, shape, type, of));
  };
}

/** Primitives in objects, and how each gives the primitive. */
const BOXES: readonly [object, (this: never) => unknown][] = [
  [Number.prototype, Number.prototype.valueOf],
  [String.prototype, String.prototype.valueOf],
  [Boolean.prototype, Boolean.prototype.valueOf],
  [BigInt.prototype, BigInt.prototype.valueOf],
];

function boxReader(unbox: (this: never) => unknown): Reader {
  return (walker, value) => {
    const primitive = slot(walker, () => unbox.call(value as never));
    return walker.remember(value, new Part(Kind.boxed, [walker.child(primitive, { text: "" })]));
  };
}

const READERS = new Map<object, Reader>([
  [Date.prototype, readDate],
  [RegExp.prototype, readRegExp],
  [Map.prototype, readMap],
  [Set.prototype, readSet],
  [ArrayBuffer.prototype, readBuffer],
]);
if (SHARED !== null) READERS.set(SHARED.prototype, readShared);
for (const [prototype, unbox] of BOXES) READERS.set(prototype, boxReader(unbox));
VIEW_TYPES.forEach(({ make }, type) =>
  READERS.set(make.prototype as object, viewReader(type, false)),
);
/** By the tag that another realm's objects have too, for which the internal slot is then asked. */
const TAGGED = new Map<string, Reader>();
for (const [prototype, reader] of READERS) TAGGED.set(prototype.constructor.name, reader);
READERS.set(URL.prototype, readUrl);
/** For views of a class of its own, such as Node's Buffer, whose memory is often shared with strangers. */
const ALONE = viewReader(
  VIEW_TYPES.findIndex(({ make }) => make === Uint8Array),
  true,
);
/**
 * The classes of fetch, by the tag on their prototypes. They are asked for when there is one to be read: to name
 * them loads them, in Node over a megabyte, and most programs send none.
 */
const FETCH = new Map<unknown, Reader>([
  ["Headers", readHeaders],
  ["Request", readRequest],
  ["Response", readResponse],
]);

/** How an object of a class of fetch is read; undefined when `prototype` is of none. */
function fetchReaderOf(prototype: object): Reader | undefined {
  const tag = (prototype as { [Symbol.toStringTag]?: string })[Symbol.toStringTag];
  const reader = FETCH.get(tag);
  const own = reader && (globalThis as unknown as Classes)[tag!]?.prototype;
  // A program may have put a class of its own there, on top of the platform's.
  return own === prototype || (own && prototype.isPrototypeOf(own)) ? reader : undefined;
}

type Classes = Partial<Record<string, { readonly prototype: object }>>;

/** How an object of this realm is read; undefined when its class is not one that goes by value. */
export function builtinOf(value: object, prototype: object): Reader | undefined {
  const reader = READERS.get(prototype) ?? fetchReaderOf(prototype);
  if (reader !== undefined) return reader;
  const error = standardErrorOf(value);
  if (error !== undefined) return (walker, value) => readError(walker, value, error);
  if (!ArrayBuffer.isView(value)) return undefined;
  return prototype instanceof Uint8Array ? ALONE : undefined;
}

/** The same for what another realm made; "object" and "array" for a plain one. Never for an instance of a class. */
export function brandOf(value: object, prototype: object): Reader | "object" | "array" | undefined {
  const parent = Object.getPrototypeOf(prototype) as object | null;
  const tag = Object.prototype.toString.call(value).slice(8, -1);
  // Object.prototype is the one prototype with these properties and none above it.
  if (parent === null)
    return Object.hasOwn(prototype, "isPrototypeOf") && tag === "Object" ? "object" : undefined;
  // An instance of a class has one more prototype than one of a standard class.
  const top = Object.getPrototypeOf(parent) as object | null;
  if (Array.isArray(value)) return top === null && Array.isArray(prototype) ? "array" : undefined;
  if (ArrayBuffer.isView(value)) {
    const levels = tag === "DataView" ? parent : top;
    const standard = levels !== null && Object.getPrototypeOf(levels) === null;
    return standard ? TAGGED.get(tag) : undefined;
  }
  if (tag === "Error" && !(Symbol.toStringTag in value))
    return (walker, value) => readError(walker, value, "Error");
  return top === null ? TAGGED.get(tag) : undefined;
}
