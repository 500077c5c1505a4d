// Role: a reference that outlives connections: its new calls go to a fresh one, when the last is lost.
// State: the session of now, or the attempt to get one; the back-off. Must not know: what the reference is called for.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import type { ValueTypes } from "../cap/dynamic/values/types.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import { processScheduler } from "../cap/scheduler.js";
import { type CallRequest, Hook } from "../hook/hook.js";
import { LocalResults, PromiseHook } from "../hook/promise.js";
import type { Results } from "../hook/results.js";
import type { Session } from "./session.js";

export interface ReconnectOptions<C> {
  /** Told of each new connection, with a reference that is lent until what this returns is fulfilled: to subscribe again. */
  readonly onConnect?: ((client: C, session: Session) => unknown) | undefined;
  /** Told of what {@link onConnect} and each attempt failed with. Default: nothing. */
  readonly onError?: ((error: RpcError) => void) | undefined;
  /** Attempts before the calls that wait fail. The next call begins anew. Default 5. */
  readonly attempts?: number | undefined;
  /** Milliseconds before the second attempt; doubled for each further one, up to `longest`, and cut at random to between
   * half and all of it, so that many clients do not come back at once. Default 100. */
  readonly delay?: number | undefined;
  /** Default 30 000. */
  readonly longest?: number | undefined;
  /** Whether to connect at once, and not at the first call. Default false. */
  readonly eager?: boolean | undefined;
  /** Whose jobs the calls are; by default the process's own. It is that of the sessions. */
  readonly scheduler?: Scheduler | undefined;
  /** The classes that go by value through the reference, as in the options of a session. */
  readonly types?: ValueTypes | undefined;
}

/**
 * A reference to the peer's bootstrap capability that is not bound to one connection. The connection is made at the first
 * call, and made anew by a call after it was lost. No call is made twice: those under way when it is lost fail as
 * `disconnected`. What was got over a connection breaks with it, and stays broken.
 *
 * @param dial makes a connection; it is ended with the reference, or when it fails a call as `disconnected`.
 * @param type the class of client to put around the reference: `RpcStub<Api>`, or a typed one.
 * @returns a client that the caller owns. Disposing it ends the connection.
 * @example using api = reconnecting(() => connect("wss://example.org/rpc"), RpcStub<Api>);
 * Source: C-REC-01 to 08.
 */
export function reconnecting<C extends Disposable>(
  dial: () => Session | PromiseLike<Session>,
  type: new (hook: Hook, terms?: TermsOptions) => C,
  options: ReconnectOptions<C> = {},
): C {
  const terms = { types: options.types };
  const hook = new ReconnectingHook(dial, options, (inner) => new type(inner, terms));
  if (options.eager === true) hook.connect();
  return new type(hook, terms);
}

class ReconnectingHook<C extends Disposable> extends Hook {
  readonly brand = {};
  private readonly dial: () => Session | PromiseLike<Session>;
  private readonly settings: ReconnectOptions<C>;
  private readonly client: (hook: Hook) => C;
  private session: Session | null = null;
  /** Where calls go: the bootstrap capability of the session, or a promise of that. Owned. */
  private target: Hook | null = null;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private ended = false;

  constructor(
    dial: () => Session | PromiseLike<Session>,
    settings: ReconnectOptions<C>,
    client: (hook: Hook) => C,
  ) {
    super(settings.scheduler ?? processScheduler());
    this.dial = dial;
    this.settings = settings;
    this.client = client;
  }

  /** It may lead elsewhere after each call, so it is never the same as another (C-REC-06). */
  override get isSettled(): boolean {
    return false;
  }

  call(request: CallRequest): Results {
    const target = this.connect();
    return new WatchedResults(this, target, target.call(request));
  }

  /** Where calls go now. Begins to connect if there is nowhere. */
  connect(): Hook {
    if (this.session !== null && this.session.error !== null) this.lose(this.target!);
    if (this.target === null) {
      const promise = new PromiseHook(this.scheduler);
      this.target = promise;
      this.attempt(promise, 1);
    }
    return this.target;
  }

  /** Calls on `target` fail as disconnected: the next goes elsewhere, unless it does already (C-REC-03). */
  lose(target: Hook): void {
    if (this.target !== target) return;
    this.target = null;
    target.release();
    const { session } = this;
    this.session = null;
    if (session !== null) void session.close();
  }

  private attempt(promise: PromiseHook, n: number): void {
    void Promise.resolve()
      .then(() => this.dial())
      .then(
        (session) => this.connected(promise, session),
        (reason: unknown) => this.failed(promise, n, RpcError.from(reason, "connect-failed")),
      );
  }

  private connected(promise: PromiseHook, session: Session): void {
    if (this.ended || this.target !== promise) {
      void session.close();
      return;
    }
    this.session = session;
    const hook = session.bootstrap();
    promise.resolve(hook.addRef());
    this.announce(hook, session);
  }

  private announce(hook: Hook, session: Session): void {
    const { onConnect, onError } = this.settings;
    if (onConnect === undefined) return hook.release();
    const client = this.client(hook);
    void Promise.resolve()
      .then(() => onConnect(client, session))
      .then(
        () => client[Symbol.dispose](),
        (reason: unknown) => {
          client[Symbol.dispose]();
          onError?.(RpcError.from(reason));
        },
      );
  }

  private failed(promise: PromiseHook, n: number, error: RpcError): void {
    const { attempts = 5, delay = 100, longest = 30_000, onError } = this.settings;
    onError?.(error);
    if (this.ended || this.target !== promise) return;
    if (n < attempts) {
      const wait = Math.min(delay * 2 ** (n - 1), longest) * (0.5 + chance() / 2);
      this.timer = setTimeout(() => this.attempt(promise, n + 1), wait);
      return;
    }
    this.target = null;
    promise.reject(error.as("disconnected", error.code, "not-sent"));
    promise.release();
  }

  /** Nobody holds it, or waits in it, any more. */
  protected unreferenced(): void {
    this.ended = true;
    clearTimeout(this.timer);
    const { target } = this;
    if (target === null) return;
    if (target instanceof PromiseHook && this.session === null)
      target.reject(
        new RpcError(
          "failed",
          "capability-disposed",
          "the reference was disposed before it connected",
          {
            delivery: "not-sent",
          },
        ),
      );
    this.lose(target);
  }
}

/** The results of one call, which tell when the connection was lost under it. */
class WatchedResults extends LocalResults {
  protected readonly returnTo = null;
  private readonly owner: { lose(target: Hook): void };
  private readonly target: Hook;

  constructor(owner: { lose(target: Hook): void }, target: Hook, results: Results) {
    super(target.scheduler);
    this.owner = owner;
    this.target = target;
    this.forward(results);
  }

  override resultsSettled(source: Results): void {
    const { error } = source;
    super.resultsSettled(source);
    if (error !== null && error.type === "disconnected") this.owner.lose(this.target);
  }

  protected abandonedBeforeForward(): void {}
}

/** From 0 up to 1. */
function chance(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]! / 2 ** 32;
}
