// Role: the types of stubs and promises: one level deep, so that they stay shallow whatever they are made of.
// State: none. Must not know: how anything works.

import type { RpcError } from "../../base/errors.js";
import type { Holder } from "../../hook/holder.js";
import type { Hook } from "../../hook/hook.js";
import type { CallOptions } from "../call-options.js";
import type { RpcTarget } from "./target.js";
import type { StubOptions } from "./terms.js";

type AnyFunction = (...args: never[]) => unknown;

/** What goes by reference: it arrives as a stub. */
export type ByReference = RpcTarget | AnyFunction;

/** What is the same at both sides; told apart so that mapping stops there. */
type Leaf =
  | string
  | number
  | bigint
  | boolean
  | symbol
  | null
  | undefined
  | void
  | Date
  | RegExp
  | Error
  | ArrayBuffer
  | ArrayBufferView
  | URL
  | Headers
  | Request
  | Response
  | Blob
  | ReadableStream
  | WritableStream
  | AbortSignal;

/** A value as it arrives: what goes by reference has become a stub. */
export type Received<T> =
  T extends StubMembers<unknown>
    ? T
    : T extends Leaf
      ? T
      : T extends ByReference
        ? RpcStub<T>
        : T extends Holder
          ? StubMembers<unknown>
          : T extends Map<infer K, infer V>
            ? Map<Received<K>, Received<V>>
            : T extends Set<infer V>
              ? Set<Received<V>>
              : T extends object
                ? { [K in keyof T]: Received<T[K]> }
                : T;

/**
 * What may be given for a parameter: the value; a stub, or a promise, in the place of what goes by reference or of any part
 * of it. Stubs are told by members that no function has, so that a callback's parameters are still inferred.
 */
export type Sendable<T> =
  T extends StubMembers<infer U>
    ? StubMembers<U> | Lendable<U>
    : T extends Leaf
      ? T | StubMembers<T>
      : T extends ByReference
        ? Lendable<T> | StubMembers<T>
        : T extends Holder
          ? Holder
          : T extends Map<infer K, infer V>
            ? Map<Sendable<K>, Sendable<V>> | StubMembers<T>
            : T extends Set<infer V>
              ? Set<Sendable<V>> | StubMembers<T>
              : T extends object
                ? { [K in keyof T]: Sendable<T[K]> } | StubMembers<T>
                : T;

/** An object as it is; a function as it will be called: with what arrives. */
type Lendable<T> = T extends (...args: infer A) => infer R ? (...args: ReceivedArgs<A>) => R : T;

type ReceivedArgs<A extends readonly unknown[]> = { [I in keyof A]: Received<A[I]> };

type SendableArgs<A extends readonly unknown[]> = { [I in keyof A]: Sendable<A[I]> };

/** What `await` of a result gives: disposable, when it is an object. */
export type Given<T> = T extends Leaf
  ? T
  : T extends StubMembers<unknown>
    ? T
    : T extends Holder
      ? StubMembers<unknown>
      : T extends object
        ? Received<T> & (T extends ByReference ? unknown : Disposable)
        : T;

/** Names that every stub has: members of the object with such a name cannot be reached. */
export type StubNames =
  | "dup"
  | "with"
  | "onRpcBroken"
  | "then"
  | "catch"
  | "finally"
  | "constructor"
  | "toJSON";

type Member<T> = T extends (...args: infer A) => infer R
  ? (...args: SendableArgs<A>) => RpcPromise<Awaited<R>>
  : RpcPromise<Awaited<T>>;

type Members<T> = {
  readonly [K in Exclude<keyof T, StubNames | symbol>]: Member<T[K]>;
};

/** What every stub and every promise has. */
export interface StubMembers<out T> extends Disposable, Holder {
  /** Never there: carries the type. */
  readonly "~rpc"?: T;
  /** Another stub for the same object, to be disposed on its own: keeps what is lent. @throws RpcError capability-disposed */
  dup(): RpcStub<T>;
  /** Calls `listener` once, when this breaks, or if it is broken: for good, with the cause. @returns takes it away. */
  onRpcBroken(listener: (error: RpcError) => void): Disposable;
}

type Callable<T> = T extends (...args: infer A) => infer R
  ? (...args: SendableArgs<A>) => RpcPromise<Awaited<R>>
  : unknown;

interface WithOptions<T> {
  /** The same, for calls with these options: `stub.with({ signal }).method()`. Owns nothing. */
  with(options: CallOptions): RpcStub<T>;
}

/** What a callback of `map` gives, with its promises settled. */
export type Settled<U> = U extends PromiseLike<unknown> & StubMembers<infer X>
  ? X
  : U extends Leaf | StubMembers<unknown>
    ? U
    : U extends object
      ? { [K in keyof U]: Settled<U[K]> }
      : U;

type ElementOf<T> = T extends readonly (infer E)[] ? E : NonNullable<T>;

type Mapped<T, U> = T extends readonly unknown[]
  ? Settled<U>[]
  : T extends null | undefined
    ? T
    : Settled<U>;

interface Mappable<T> {
  /**
   * Runs `callback` for each element of the list, at the other side, in the same round trip. The callback is called once,
   * here, with something that stands for the element, and what it calls is written down: it cannot be async, nor decide by
   * values. Of what is no list the only element is the value itself; null and undefined stay as they are.
   *
   * @example const names = await api.userIds().map((id) => api.user(id).name);
   */
  map<U>(callback: (element: RpcPromise<ElementOf<T>>) => U): RpcPromise<Mapped<T, U>>;
}

/** A stub for an object of type `T`. */
export type RpcStub<T> = Callable<T> & Members<T> & StubMembers<T> & WithOptions<T>;

/** The promise of a `T`: to be awaited, and to be called through before it is there. */
export type RpcPromise<T> = Promise<Given<T>> &
  Mappable<T> &
  ([T] extends [Leaf]
    ? StubMembers<T> & WithOptions<T> // a string's own methods are not to be had from afar
    : T extends StubMembers<infer U>
      ? RpcStub<U>
      : T extends Holder
        ? StubMembers<T>
        : Callable<T> & Members<T> & StubMembers<T> & WithOptions<T>);

export interface RpcStubConstructor {
  /** @param target an object of this process; or a hook, which is taken over. */
  new <T>(target: T | Hook, options?: StubOptions): RpcStub<T>;
  readonly prototype: RpcStub<unknown>;
}

export interface RpcPromiseConstructor {
  [Symbol.hasInstance](value: unknown): boolean;
  readonly prototype: RpcPromise<unknown>;
}
