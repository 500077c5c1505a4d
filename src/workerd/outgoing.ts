// Role: a value on its way to workerd: its bytes, and what is put beside them.
// State: the references of one value, until they are taken. Must not know: who calls whom.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { placeOf, type Root } from "../cap/dynamic/place.js";
import { isTarget } from "../cap/dynamic/target.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { sendWritable } from "../cap/stream/writable.js";
import { whenCollected } from "../cap/stream/collected.js";
import { ignore } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { type BodySource, OutgoingBody } from "../http/outgoing-body.js";
import { streamValues } from "./errors.js";
import { makers } from "./makers.js";
import {
  ABORT_SIGNAL,
  type Entry,
  fire,
  pushSignal,
  pushStream,
  READABLE,
  RPC_TARGET,
  SERVICE_TOKEN,
  type Value,
  WRITABLE,
} from "./protocol.js";
import { type Reach, TargetReach } from "./reach.js";
import { ServiceToken, tokenOf } from "./token.js";
import {
  encodeV8,
  type EncodedV8,
  type ExternalSink,
  type ExternalSlot,
  fillBlobs,
} from "./v8-value/index.js";

/** Something beside the bytes, which is made when it is known where the value goes. */
interface Beside {
  /** @param pusher what the value goes to; null where nothing can be pushed. @param session stays the caller's. */
  entry(pusher: Hook | null, session: Hook | null): Entry;
  /** The value is not sent. */
  drop(): void;
}

const NOTHING_BESIDE: ExternalSink = { external: () => undefined };

/** One value. After `encode` either `take` or `release`. */
export class Outgoing implements ExternalSink {
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private readonly gives: boolean;
  private readonly beside: Beside[] = [];
  private readonly known = new Map<object, ExternalSlot>();
  /** Stubs that are given away with it. */
  private given: Root[] = [];
  /** Break the streams that went with it. */
  private streams: ((error: RpcError) => void)[] = [];
  /** Stop to tell of the signals that went with it. */
  private signals: (() => void)[] = [];
  private encoded: EncodedV8 | null = null;

  /** @param gives stubs in the value are given away with it. */
  constructor(scheduler: Scheduler, terms: Terms, gives = false) {
    this.scheduler = scheduler;
    this.terms = terms;
    this.gives = gives;
  }

  /** @returns whether all of it is here: bytes of Blobs are put in by {@link fill}. @throws RpcError; then nothing is held. */
  encode(value: unknown, root: string): boolean {
    try {
      const { errors } = this.terms;
      this.encoded = encodeV8(value, this, { root, ...(errors && { errors }) });
      return this.encoded.blobs.length === 0;
    } catch (thrown) {
      this.release();
      throw thrown;
    }
  }

  /** @throws RpcError unsendable-value, as a rejection; then nothing is held. */
  async fill(): Promise<void> {
    try {
      await fillBlobs(this.encoded!);
    } catch (thrown) {
      this.release();
      throw thrown;
    }
  }

  external(value: object, path: string): ExternalSlot | undefined {
    const known = this.known.get(value);
    if (known !== undefined) return known;
    const slot = this.put(value, path);
    if (slot !== undefined) this.known.set(value, slot);
    return slot;
  }

  private put(value: object, path: string): ExternalSlot | undefined {
    if (value instanceof ServiceToken) {
      const entry: Entry = { tag: SERVICE_TOKEN, hook: null, token: tokenOf(value) };
      return this.added("serviceStub", { entry: () => entry, drop: ignore });
    }
    if (value instanceof ReadableStream) return this.added("readableStream", this.readable(value));
    if (value instanceof WritableStream) return this.added("writableStream", this.writable(value));
    if (value instanceof AbortSignal) return this.added("abortSignal", this.signal(value));
    const hook = this.target(value, path);
    if (hook === undefined) return undefined;
    return this.added("stub", {
      entry: () => ({ tag: RPC_TARGET, hook, token: null }),
      drop: () => hook.release(),
    });
  }

  private added(kind: ExternalSlot["kind"], beside: Beside): ExternalSlot {
    return { kind, index: this.beside.push(beside) - 1 };
  }

  private target(value: object, path: string): Hook | undefined {
    const place = placeOf(value);
    if (place === undefined)
      return typeof value === "function" || isTarget(value)
        ? makers.serve(value, this.scheduler, this.terms)
        : undefined;
    if (place.isPromise) {
      const message = `${path} is a promise, or a property of a stub: await it first`;
      throw new RpcError("failed", "unsendable-value", message);
    }
    const { root } = place;
    const reach = makers.reachOf(root);
    const hook = this.through(reach) ?? makers.serve(value, this.scheduler, this.terms);
    reach?.release();
    if (this.gives) this.given.push(root);
    return hook;
  }

  /** The target itself, where the stub stands for one of workerd's. */
  private through(reach: Reach | undefined): Hook | undefined {
    return reach instanceof TargetReach ? reach.on.addRef() : undefined;
  }

  private readable(stream: ReadableStream): Beside {
    if (stream.locked)
      throw new RpcError("failed", "unsendable-value", "the stream is locked: somebody reads it");
    const reader = stream.getReader();
    const source: BodySource = {
      read: () => reader.read(),
      cancel: (reason) => void reader.cancel(reason).catch(ignore),
    };
    return {
      entry: (pusher, session) => {
        if (pusher === null) throw noPusher("a stream");
        const pushed = pushStream(pusher);
        let kept = session?.addRef() ?? null;
        const ended = (): void => {
          kept?.release();
          kept = null;
        };
        const body = new OutgoingBody(source, pushed.sink, streamValues(this.terms), null, ended);
        this.streams.push((error) => {
          body.cancel(error);
          ended();
        });
        return { tag: READABLE, hook: pushed.source, token: null };
      },
      drop: () => reader.releaseLock(),
    };
  }

  private writable(stream: WritableStream): Beside {
    try {
      const sent = sendWritable(stream, this.scheduler, streamValues(this.terms));
      return {
        entry: () => {
          this.streams.push(sent.giveUp);
          return { tag: WRITABLE, hook: sent.hook, token: null };
        },
        drop: () => {
          sent.restore();
          sent.hook.release();
        },
      };
    } catch (thrown) {
      throw new RpcError("failed", "unsendable-value", (thrown as Error).message);
    }
  }

  private signal(signal: AbortSignal): Beside {
    return {
      entry: (pusher) => {
        if (pusher === null) throw noPusher("an AbortSignal");
        const pushed = pushSignal(pusher);
        const trigger = new Trigger(pushed.trigger);
        const onAbort = (): void => trigger.fire(reasonOf(signal.reason, this.terms));
        signal.addEventListener("abort", onAbort, { once: true });
        this.signals.push(() => {
          signal.removeEventListener("abort", onAbort);
          trigger.release();
        });
        // What went with a result is over when it can fire no more.
        whenCollected(signal, this.scheduler, releaserOf(trigger));
        return { tag: ABORT_SIGNAL, hook: pushed.signal, token: null };
      },
      drop: ignore,
    };
  }

  /**
   * What is sent; its hooks are the caller's.
   *
   * @param pusher what the value goes to. @param session stays the caller's. @throws RpcError; then nothing is held.
   */
  take(pusher: Hook | null, session: Hook | null): Value {
    const { bytes, externals } = this.encoded!;
    const entries: Entry[] = [];
    const used = new Set(externals);
    // What an ErrorPolicy kept back.
    for (const [index, beside] of this.beside.entries()) if (!used.has(index)) beside.drop();
    try {
      for (const index of externals) entries.push(this.beside[index]!.entry(pusher, session));
    } catch (thrown) {
      for (const { hook } of entries) hook?.release();
      for (const index of externals.slice(entries.length)) this.beside[index]!.drop();
      this.beside.length = 0;
      this.release();
      throw thrown;
    }
    this.beside.length = 0;
    return { bytes, entries };
  }

  /** Stubs that went with it are given away: whoever has the result may call this once it has let go of it. */
  giveAway(): void {
    for (const root of this.given) root.dispose();
    this.given = [];
  }

  /** The call is over that the value went with: streams go on, nobody is told of signals any more. Idempotent. */
  over(): void {
    for (const stop of this.signals) stop();
    this.signals = [];
    this.streams = [];
  }

  /** The call was given up, so its streams break. */
  giveUp(error: RpcError): void {
    for (const one of this.streams) one(error);
    this.over();
  }

  /** The value is not sent after all. */
  release(): void {
    for (const beside of this.beside) beside.drop();
    this.beside.length = 0;
    this.giveAway();
  }
}

/** Fires a signal at the other side, once. */
class Trigger {
  private hook: Hook | null;

  /** @param hook taken over. */
  constructor(hook: Hook) {
    this.hook = hook;
  }

  fire(reason: Value): void {
    if (this.hook !== null) fire(this.hook, reason);
    this.release();
  }

  release(): void {
    this.hook?.release();
    this.hook = null;
  }
}

/** By itself, since a function made beside others holds what those hold, and so the signal. */
function releaserOf(trigger: Trigger): () => void {
  return () => trigger.release();
}

function noPusher(what: string): RpcError {
  const message = `${what} cannot go with these results: the caller takes none`;
  return new RpcError("unimplemented", "unsendable-value", message);
}

/** The reason of a signal as a value, or what can be said of it when it cannot travel. */
function reasonOf(reason: unknown, { errors }: Terms): Value {
  const options = errors && { errors };
  try {
    return { bytes: encodeV8(reason, NOTHING_BESIDE, options).bytes, entries: [] };
  } catch {
    const told = new Error(RpcError.from(reason).message);
    return { bytes: encodeV8(told, NOTHING_BESIDE, options).bytes, entries: [] };
  }
}
