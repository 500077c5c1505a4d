// Role: what a method can know of the call it runs for.
// State: the call whose method is being entered. Must not know: how calls arrive.

import { RpcError } from "../../base/errors.js";
import type { LocalCall } from "../../hook/local.js";

/**
 * One call, as its method sees it. It has the shape of call options, so that calls made for this one can take over its
 * limits: `stub.with(context).method()`.
 */
export class CallContext {
  /** When the caller gives up, in milliseconds since the epoch; undefined when it does not. */
  readonly deadline: number | undefined;
  private readonly call: LocalCall;
  private controller: AbortController | null = null;

  constructor(call: LocalCall, timeout: number) {
    this.call = call;
    this.deadline = timeout === 0 ? undefined : Date.now() + timeout;
  }

  /** Aborts once, when the caller gives the call up or is gone (C-CAN-03). */
  get signal(): AbortSignal {
    if (this.controller === null) {
      const controller = new AbortController();
      this.controller = controller;
      const abort = (): void => controller.abort(canceled());
      if (this.call.canceled) abort();
      else this.call.onCancel = abort;
    }
    return this.controller.signal;
  }

  /** Whether the caller's giving up ends the call. True by default; set it to false to finish undisturbed (C-CAN-04). */
  get cancelable(): boolean {
    return this.call.cancelable;
  }
  set cancelable(value: boolean) {
    this.call.cancelable = value;
  }
}

function canceled(): RpcError {
  return new RpcError("failed", "call-canceled", "the call was canceled by its caller");
}

/** What a method is entered for. */
export interface Entered {
  /** Made when it is asked for. */
  readonly context: CallContext;
}

let entered: Entered | null = null;

/** Notes that a method of `call` is entered, until {@link left}. @returns what was noted before, to be given back then. */
export function entering(call: Entered): Entered | null {
  const before = entered;
  entered = call;
  return before;
}

/** The method has returned, if only a promise. */
export function left(before: Entered | null): void {
  entered = before;
}

/**
 * The call that the running method was called by. To be asked for at the start of the method, before its first `await`:
 * afterwards nobody can tell which call goes on.
 *
 * @throws RpcError invalid-state outside of a method that a stub called.
 * @example
 * class Search extends RpcTarget {
 *   async find(words: string) {
 *     const context = callContext();
 *     return this.index.with(context).lookup(words); // ends when the caller gives up
 *   }
 * }
 */
export function callContext(): CallContext {
  if (entered === null)
    throw new RpcError(
      "failed",
      "invalid-state",
      "ask for the context at the start of a method, before its first await",
    );
  return entered.context;
}
