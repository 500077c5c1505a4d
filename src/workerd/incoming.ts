// Role: a value from workerd, with what is made of what came beside its bytes.
// State: the stubs and streams of one value, until they are handed on. Must not know: who calls whom.

import { RpcError } from "../base/errors.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { whenCollected } from "../cap/stream/collected.js";
import { receiveWritable } from "../cap/stream/writable.js";
import type { Hook } from "../hook/hook.js";
import type { Payload } from "../hook/payload.js";
import { streamValues } from "./errors.js";
import { makers } from "./makers.js";
import {
  ABORT_SIGNAL,
  READABLE,
  type ReceivedEntry,
  type ReceivedValue,
  RPC_TARGET,
  SERVICE_TOKEN,
  WRITABLE,
} from "./protocol.js";
import { pushedBehind, PushedSignal, PushedStream } from "./pushed.js";
import { KeptHook, TargetReach } from "./reach.js";
import { ServiceToken } from "./token.js";
import { decodeV8, type ExternalKind, type ExternalSource } from "./v8-value/index.js";

const TAGS: Readonly<Record<ExternalKind, number>> = {
  stub: RPC_TARGET,
  writableStream: WRITABLE,
  readableStream: READABLE,
  abortSignal: ABORT_SIGNAL,
  serviceStub: SERVICE_TOKEN,
};

/** One value. Owns what was made of its references until {@link dispose}. */
export class Incoming implements ExternalSource {
  private readonly payload: Payload;
  private readonly session: Hook | null;
  private readonly terms: Terms;
  private entries: readonly ReceivedEntry[] = [];
  private at = 0;
  private lent: (() => void)[] = [];
  private streams: { readonly dispose: () => void; readonly isUsed: () => boolean }[] = [];

  /** @param payload stays the caller's, and is read by `decode` alone. @param session of what is in the value; the caller's. */
  constructor(payload: Payload, session: Hook | null, terms: Terms) {
    this.payload = payload;
    this.session = session;
    this.terms = terms;
  }

  /** @throws RpcError; then nothing is held. */
  decode(value: ReceivedValue): unknown {
    this.entries = value.entries;
    try {
      return decodeV8(value.bytes, this);
    } catch (thrown) {
      this.dispose();
      throw thrown;
    }
  }

  get left(): number {
    return this.entries.length - this.at;
  }

  take(kind: ExternalKind): unknown {
    const entry = this.entries[this.at];
    if (entry === undefined || entry.tag !== TAGS[kind]) {
      const message = `a value names an external of kind ${kind}, and another came`;
      throw new RpcError("failed", "invalid-payload", message);
    }
    this.at++;
    if (entry.token !== null) return new ServiceToken(entry.token);
    const cap = this.payload.caps[entry.cap] ?? null;
    if (cap === null)
      throw new RpcError("failed", "invalid-payload", `a ${kind} came without a capability`);
    switch (kind) {
      case "stub":
        return this.stub(cap);
      case "writableStream":
        return this.writable(cap);
      case "readableStream":
        return this.readable(cap);
      default:
        return this.signal(cap);
    }
  }

  private stub(cap: Hook): object {
    const reach = new TargetReach(cap.addRef(), this.session?.addRef() ?? null);
    const { root, proxy } = makers.stub(reach, this.terms);
    this.lent.push(() => root.dispose());
    return proxy;
  }

  private writable(cap: Hook): WritableStream {
    const { session } = this;
    const sink = session === null ? cap.addRef() : new KeptHook(cap.addRef(), session.addRef());
    const received = receiveWritable(sink, streamValues(this.terms));
    this.streams.push(received);
    return received.stream;
  }

  private readable(cap: Hook): ReadableStream {
    const pushed = pushedBehind(cap);
    if (!(pushed instanceof PushedStream)) throw notPushed("stream");
    const stream = pushed.open(this.session, cap.scheduler);
    const ref = new WeakRef(stream);
    this.streams.push({
      dispose: () => pushed.giveUp(),
      isUsed: () => ref.deref()?.locked ?? false,
    });
    return stream;
  }

  private signal(cap: Hook): AbortSignal {
    const pushed = pushedBehind(cap);
    if (!(pushed instanceof PushedSignal)) throw notPushed("signal");
    const { signal } = pushed.controller;
    if (this.session !== null && !signal.aborted) {
      const end = releasing(this.session.addRef());
      signal.addEventListener("abort", end, { once: true });
      whenCollected(signal, cap.scheduler, end);
      this.lent.push(end);
    }
    return signal;
  }

  /** Keeps something else as long as the value. */
  keep(release: () => void): void {
    this.lent.push(release);
  }

  get holdsAny(): boolean {
    return this.lent.length > 0 || this.streams.length > 0;
  }

  /** Ends what was lent: all but streams, which change hands. Idempotent. */
  endLoan(): void {
    const { lent } = this;
    this.lent = [];
    for (const release of lent) release();
  }

  /** Breaks the streams that nobody uses. */
  dropUnused(): void {
    for (const stream of this.streams) if (!stream.isUsed()) stream.dispose();
  }

  /** Ends all of it. Idempotent. */
  dispose(): void {
    this.endLoan();
    for (const stream of this.streams) stream.dispose();
    this.streams = [];
  }
}

/** Releases `hook`, once. By itself, since a function made beside others holds what those hold. */
function releasing(hook: Hook): () => void {
  let held: Hook | null = hook;
  return () => {
    held?.release();
    held = null;
  };
}

function notPushed(what: string): RpcError {
  const message = `a ${what} came that was not made here before: that way is not known`;
  return new RpcError("unimplemented", "invalid-payload", message);
}
