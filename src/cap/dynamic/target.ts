// Role: the class that makes an object callable from afar, and the rule of which of its members are.
// State: per object, what it is served as, for the layer above. Must not know: calls, the wire.

import { RpcError } from "../../base/errors.js";

const BRAND = Symbol.for("capstan.RpcTarget");

// What the class lets out of its private part.
let servedIn: (target: object) => { readonly as: object | undefined } | undefined;
let serveIn: (target: object, as: object | undefined) => boolean;

/**
 * The base of classes whose objects go by reference: passed in a call or returned from one, the other side gets an
 * {@link RpcStub} of it. Its methods, and its getters, can be reached there. Its own properties, its `#private` members,
 * and what every object has from `Object.prototype` cannot, whatever the other side asks for.
 *
 * If the object has a `[Symbol.dispose]` method, that is called when the last stub of it is disposed. Passing it again
 * after that makes it known anew.
 *
 * @example
 * class Counter extends RpcTarget {
 *   #count = 0;
 *   increment(by = 1): number { return (this.#count += by); }
 * }
 * Source: the classes of Workers RPC; C-LOC-09.
 */
export class RpcTarget {
  /** In the object itself: there may be a hundred thousand of them, and a place in a table costs four times as much. */
  #served: object | undefined = undefined;

  static {
    servedIn = (target) => (#served in target ? { as: target.#served } : undefined);
    serveIn = (target, as) => {
      if (!(#served in target)) return false;
      target.#served = as;
      return true;
    };
  }

  get [BRAND](): true {
    return true;
  }
}

/** What functions are served as, and targets of another copy of this library. */
const servedOthers = /* @__PURE__ */ new WeakMap<object, object>();

/** What `target` was last said to be served as by {@link noteServed}; nobody else can see that. */
export function servedAs(target: object): object | undefined {
  const found = servedIn(target);
  return found === undefined ? servedOthers.get(target) : found.as;
}

/** @param as undefined when it is served no more. */
export function noteServed(target: object, as: object | undefined): void {
  if (serveIn(target, as)) return;
  if (as === undefined) servedOthers.delete(target);
  else servedOthers.set(target, as);
}

/** Whether `value` is an {@link RpcTarget}, also of another copy of this library. */
export function isTarget(value: unknown): value is RpcTarget {
  return typeof value === "object" && value !== null && BRAND in value;
}

/**
 * Makes `object`, of whatever class, a target whose class's members can be reached, but for the names in `hidden`.
 *
 * @throws TypeError when the object is frozen.
 */
export function makeTarget(object: object, hidden: ReadonlySet<string>): void {
  Object.defineProperty(object, BRAND, { value: hidden });
}

/** Names that mean something to the language on every object, or that make an object a promise. Never members. */
const RESERVED: ReadonlySet<string> = /* @__PURE__ */ new Set([
  "constructor",
  "__proto__",
  "__defineGetter__",
  "__defineSetter__",
  "__lookupGetter__",
  "__lookupSetter__",
  "hasOwnProperty",
  "isPrototypeOf",
  "propertyIsEnumerable",
  "toLocaleString",
  "toString",
  "valueOf",
  "prototype",
  "then",
]);

/** Whether `name` can never be a member of anything, here or at the other side. */
export function isReserved(name: string): boolean {
  return RESERVED.has(name);
}

/**
 * Member `name` of `owner`, as the other side may see it. Runs a getter of the class, if it is one.
 *
 * Of a target: what its classes define, below RpcTarget. Of a plain object or an array: its own properties. Nothing else
 * has members.
 *
 * @returns undefined when a plain object or an array has none of that name.
 * @throws RpcError method-unimplemented when there is none, or none that may be seen; whatever a getter throws.
 */
export function memberOf(owner: unknown, name: string): unknown {
  if (typeof owner === "object" && owner !== null && !RESERVED.has(name)) {
    if (BRAND in owner) return memberOfTarget(owner, name);
    const proto: unknown = Object.getPrototypeOf(owner);
    if (proto === Object.prototype || proto === null || Array.isArray(owner))
      return Object.hasOwn(owner, name) ? (owner as Record<string, unknown>)[name] : undefined;
  }
  throw noMember(owner, name);
}

function memberOfTarget(target: object, name: string): unknown {
  const brand = (target as { [BRAND]?: unknown })[BRAND];
  if (brand instanceof Set && brand.has(name)) throw noMember(target, name);
  let at = Object.getPrototypeOf(target) as object | null;
  for (; !isBase(at); at = Object.getPrototypeOf(at) as object | null) {
    const found = Object.getOwnPropertyDescriptor(at, name);
    if (found === undefined) continue;
    if (found.get !== undefined) return Reflect.apply(found.get, target, []);
    return found.value;
  }
  throw noMember(target, name);
}

/** Whether what classes define for callers ends here. */
function isBase(prototype: object | null): prototype is null {
  return prototype === null || prototype === Object.prototype || Object.hasOwn(prototype, BRAND);
}

/** Says what would help a caller, and nothing of what the object keeps to itself. */
export function noMember(owner: unknown, name: string): RpcError {
  const hint = isTarget(owner)
    ? "methods and getters of its class are"
    : "own properties of plain objects and arrays are";
  const message = `there is no member "${name}" that can be reached from afar: ${hint}`;
  return new RpcError("unimplemented", "method-unimplemented", message);
}
