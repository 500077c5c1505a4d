// Role: one call of a method of an object here, whatever it came by: finds the member, validates, enters it, waits for it.
// State: none beside the call. Must not know: how calls, arguments and results travel.

import { RpcError } from "../../base/errors.js";
import { runFor } from "../../base/origin.js";
import type { LocalCall } from "../../hook/local.js";
import { canceledError } from "../../hook/promise.js";
import { type CallContext, type Entered, entering, left } from "./context.js";
import { type Place, placeOf } from "./place.js";
import { type MethodSchemas, schemasOf, validate } from "./schema.js";
import { isTarget, memberOf } from "./target.js";

export abstract class MethodCall implements Entered {
  protected readonly call: LocalCall;
  protected readonly path: readonly string[];
  protected readonly asks: boolean;

  /** @param path members, from the object on. @param asks what it leads to is asked for, and not called. */
  constructor(call: LocalCall, path: readonly string[], asks: boolean) {
    this.call = call;
    this.path = path;
    this.asks = asks;
  }

  /** Made when the method asks for it. */
  abstract readonly context: CallContext;

  /** Decodes the arguments and calls {@link apply}. */
  protected abstract run(method: object, owner: unknown): void;

  /** The path leads to a stub, and `rest` of it goes on there. */
  protected abstract forward(place: Place, rest: readonly string[]): void;

  /** Answers the call. Never throws. */
  protected abstract settle(value: unknown): void;

  /** The same with a failure. */
  abstract fail(reason: unknown): void;

  /** The call has failed, since a result is not what it must be. */
  protected refused(_result: unknown): void {}

  /** Follows the path from step `at`, where `value` is, a member of `owner`. */
  walk(value: unknown, owner?: unknown, at = 0): void {
    const { path } = this;
    try {
      for (; ; at++) {
        const place = placeOf(value);
        if (place !== undefined && (at < path.length || !this.asks))
          return this.forward(place, path.slice(at));
        if (value instanceof Promise) return this.walkLater(value, owner, at);
        if (at === path.length) break;
        owner = value;
        value = this.runCode(memberOf, owner, path[at]!);
      }
      this.arrived(value, owner);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  private walkLater(value: Promise<unknown>, owner: unknown, at: number): void {
    value.then(
      (settled) => this.walk(settled, owner, at),
      (reason: unknown) => this.fail(reason),
    );
  }

  /** What the path leads to. @throws RpcError method-unimplemented. */
  protected arrived(value: unknown, owner: unknown): void {
    const isFunction = typeof value === "function";
    if (this.asks) {
      // A method that is asked for, not called, goes by reference with its object.
      const isMethod = isFunction && isTarget(owner) && placeOf(value) === undefined;
      return this.settle(isMethod ? (value as () => unknown).bind(owner) : value);
    }
    if (isFunction) return this.run(value, owner);
    const message = `${this.path.join(".") || "the object"} is not a function`;
    throw new RpcError("unimplemented", "method-unimplemented", message);
  }

  /** Runs code of the object's. */
  private runCode<A extends unknown[]>(code: (...args: A) => unknown, ...args: A): unknown {
    const { origin, scheduler } = this.call;
    const before = entering(this);
    try {
      return runFor(origin, scheduler, code, ...args);
    } finally {
      left(before);
    }
  }

  /** Calls a method with the arguments that came. */
  protected apply(method: object, owner: unknown, args: unknown): void {
    if (this.call.canceled) return this.fail(canceledError());
    if (!Array.isArray(args)) {
      const message = "the arguments of a call are a list";
      return this.fail(new RpcError("failed", "invalid-payload", message));
    }
    const schemas = schemasOf(method);
    if (schemas?.params === undefined) this.enter(method, owner, args, schemas);
    else this.validateParams(method, owner, args, schemas);
  }

  private validateParams(
    method: object,
    owner: unknown,
    args: unknown[],
    schemas: MethodSchemas,
  ): void {
    this.when(
      () => validate(schemas.params!, args, "args"),
      (valid) => this.enter(method, owner, valid as unknown[], schemas),
    );
  }

  /** Goes on with what `produce` gives, now or later. */
  private when(
    produce: () => unknown,
    then: (value: unknown) => void,
    otherwise: (reason: unknown) => void = (reason) => this.fail(reason),
  ): void {
    try {
      const value = produce();
      if (value instanceof Promise) value.then(then, otherwise);
      else then(value);
    } catch (thrown) {
      otherwise(thrown);
    }
  }

  private enter(
    method: object,
    owner: unknown,
    args: unknown[],
    schemas: MethodSchemas | undefined,
  ): void {
    try {
      const answer = this.runCode(
        Reflect.apply,
        method as (...args: unknown[]) => unknown,
        owner,
        args,
      );
      if (isThenable(answer)) this.validatedLater(answer, schemas);
      else this.validated(answer, schemas);
    } catch (thrown) {
      this.fail(thrown);
    }
  }

  private validatedLater(answer: PromiseLike<unknown>, schemas: MethodSchemas | undefined): void {
    answer.then(
      (value) => this.validated(value, schemas),
      (reason: unknown) => this.fail(reason),
    );
  }

  private validated(value: unknown, schemas: MethodSchemas | undefined): void {
    if (schemas?.result === undefined) this.settle(value);
    else this.validateResult(value, schemas.result);
  }

  private validateResult(value: unknown, schema: NonNullable<MethodSchemas["result"]>): void {
    this.when(
      () => validate(schema, value, "result"),
      (valid) => this.settle(valid),
      (reason) => {
        this.fail(reason);
        this.refused(value);
      },
    );
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === "object" || typeof value === "function") &&
    value !== null &&
    typeof (value as Partial<PromiseLike<unknown>>).then === "function"
  );
}
