// Role: what a user holds as a proxy: a stub, a promise, or a property of one; and the one handler behind all of them.
// State: per place, the places below it that were asked for last. Must not know: how calls are made.

import { checkFunction, invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import type { CallOptions } from "../call-options.js";
import type { Hook, Lifeline } from "../../hook/hook.js";
import { HOLD } from "../../hook/holder.js";
import type { LocalCall } from "../../hook/local.js";
import type { Lane } from "./pressure.js";
import { NO_STEPS } from "./protocol.js";
import { isReserved } from "./target.js";
import type { Terms } from "./terms.js";
import { isWellFormed } from "./values/text.js";

/** Leads from a proxy to its place; known to this layer alone. */
const PLACE: unique symbol = Symbol("capstan.place");

export type OnValue = ((value: unknown) => unknown) | null | undefined;
export type OnError = ((reason: unknown) => unknown) | null | undefined;

/** Below one place, so many names are remembered; a program that makes up names must not fill the memory. */
const REMEMBERED = 32;

/** Prototypes that proxies claim to have, for `instanceof`. Filled in by the file that has the classes. */
export const prototypes: { stub: object; promise: object } = { stub: Object, promise: Object };

/** Writes down what is called, instead of calling it: while a callback of `map` runs. */
export interface Recorder {
  step(root: Root, path: readonly string[], args: readonly unknown[] | null): object;
  map(root: Root, path: readonly string[], callback: Mapper): object;
}

export type Mapper = (element: object) => unknown;

let recorder: Recorder | null = null;

/** Runs `callback` with `by` at work. */
export function recordWith<T>(by: Recorder, callback: () => T): T {
  const before = recorder;
  recorder = by;
  try {
    return callback();
  } finally {
    recorder = before;
  }
}

/** A reference, or a property path into one. */
export abstract class Place {
  abstract readonly root: Root;
  abstract readonly path: readonly string[];
  abstract readonly options: CallOptions | undefined;
  /** Most places have none below them, and there may be a hundred thousand. */
  private below: Below | null = null;

  /** Whether it is awaited like a promise. */
  abstract readonly isPromise: boolean;

  /** Told when its `then` is read: whoever reads that is about to wait for the value. */
  awaited(): void {}

  abstract then(onValue: OnValue, onError: OnError): Promise<unknown>;
  abstract dispose(): void;
  abstract dup(): object;

  call(args: readonly unknown[]): object {
    if (recorder !== null) return recorder.step(this.root, this.path, args);
    try {
      return this.root.start(this.path, args, this.options);
    } catch (thrown) {
      throw unmade(thrown, this.path);
    }
  }

  map(callback: Mapper): object {
    if (recorder !== null) return recorder.map(this.root, this.path, callback);
    return this.root.startMap(this.path, callback, this.options);
  }

  /** The place of property `name`: the same object each time, as long as it is remembered. Undefined for what is no member. */
  child(name: string): object | undefined {
    const { below } = this;
    if (below !== null && below.name === name) return below.last;
    // A path is UTF-8: another member would be meant by a name that is not well formed.
    if (isReserved(name) || !isWellFormed(name)) return undefined;
    let child = below?.others?.get(name);
    if (child === undefined) {
      child = proxyOf(new Property(this.root, [...this.path, name], this.options));
      if (below === null) {
        this.below = { name, last: child, others: null };
        return child;
      }
      below.others ??= new Map();
      if (below.others.size < REMEMBERED) below.others.set(below.name, below.last);
    }
    below!.name = name;
    below!.last = child;
    return child;
  }
}

/** What is thrown where a call is written that cannot be made. */
function unmade(thrown: unknown, path: readonly string[]): unknown {
  if (!RpcError.is(thrown)) return thrown;
  thrown.delivery ??= "not-sent";
  return path.length === 0 ? thrown : thrown.calling(path.join("."));
}

/** The places below one: that which was asked for last, and others. */
interface Below {
  name: string;
  last: object;
  others: Map<string, object> | null;
}

/** What a call is beside its arguments. */
export interface Relayed {
  readonly timeout: number;
  readonly map?: object | undefined;
}

/** What is held, and disposed: a stub or a promise. */
export abstract class Root extends Place {
  get root(): this {
    return this;
  }

  get path(): readonly string[] {
    return NO_STEPS;
  }

  get options(): undefined {
    return undefined;
  }

  /** Where calls on it count. */
  abstract readonly lane: Lane;

  /** What its capability depends on, as far as is known by now. */
  abstract readonly lifeline: Lifeline | null;

  /** Of what goes through it, and comes. */
  abstract readonly terms: Terms;

  /**
   * Where what it stands for has another interface than Object: passes a call on by values, `request` by what it is asked for
   * otherwise than by arguments. Undefined where it has that interface.
   */
  declare readonly relay?: (
    path: readonly string[],
    args: readonly unknown[],
    call: LocalCall,
    request: Relayed,
  ) => object;

  /** Throws where it stands for nothing that can be sent, though it is told by `path` in a value. */
  checkSendable?(path: string): never;

  /** Calls what is at `path`, or with null arguments asks for it. @returns a promise, as users hold it. */
  abstract start(
    path: readonly string[],
    args: readonly unknown[] | null,
    options: CallOptions | undefined,
  ): object;

  /** Has `callback` run for each element of the list at `path`, at the other side. */
  abstract startMap(
    path: readonly string[],
    callback: Mapper,
    options: CallOptions | undefined,
  ): object;

  /** What `fetch` is, where it is none of the object's methods; undefined where it is. */
  fetcher(): object | undefined {
    return undefined;
  }

  /** Told when `then` of a property is read: the property is asked for in a moment, by a call on this. */
  memberAwaited(): void {}

  /** A reference to what it stands for, which the caller owns. @param give this is disposed. */
  abstract hold(give: boolean): Hook;

  /** @returns takes the listener away again. */
  abstract onBroken(listener: (error: RpcError) => void): () => void;
}

/** A property of a root; or, with an empty path, the root with options for its calls. Owns nothing. */
class Property extends Place {
  readonly root: Root;
  readonly path: readonly string[];
  readonly options: CallOptions | undefined;

  constructor(root: Root, path: readonly string[], options: CallOptions | undefined) {
    super();
    this.root = root;
    this.path = path;
    this.options = options;
  }

  get isPromise(): boolean {
    return this.path.length > 0 || this.root.isPromise;
  }

  then(onValue: OnValue, onError: OnError): Promise<unknown> {
    if (this.path.length === 0) return this.root.then(onValue, onError);
    return placeOf(this.asked())!.then(onValue, onError);
  }

  override awaited(): void {
    if (this.path.length === 0) this.root.awaited();
    else this.root.memberAwaited();
  }

  dispose(): void {}

  dup(): object {
    return this.path.length === 0 ? this.root.dup() : this.asked();
  }

  /** A property is a place, not a value: each time it is awaited it is asked for again. */
  asked(): object {
    if (recorder !== null) return recorder.step(this.root, this.path, null);
    return this.root.start(this.path, null, this.options);
  }
}

/** The place behind a proxy of this layer; undefined for everything else. */
export function placeOf(value: unknown): Place | undefined {
  if (typeof value !== "function") return undefined;
  const place = (value as unknown as { [PLACE]?: unknown })[PLACE];
  return place instanceof Place ? place : undefined;
}

/** The root that stands for what `place` means: of a property, a promise of it, asked for by this. */
export function rootOf(place: Place): Root {
  if (place.path.length === 0) return place.root;
  return placeOf(place.root.start(place.path, null, place.options))!.root;
}

/** What users hold of `place`. */
export function proxyOf(place: Place): object {
  return new Proxy(CALLABLE, new Handle(place));
}

function here(proxy: unknown): Place {
  const place = placeOf(proxy);
  if (place === undefined)
    throw new TypeError("this method belongs to a stub: call it on the stub itself");
  return place;
}

// The members that every stub or promise has. Shared: a closure for each would cost more than the call.

function then(this: unknown, onValue?: OnValue, onError?: OnError): Promise<unknown> {
  return here(this).then(onValue, onError);
}

function catchError(this: unknown, onError?: OnError): Promise<unknown> {
  return here(this).then(null, onError);
}

function finallyDo(this: unknown, onEnd?: (() => void) | null): Promise<unknown> {
  return here(this).then(null, null).finally(onEnd);
}

function dup(this: unknown): object {
  return here(this).dup();
}

function dispose(this: unknown): void {
  here(this).dispose();
}

function hold(this: unknown, give: boolean): Hook {
  const place = here(this);
  // A property is asked for by this, so nobody else holds the promise of it.
  return rootOf(place).hold(give || place.path.length > 0);
}

function withOptions(this: unknown, options: CallOptions): object {
  const { root, path, options: before } = here(this);
  // One by one: those of a CallContext are no own properties of it.
  const signal = options.signal ?? before?.signal;
  const deadline = options.deadline ?? before?.deadline;
  return proxyOf(new Property(root, path, { signal, deadline }));
}

function map(this: unknown, callback: Mapper): object {
  return here(this).map(callback);
}

function onRpcBroken(this: unknown, listener: (error: RpcError) => void): Disposable {
  const stop = here(this).root.onBroken(checkFunction("listener", listener));
  return { [Symbol.dispose]: stop };
}

/** The target of every proxy: a function, since only functions can be called through one. Nothing is ever put on it, and its name is what a console shows. */
const CALLABLE = { "a stub": (): void => {} }["a stub"];

/** The handler of one proxy: small, where a target for each would be a function with a property. */
class Handle implements ProxyHandler<() => void> {
  private readonly place: Place;

  constructor(place: Place) {
    this.place = place;
  }

  get(_target: unknown, key: string | symbol): unknown {
    const { place } = this;
    if (typeof key === "symbol") {
      if (key === PLACE) return place;
      if (key === HOLD) return hold;
      if (key === Symbol.toPrimitive) return noValue;
      return key === Symbol.dispose ? dispose : undefined;
    }
    switch (key) {
      case "then":
        if (!place.isPromise) return undefined;
        place.awaited();
        return then;
      case "catch":
        return place.isPromise ? catchError : undefined;
      case "finally":
        return place.isPromise ? finallyDo : undefined;
      case "map":
        return place.isPromise ? map : place.child(key);
      case "dup":
        return dup;
      case "with":
        return withOptions;
      case "onRpcBroken":
        return onRpcBroken;
      case "toJSON":
        return undefined;
      case "fetch":
        return (
          (place instanceof Root && recorder === null ? place.fetcher() : undefined) ??
          place.child(key)
        );
      default:
        return place.child(key);
    }
  }

  apply(_target: unknown, _this: unknown, args: readonly unknown[]): object {
    return this.place.call(args);
  }

  getPrototypeOf(): object {
    return this.place.isPromise ? prototypes.promise : prototypes.stub;
  }

  has(_target: unknown, key: string | symbol): boolean {
    return key === PLACE || key === HOLD || key === Symbol.dispose;
  }

  ownKeys(): string[] {
    return [];
  }

  getOwnPropertyDescriptor(): undefined {
    return undefined;
  }

  set(): never {
    return refuse();
  }

  defineProperty(): never {
    return refuse();
  }

  deleteProperty(): never {
    return refuse();
  }

  setPrototypeOf(): never {
    return refuse();
  }

  preventExtensions(): never {
    return refuse();
  }
}

/** What `${stub}` and `promise > 1` ask for. */
function noValue(): never {
  throw invalidArgument(
    "a reference has no value here: await it first; in a callback of map, use its methods",
  );
}

function refuse(): never {
  throw invalidArgument("a stub cannot be changed: call a method of its object");
}
