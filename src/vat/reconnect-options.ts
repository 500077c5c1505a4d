// Role: the options of a reference that reconnects, and their defaults.
// State: none. Must not know: how connections are made.

import { checkOptional, checkOptions, checkSignal, invalidArgument } from "../base/checks.js";
import { checkLimits, type Limits } from "../base/limits.js";
import type { Scheduler } from "../base/scheduler.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import type { ValueTypes } from "../cap/dynamic/values/types.js";
import { processScheduler } from "../cap/scheduler.js";
import { checkMs } from "../transport/transport.js";
import { randomPart } from "./backoff.js";
import { type Clock, REAL_CLOCK } from "./clock.js";
import type { Session } from "./session.js";

/** What a dial is told. */
export interface DialContext {
  /** Aborts when nobody waits for the connection any more. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt since there was a connection. */
  readonly attempt: number;
}

export type Dial = (context: DialContext) => Session | PromiseLike<Session>;

export interface ReconnectOptions {
  /**
   * What calls go to on a new connection, if that is not its bootstrap capability: a hook, a typed client, a stub, or a
   * promise of one, which is taken over. To log in, or to restore a reference that was kept.
   */
  readonly open?: ((session: Session) => unknown) | undefined;
  /**
   * Told of each new connection, before the calls that wait go out: to subscribe again. They wait for a promise that it
   * returns. When it fails, so has the attempt.
   */
  readonly onConnected?: ((session: Session) => unknown) | undefined;
  /** Whether to connect only for a call that needs it. By default at once, and again as soon as a connection is lost. */
  readonly lazy?: boolean | undefined;
  /** Milliseconds: the longest pause after a connection is lost; it doubles with each failure. Default 100. */
  readonly minDelay?: number | undefined;
  /** Milliseconds: the longest pause of all. Default 10 000. */
  readonly maxDelay?: number | undefined;
  /** Attempts until calls that wait fail. The next call begins anew. Default 10; may be Infinity. */
  readonly maxAttempts?: number | undefined;
  /** Milliseconds that attempts may take, all in all, until calls that wait fail. Default 60 000; may be Infinity. */
  readonly maxTime?: number | undefined;
  /** Calls that may wait for a connection; one more fails as `overloaded`. Default 1000. */
  readonly maxQueued?: number | undefined;
  /** Milliseconds after which a connection counts as good, so that pauses begin small again. Default 5000. */
  readonly stableAfter?: number | undefined;
  /** Milliseconds that calls under way may take on a connection that is left while it still works. Default 30 000. */
  readonly drainTime?: number | undefined;
  /** Closes it all. */
  readonly signal?: AbortSignal | undefined;
  /** A number from 0 up to, not including, 1, for the pauses. By default a random one; a test brings its own. */
  readonly random?: (() => number) | undefined;
  /** Where pauses and limits take their time from. By default real time; a test brings its own, such as `TestVats`. */
  readonly clock?: Clock | undefined;
  /** The classes of objects and errors that go by value through stubs of it, as in the options of a session. */
  readonly types?: ValueTypes | undefined;
  /** Of these limits those of stubs: calls in flight, `map`, errors. As in the options of a session. */
  readonly limits?: Limits | undefined;
  /** Whose jobs the calls are; by default the process's own. */
  readonly scheduler?: Scheduler | undefined;
}

/** {@link ReconnectOptions} with nothing left open but what may be missing. */
export interface Settings {
  readonly open: ((session: Session) => unknown) | undefined;
  readonly onConnected: ((session: Session) => unknown) | undefined;
  readonly lazy: boolean;
  readonly minDelay: number;
  readonly maxDelay: number;
  readonly maxAttempts: number;
  readonly maxTime: number;
  readonly maxQueued: number;
  readonly stableAfter: number;
  readonly drainTime: number;
  readonly signal: AbortSignal | undefined;
  readonly random: () => number;
  readonly clock: Clock;
  readonly terms: TermsOptions;
  readonly scheduler: Scheduler;
}

/** @throws RpcError invalid-argument, naming the option. */
export function reconnectSettings(options: ReconnectOptions): Settings {
  checkOptions(options);
  checkSignal(options.signal);
  return {
    open: checkOptional("open", options.open) ?? undefined,
    onConnected: checkOptional("onConnected", options.onConnected),
    lazy: options.lazy ?? false,
    minDelay: checkMs("minDelay", options.minDelay, 100),
    maxDelay: checkMs("maxDelay", options.maxDelay, 10_000),
    maxAttempts: checkCount("maxAttempts", options.maxAttempts, 10),
    maxTime: options.maxTime === Infinity ? Infinity : checkMs("maxTime", options.maxTime, 60_000),
    maxQueued: checkCount("maxQueued", options.maxQueued, 1000),
    stableAfter: checkMs("stableAfter", options.stableAfter, 5000),
    drainTime: checkMs("drainTime", options.drainTime, 30_000),
    signal: options.signal,
    random: options.random ?? randomPart,
    clock: options.clock ?? REAL_CLOCK,
    terms: { types: options.types, limits: checkLimits(options.limits) },
    scheduler: options.scheduler ?? processScheduler(),
  };
}

function checkCount(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (value === Infinity || (Number.isSafeInteger(value) && value >= 1)) return value;
  const message = `${name} must be a whole number of at least 1, or Infinity, not ${String(value)}`;
  throw invalidArgument(message);
}
