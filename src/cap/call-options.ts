// Role: what ends a call from outside: the options `signal` and `deadline`, the same for every kind of stub.
// State: per call, its listener and its timer, given back when the call settles. Must not know: how a call travels.

import { invalidArgument } from "../base/checks.js";
import { RpcError, type RpcErrorOptions } from "../base/errors.js";

/** Options of one call. */
export interface CallOptions {
  /** Cancels the call when it aborts. */
  signal?: AbortSignal | undefined;
  /** When the call is given up: a Date, or milliseconds since the epoch as of Date.now(). */
  deadline?: Date | number | undefined;
}

/** What is known of a call that is given up, unless it is known not to be sent. */
const UNKNOWN: RpcErrorOptions = { delivery: "unknown" };

/** A call that can be given up. */
export interface Endable {
  end(why: () => RpcError): void;
}

/** The calls that a signal ends: one listener for all, since Node takes more than ten for a leak. */
const watched = /* @__PURE__ */ new WeakMap<AbortSignal, Set<Endable>>();

function endAll(this: AbortSignal): void {
  for (const call of watched.get(this)!) call.end(() => aborted(this));
}

/** What ends a call from outside. Every listener and timer is given back when the call settles. */
export class CallLimits {
  private readonly call: Endable;
  private readonly signal: AbortSignal | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(call: Endable, options: CallOptions) {
    const { signal, deadline } = options;
    this.call = call;
    this.signal = signal;
    if (signal !== undefined) {
      const calls = watched.get(signal) ?? new Set();
      if (calls.size === 0) signal.addEventListener("abort", endAll);
      watched.set(signal, calls.add(call));
    }
    if (deadline !== undefined) this.await(call, Number(deadline));
  }

  private await(call: Endable, deadline: number): void {
    const left = deadline - Date.now();
    // A timer counts to 2^31 ms at most.
    if (left > 0x7fff_ffff) this.timer = setTimeout(() => this.await(call, deadline), 0x7fff_ffff);
    else this.timer = setTimeout(() => call.end(late), Math.max(left, 0));
  }

  end(): void {
    const { signal } = this;
    if (signal !== undefined) {
      const calls = watched.get(signal)!;
      calls.delete(this.call);
      if (calls.size === 0) signal.removeEventListener("abort", endAll);
    }
    if (this.timer !== undefined) clearTimeout(this.timer);
  }
}

/** The limits that `options` ask for; null when they ask for none. */
export function limit(call: Endable, options: CallOptions): CallLimits | null {
  if (options.signal === undefined && options.deadline === undefined) return null;
  return new CallLimits(call, options);
}

/** Why a call may not even start, if so. */
export function refused(options: CallOptions | undefined): RpcError | null {
  if (options === undefined) return null;
  if (options.signal?.aborted === true) return aborted(options.signal).delivered("not-sent");
  if (options.deadline === undefined) return null;
  const deadline = Number(options.deadline);
  if (Number.isNaN(deadline)) return invalidArgument("the deadline is not a time");
  return deadline <= Date.now() ? late().delivered("not-sent") : null;
}

function aborted(signal: AbortSignal): RpcError {
  return new RpcError("failed", "call-canceled", "the call was canceled by its signal", {
    ...UNKNOWN,
    cause: signal.reason,
  });
}

function late(): RpcError {
  return new RpcError(
    "failed",
    "deadline-exceeded",
    "the call was not answered before its deadline",
    UNKNOWN,
  );
}

export function disposedCall(): RpcError {
  return new RpcError(
    "failed",
    "call-canceled",
    "the call was canceled: it was disposed before it was answered",
    UNKNOWN,
  );
}
