// Role: keeps a connection: makes one, and when it is lost another, for one reference that outlives them all.
// State: the connection that calls go to, or the round of attempts to make one and the calls that wait for it; the
// sessions that still end. Must not know: addresses, transports, what is called.

import { checkFunction, invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { placeOf } from "../cap/dynamic/place.js";
import { serve } from "../cap/dynamic/stub.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import { type FlowController, Hook } from "../hook/hook.js";
import { PromiseHook } from "../hook/promise.js";
import { brokenHook } from "../hook/results.js";
import { backoff } from "./backoff.js";
import {
  type Dial,
  type ReconnectOptions,
  reconnectSettings,
  type Settings,
} from "./reconnect-options.js";
import { ReconnectHook, type Way, type WayFinder } from "./reconnect-hook.js";
import { Session } from "./session.js";
import { type SessionState, type StateListener, StateListeners } from "./session-state.js";

/** The connection that calls go to. */
interface Live {
  readonly session: Session;
  readonly target: Hook;
  readonly since: number;
  readonly watch: Disposable;
}

/** Attempts to connect, until one succeeds or the limits are reached. */
interface Round {
  /** The calls that wait. Owned. */
  readonly promise: PromiseHook;
  readonly controller: AbortController;
  attempts: number;
  /** The session that is being made ready. */
  session: Session | null;
  lastError: RpcError | null;
  /** Takes the timer of the next attempt away. */
  noNext: () => void;
  /** Takes the limit of time away. */
  noLimit: () => void;
}

const NOTHING = (): void => {};

/**
 * What {@link reconnecting} returns. As a Session it has a bootstrap capability, a state and an end; its `closed` state is
 * not for ever while calls or `reset` may begin to connect again.
 */
export class Reconnecting implements WayFinder {
  private readonly dial: Dial;
  private readonly settings: Settings;
  private readonly hook: ReconnectHook;
  private readonly listeners: StateListeners;
  private generation = 0;
  private live: Live | null = null;
  private round: Round | null = null;
  /** Failures in a row: of attempts, and of connections that did not last. Negative before the first attempt of all. */
  private failures = -1;
  private shown: SessionState = "closed";
  private ended: Promise<void> | null = null;
  /** What is not over: attempts, sessions. */
  private readonly open = new Set<Promise<unknown>>();
  private readonly sessions = new Set<Session>();
  private readonly onAbort = (): void => void this.close();

  constructor(dial: Dial, options: ReconnectOptions) {
    this.dial = checkFunction("dial", dial);
    this.settings = reconnectSettings(options);
    const { scheduler, signal, lazy } = this.settings;
    this.hook = new ReconnectHook(scheduler, this);
    this.listeners = new StateListeners(scheduler);
    if (signal?.aborted === true) void this.close();
    else {
      signal?.addEventListener("abort", this.onAbort, { once: true });
      if (!lazy) this.begin();
    }
  }

  /**
   * `connecting` while attempts are made, `open` while calls go to a connection, `closed` in between: before the first call
   * if that is waited for, after attempts were given up, and in the end.
   */
  get state(): SessionState {
    return this.shown;
  }

  /** The connection that calls go to; null when there is none. It stays this one's: what is taken from it breaks with it. */
  get session(): Session | null {
    return this.live?.session ?? null;
  }

  /** As `Session.onStateChange`. With `closed` comes why the last connection was lost, or attempts given up. */
  onStateChange(listener: StateListener): Disposable {
    return this.listeners.add(listener);
  }

  /**
   * The reference that outlives connections, usable at once. Each new call on it goes to the connection of that moment, or
   * waits for one; what a call gives is bound to the connection it was made on. It breaks only when this is closed.
   *
   * @param type the class of client or stub to put around it; without one, the bare hook.
   * @returns a reference that the caller owns.
   * @example using api = link.bootstrap(RpcStub<Api>);
   */
  bootstrap(): Hook;
  bootstrap<C>(type: new (hook: Hook, terms?: TermsOptions) => C): C;
  bootstrap<C>(type?: new (hook: Hook, terms?: TermsOptions) => C): Hook | C {
    if (type !== undefined) checkFunction("type", type);
    const hook =
      this.hook.brokenBy === null
        ? this.hook.addRef()
        : brokenHook(this.hook.brokenBy, this.settings.scheduler);
    return type === undefined ? hook : new type(hook, this.settings.terms);
  }

  /**
   * Has new calls go to a new connection, and forgets what failed before: for who knows better, such as a page that hears
   * that the network is back. The old connection drains. While attempts are made, the next one comes at once.
   */
  reset(): void {
    if (this.ended !== null) return;
    const { round } = this;
    this.failures = -1;
    if (this.live !== null) this.leave(null);
    else if (round === null) {
      if (!this.settings.lazy) this.begin();
    } else if (round.noNext !== NOTHING) {
      round.noNext();
      this.attemptAfter(round, 0);
    }
  }

  /**
   * Ends it all: no timer, no attempt, no connection is left. Calls under way and calls that wait fail as `disconnected`,
   * and the reference breaks.
   *
   * @returns when the connections are closed, and an attempt under way has ended: `dial` gets a signal for that.
   */
  close(): Promise<void> {
    this.ended ??= this.end();
    return this.ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // -- For the reference ---------------------------------------------------------------------------------------------

  way(): Way {
    // The session is asked itself: what it tells of its end may still be a job.
    if (this.live !== null && this.live.session.state !== "open") this.lost(this.generation);
    if (this.live !== null) return { hook: this.live.target, generation: this.generation };
    this.begin();
    return { hook: this.round!.promise, generation: this.generation };
  }

  get flow(): FlowController | null {
    return this.live?.target.flow ?? null;
  }

  callFailed(generation: number, error: RpcError): void {
    if (error.type === "disconnected") this.lost(generation);
  }

  // -- Rounds --------------------------------------------------------------------------------------------------------

  private begin(): void {
    if (this.round !== null || this.live !== null || this.ended !== null) return;
    const { scheduler, maxQueued, clock, maxTime } = this.settings;
    this.generation++;
    const round: Round = {
      promise: new PromiseHook(scheduler, maxQueued),
      controller: new AbortController(),
      attempts: 0,
      session: null,
      lastError: null,
      noNext: NOTHING,
      noLimit: NOTHING,
    };
    this.round = round;
    if (maxTime !== Infinity)
      round.noLimit = clock.after(maxTime, () => this.giveUp(round, tooLong(maxTime)));
    this.show("connecting", null);
    this.attemptAfter(round, this.delay());
  }

  private delay(): number {
    const { random } = this.settings;
    return this.failures < 0 ? 0 : backoff(this.failures, this.settings, random());
  }

  private attemptAfter(round: Round, delay: number): void {
    const { clock, scheduler } = this.settings;
    const begin = (): void => {
      round.noNext = NOTHING;
      if (this.round === round) this.track(this.attempt(round));
    };
    // A call never runs user code, and this may be inside of one.
    if (delay > 0) round.noNext = clock.after(delay, begin);
    else scheduler.post({ run: begin });
  }

  private async attempt(round: Round): Promise<void> {
    round.attempts++;
    const { open, onConnected, terms } = this.settings;
    const { signal } = round.controller;
    let session: Session | null = null;
    let target: Hook | null = null;
    let failed = false;
    try {
      const made: unknown = await this.dial({ signal, attempt: round.attempts });
      if (!(made instanceof Session))
        throw invalidArgument("dial must return a session; is a `return` missing?");
      session = made;
      this.own(made);
      // Given up, or closed, meanwhile: whoever did it has answered the calls that waited.
      if (this.round !== round) throw tooLate();
      round.session = made;
      const prepare = async (): Promise<void> => {
        const opened = open === undefined ? made.bootstrap() : open(made);
        const hook = takeHook(placeOf(opened) === undefined ? await opened : opened, terms);
        if (failed) return hook.release();
        target = hook;
        await onConnected?.(made);
      };
      await Promise.race([prepare(), gone(made)]);
      if (this.round !== round) throw tooLate();
      this.connected(round, made, target!);
    } catch (thrown) {
      failed = true;
      (target as Hook | null)?.release();
      round.session = null;
      const error = dialError(thrown);
      void session?.close(error);
      if (this.round === round) this.attemptFailed(round, error);
    }
  }

  private connected(round: Round, session: Session, target: Hook): void {
    const { generation } = this;
    const { clock } = this.settings;
    this.stopRound(round);
    const watch = session.onStateChange(() => this.lost(generation));
    this.live = { session, target, since: clock.now, watch };
    this.show("open", null);
    round.promise.resolve(target.addRef());
    round.promise.release();
  }

  private attemptFailed(round: Round, error: RpcError): void {
    this.failures++;
    round.lastError = error;
    const hopeless = error.type !== "disconnected" && error.type !== "overloaded";
    if (hopeless || round.attempts >= this.settings.maxAttempts) this.giveUp(round, error);
    else this.attemptAfter(round, this.delay());
  }

  /** The calls that waited fail; the next one begins anew (C-REC-04). */
  private giveUp(round: Round, error: RpcError): void {
    const why = (round.lastError ?? error).delivered("not-sent");
    this.stopRound(round);
    this.failures = 0;
    this.show("closed", why);
    round.controller.abort(why);
    // Which ends what waits for it, however long that would take.
    void round.session?.close(why);
    round.promise.reject(why);
    round.promise.release();
  }

  private stopRound(round: Round): void {
    this.round = null;
    round.noNext();
    round.noLimit();
  }

  // -- The end of a connection ---------------------------------------------------------------------------------------

  /** The connection of `generation` serves no new calls. Said late, of one that was left before, it means nothing (C-REC-03). */
  private lost(generation: number): void {
    const { live } = this;
    if (live === null || generation !== this.generation) return;
    const { clock, stableAfter } = this.settings;
    // One that ends as soon as it is made is a failed attempt, and is not to be repeated without a pause.
    this.failures = clock.now - live.since < stableAfter ? Math.max(this.failures, 0) + 1 : 0;
    this.leave(live.session.error);
  }

  private leave(cause: RpcError | null): void {
    const { session, target, watch } = this.live!;
    this.live = null;
    watch[Symbol.dispose]();
    // Calls under way on it are not this call's: they may end.
    if (session.state === "open") void session.drain(this.settings.drainTime);
    target.release();
    if (this.settings.lazy) this.show("closed", cause);
    else this.begin();
  }

  private async end(): Promise<void> {
    const { settings, live, round } = this;
    const error = new RpcError(
      "disconnected",
      "connection-closed",
      "the reconnecting reference was closed here",
      { delivery: "not-sent" },
    );
    settings.signal?.removeEventListener("abort", this.onAbort);
    this.live = null;
    live?.watch[Symbol.dispose]();
    live?.target.release();
    this.hook.close(error);
    if (round !== null) {
      this.stopRound(round);
      round.controller.abort(error);
      round.promise.reject(error);
      round.promise.release();
    }
    this.show("closed", null);
    for (const session of this.sessions) void session.close();
    this.hook.release();
    // An attempt that ends now may leave a session to be closed.
    while (this.open.size > 0) await Promise.all(this.open);
  }

  private own(session: Session): void {
    this.sessions.add(session);
    this.track(session.closed.then(() => this.sessions.delete(session)));
  }

  private track(work: Promise<unknown>): void {
    this.open.add(work);
    void work.then(() => this.open.delete(work));
  }

  private show(state: SessionState, cause: RpcError | null): void {
    if (this.shown === state) return;
    this.shown = state;
    this.listeners.tell(state, cause);
  }
}

/** Takes over what `open` gave: a hook, a typed client, a stub, or the promise of one that a stub returned. */
function takeHook(opened: unknown, terms: TermsOptions): Hook {
  if (opened instanceof Hook) return opened;
  if (typeof opened === "object" && opened !== null && "_hook" in opened) {
    const { _hook: hook } = opened;
    if (hook instanceof Hook) {
      hook.addRef();
      (opened as { [Symbol.dispose]?(): void })[Symbol.dispose]?.();
      return hook;
    }
  }
  const hook = serve(opened as object, terms);
  if (placeOf(opened) !== undefined) (opened as Disposable)[Symbol.dispose]();
  return hook;
}

/** Rejects once `session` is over. */
async function gone(session: Session): Promise<never> {
  await session.closed;
  throw session.error;
}

function dialError(thrown: unknown): RpcError {
  if (RpcError.is(thrown)) return thrown;
  const { message } = RpcError.from(thrown);
  return new RpcError("disconnected", "connect-failed", message, { cause: thrown });
}

function tooLong(ms: number): RpcError {
  return new RpcError("disconnected", "connect-failed", `no connection came about within ${ms} ms`);
}

function tooLate(): RpcError {
  return new RpcError(
    "disconnected",
    "connection-closed",
    "nobody waits for this connection any more",
  );
}

/**
 * Keeps a connection, and gives one reference whose new calls go to it: when it is lost, another is made, with pauses
 * that grow and vary. No call is ever made twice: calls under way when a connection is lost fail as `disconnected` with
 * what is known of their delivery, and what was got through it stays broken. Calls made while there is no connection wait,
 * in order and within limits, and fail with the error of the last attempt when attempts end.
 *
 * A connection is left when it ends, when it drains, and when a call on the reference fails as `disconnected`, which also
 * says that the peer has lost what it stands for. Other failures are the caller's.
 *
 * @param dial makes a connection, which becomes this one's. An error of type `disconnected` or `overloaded`, or one that is
 *   no RpcError, is tried again; `failed` and `unimplemented` end the attempts, and so does what is no session.
 * @returns what the caller ends, by `close()` or `await using`.
 * @throws RpcError invalid-argument for a dial that is no function, and options that make no sense.
 * @example
 * await using link = reconnecting(({ signal }) => connect("wss://example.org/rpc", { signal }), {
 *   async onConnected(session) {
 *     using room = session.bootstrap(RpcStub<Room>);
 *     await room.subscribe((text) => console.log(text)); // again on each new connection
 *   },
 * });
 * using room = link.bootstrap(RpcStub<Room>);
 * await room.post("hello");
 * Source: C-REC-01 to 08.
 */
export function reconnecting(dial: Dial, options: ReconnectOptions = {}): Reconnecting {
  return new Reconnecting(dial, options);
}
