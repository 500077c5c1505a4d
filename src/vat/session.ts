// Role: a connection to one peer as users hold it: what it offers, what it asks for, how it ends.
// State: none of its own beside the promise of the end and who listens. Must not know: what a message says, how the transport came to be.

import type { ErrorRedactor, RpcError } from "../base/errors.js";
import { checkFunction } from "../base/checks.js";
import { checkLimits, type Limits } from "../base/limits.js";
import type { Scheduler } from "../base/scheduler.js";
import { placeOf } from "../cap/dynamic/place.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import type { ValueTypes } from "../cap/dynamic/values/types.js";
import { processScheduler } from "../cap/scheduler.js";
import { Hook } from "../hook/hook.js";
import type { Identities } from "../hook/identities.js";
import type { BatchSide } from "../rpc/batch.js";
import { type BootstrapSource, noCapability } from "../rpc/bootstrap.js";
import type { Connection, ConnectionOptions } from "../rpc/connection.js";
import { checkMs, type Transport } from "../transport/transport.js";
import { Link, type LinkSettings } from "./link.js";
import { type SessionState, type StateListener, StateListeners } from "./session-state.js";
import { microtaskTurnEnd, type TurnEnd } from "./turn.js";

/** What a vat offers: a client or a hook, either of which stays its owner's, or a function asked at each Bootstrap. */
export type Offer = BootstrapSource | { readonly _hook: Hook | null };

export interface SessionOptions {
  readonly limits?: Limits | undefined;
  /**
   * The classes of objects and errors that go by value, beyond the standard ones, through stubs that come from this session.
   * What is served has those of `serve`.
   */
  readonly types?: ValueTypes | undefined;
  /** What the peer gets when it asks for our bootstrap capability; by default nothing. */
  readonly bootstrap?: Offer | undefined;
  /** Whose jobs the calls are; by default the process's own. Whoever gives one drains it when it wakes. */
  readonly scheduler?: Scheduler | undefined;
  readonly tailCalls?: ConnectionOptions["tailCalls"] | undefined;
  /** Whether errors sent to this peer say where they come from (C-DIS-13). Default false: it may tell a stranger much. */
  readonly sendTrace?: boolean | undefined;
  /**
   * Sees what every error is about to tell this peer, trace included where {@link sendTrace} sends it, and may change or drop
   * it: the one place where secrets are kept in. An error that is part of a value, or the reason of a stream, it does not see.
   */
  readonly redactError?: ErrorRedactor | undefined;
  /** Finds the object that an old peer names in its Bootstrap (C-BST-05). By default such a Bootstrap fails. */
  readonly restorer?: ConnectionOptions["restorer"] | undefined;
  /** What is said of capabilities beside, and taken: only between vats that trust each other in everything. */
  readonly identities?: Identities | undefined;
  /**
   * Milliseconds without one byte from the peer, while calls wait for their answers, after which it counts as dead. By
   * default 0, off: a method may take as long as it likes. It finds what nothing else can on a TCP or Unix socket: a peer
   * that is stopped, whose kernel goes on accepting what little is written.
   */
  readonly silenceTimeout?: number | undefined;
  /** Milliseconds for which a peer may keep reading held before it counts as flooding us. Default 30 000. */
  readonly pressureTimeout?: number | undefined;
  /** Milliseconds between our half of the end and letting go, for an Abort to arrive. Default 1000. */
  readonly grace?: number | undefined;
  /** When a turn ends; the entry point for Node brings its own. */
  readonly turnEnd?: TurnEnd | undefined;
}

/**
 * A live connection to one peer. Owns its transport.
 *
 * @example
 * const session = new Session(transport, { bootstrap: serve(Greeter, greeter) });
 * using remote = session.bootstrap(Greeter);
 * const cause = await session.closed;
 */
export class Session {
  /** Resolves, and never rejects, when all is over and the transport closed: null after an orderly end, else the cause. */
  readonly closed: Promise<RpcError | null>;
  private readonly link: Link;
  private readonly listeners: StateListeners;
  private readonly terms: TermsOptions;

  /**
   * @param batch which half of a single request and response `transport` is; null for a connection in both directions.
   * @throws RpcError invalid-argument when an option is none; then `transport` stays the caller's.
   */
  constructor(transport: Transport, options: SessionOptions = {}, batch: BatchSide | null = null) {
    const settings = sessionSettings(options);
    this.terms = { types: options.types, limits: options.limits };
    let over!: (cause: RpcError | null) => void;
    this.closed = new Promise((resolve) => {
      over = resolve;
    });
    const listeners = new StateListeners(settings.scheduler);
    this.listeners = listeners;
    this.link = new Link(transport, {
      ...settings,
      batch,
      over,
      changed: (state, cause) => listeners.tell(state, cause),
    });
  }

  get transport(): Transport {
    return this.link.transport;
  }

  /** The protocol's own state: for statistics, dumps and checks. */
  get connection(): Connection {
    return this.link.connection;
  }

  /** Why calls can no longer be made; null while they can. */
  get error(): RpcError | null {
    return this.link.connection.error;
  }

  /** `open`, `draining` or `closed`; it never goes back. See {@link SessionState}. */
  get state(): SessionState {
    if (this.link.connection.error !== null) return "closed";
    // A batch that has left takes no new calls, and those under way are still answered.
    return this.link.draining || this.link.connection.sealed ? "draining" : "open";
  }

  /**
   * Calls `listener` at each change of the state from now on, from a job. What it throws is written to the console.
   *
   * @returns takes the listener away.
   * @example
   * session.onStateChange((state, cause) => {
   *   if (state === "closed") console.log(cause === null ? "an orderly end" : `lost: ${cause.message}`);
   * });
   */
  onStateChange(listener: StateListener): Disposable {
    return this.listeners.add(listener);
  }

  /** Whether nothing more can be asked, though what was asked is still answered: so is an HTTP batch after its POST. */
  get hasLeft(): boolean {
    return this.link.connection.sealed;
  }

  /**
   * The peer's bootstrap capability, usable at once: calls on it travel with the question for it.
   *
   * @param type the class of client to put around it; without one, the bare hook.
   * @returns a reference that the caller owns. When the connection is over, it is broken.
   * @throws RpcError invalid-argument when `type` is no class.
   * @example using calculator = session.bootstrap(Calculator);
   */
  bootstrap(): Hook;
  bootstrap<C>(type: new (hook: Hook, terms?: TermsOptions) => C): C;
  bootstrap<C>(type?: new (hook: Hook, terms?: TermsOptions) => C): Hook | C {
    if (type === undefined) return this.link.connection.bootstrap();
    checkFunction("type", type);
    return new type(this.link.connection.bootstrap(), this.terms);
  }

  /**
   * How often something was handed to the carrier: all that one turn says goes at once, or in parts of 32 KiB when it is
   * more (C-FRM-17). A caller that waits for the answer between two writes makes one round trip a write.
   */
  get writes(): number {
    return this.link.writes;
  }

  /** Bytes of messages that the carrier has not yet taken; where batches wait for it, 1 KiB for each of them (C-FLO-19). */
  get bufferedBytes(): number {
    return this.link.bufferedBytes;
  }

  /** The same in messages, and how long the oldest of them has waited (C-FLO-19). */
  get backlog(): { readonly bytes: number; readonly messages: number; readonly oldestMs: number } {
    const { messages, oldestMs } = this.link.transport.backlog;
    return { bytes: this.bufferedBytes, messages: messages + this.link.outbox.count, oldestMs };
  }

  /**
   * Resolves once no more than `limits.outgoingBytes` wait for the carrier, and also when the connection is over. A caller
   * that floods the peer waits for it; one that does not wait is ended at `limits.outgoingBytesHard`.
   */
  whenWritable(): Promise<void> {
    return this.link.whenWritable();
  }

  /**
   * Ends the connection: calls under way fail as `disconnected`, all capabilities of the peer break. The peer is told when
   * anything was open, and sees an orderly end otherwise (C-FRM-23). A second call waits for the same end.
   *
   * @param reason told to the peer and to our own calls. @returns when the transport is closed too.
   */
  async close(reason?: RpcError): Promise<void> {
    this.link.close(reason ?? null);
    await this.closed;
  }

  /**
   * Ends the connection gracefully: calls under way may end, with what is pipelined on them and what they call back; new
   * ones fail as `disconnected`, here and at the peer. Then all ends in order, whatever capabilities are held. A second call
   * waits for the same end.
   *
   * @param timeout milliseconds that calls under way may take; what is not over by then fails as `disconnected`, and the
   *   peer is told. Default 30 000.
   * @returns null when all calls ended in time, else what cut them off, as {@link closed}.
   * @throws RpcError invalid-argument when `timeout` is no time.
   * @example process.on("SIGTERM", () => void session.drain(5000));
   */
  async drain(timeout?: number): Promise<RpcError | null> {
    const ms = checkMs("timeout", timeout, 30_000);
    // Calls of stubs that are written down were made before this.
    makeCalls();
    this.link.drain(ms);
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Options with nothing left open: asked for before anything is opened, so that a bad one leaves nothing behind.
 * @throws RpcError invalid-argument, naming the option that is none.
 */
export function sessionSettings(
  options: SessionOptions,
): Omit<LinkSettings, "over" | "changed" | "batch"> {
  const { redactError } = options;
  return {
    limits: checkLimits(options.limits),
    scheduler: options.scheduler ?? processScheduler(),
    silenceTimeout: checkMs("silenceTimeout", options.silenceTimeout, 0),
    pressureTimeout: checkMs("pressureTimeout", options.pressureTimeout, 30_000),
    grace: checkMs("grace", options.grace, 1000),
    turnEnd: options.turnEnd ?? microtaskTurnEnd,
    connection: {
      bootstrap: sourceOf(options.bootstrap ?? null),
      tailCalls: options.tailCalls ?? "observed",
      sendTrace: options.sendTrace ?? false,
      redactError: redactError ? checkFunction("redactError", redactError) : null,
      restorer: options.restorer ?? null,
      identities: options.identities ?? null,
    },
  };
}

/** An offered client stays its owner's, so each Bootstrap takes a reference of its own from it. */
function sourceOf(offer: Offer): BootstrapSource {
  const inner = (offer as { readonly _hook?: Hook | null } | null)?._hook;
  const source = inner === undefined ? (offer as BootstrapSource) : inner;
  if (source === null || source instanceof Hook) return source;
  // A stub is a function, too, and would be called.
  if (typeof source === "function" && placeOf(source) === undefined) return source;
  throw noCapability();
}
