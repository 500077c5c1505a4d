// Role: a value on its way in: from a payload, with what is made of the references in it.
// State: the references of one value, until they are handed on. Must not know: who calls whom.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import type { Payload } from "../../hook/payload.js";
import { nullHook, type Results } from "../../hook/results.js";
import { askValue, ValueObserver } from "./ask.js";
import type { Asker } from "./debug.js";
import type { Root } from "./place.js";
import { PlainResult } from "./plain.js";
import {
  KIND_ABORTED,
  KIND_BLOB,
  KIND_BYTES,
  KIND_OBJECT,
  KIND_PROMISE,
  KIND_READABLE,
  KIND_SIGNAL,
  KIND_WRITABLE,
  readResult,
  type References,
  UNDEFINED,
} from "./protocol.js";
import { above, localObject, type ReceivedStream } from "./references.js";
import type { Terms } from "./terms.js";
import { decodeSpan, type ReferenceSource, type Span } from "./values/index.js";

/** Told of a value, once, by one of both. */
export interface Receiver extends Asker {
  /** @param held what holds the references in it; null when there are none. */
  received(value: unknown, held: Incoming | null): void;
  fail(error: RpcError): void;
}

/** A promise may be the value of a promise, and so on, as a peer likes. */
const DEEPEST = 64;

/** The references of one value that came in: it makes stubs of them, and owns these until they are handed on. */
export class Incoming implements ReferenceSource {
  private readonly payload: Payload;
  private readonly references: References;
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private readonly depth: number;
  private readonly values: unknown[] = [];
  private stubs: Root[] = [];
  private waiting: Set<Results> | null = null;
  private inner: Incoming[] = [];
  private made: object[] = [];
  private streams: ReceivedStream[] | null = null;
  private blobs: (() => void)[] | null = null;
  private ended = false;
  private bytes: Span | null = UNDEFINED;
  private receiver: Receiver | null = null;
  private left = 0;

  /** @param payload its capabilities are released as soon as there are stubs for them; that may be done before, too. */
  constructor(
    payload: Payload,
    references: References,
    scheduler: Scheduler,
    terms: Terms,
    depth = 0,
  ) {
    this.payload = payload;
    this.references = references;
    this.scheduler = scheduler;
    this.terms = terms;
    this.depth = depth;
  }

  /**
   * Decodes `bytes`, the values of promises in it first, and tells `receiver`, now or from a job; not after
   * {@link dispose}.
   *
   * @param bytes null for the list of what the references are.
   */
  decode(bytes: Span | null, receiver: Receiver): void {
    const { kinds } = this.references;
    this.bytes = bytes;
    this.receiver = receiver;
    // One more than there are, so that it does not end before all are asked for.
    this.left = 1;
    for (let i = 0; i < kinds.length && !this.ended; i++) {
      const kind = kinds[i];
      if (kind !== KIND_PROMISE && kind !== KIND_ABORTED && kind !== KIND_BLOB) continue;
      this.left++;
      if (kind === KIND_BLOB) this.fetch(i);
      else this.await(i);
    }
    this.ready();
  }

  private ready(): void {
    if (--this.left > 0 || this.ended) return;
    const { bytes } = this;
    let value: unknown;
    try {
      if (bytes === null) value = this.references.kinds.map((kind, i) => this.revive(kind, i));
      else value = bytes === UNDEFINED ? undefined : decodeWith(this.terms, bytes, this);
    } catch (thrown) {
      return this.failed(RpcError.from(thrown));
    }
    this.payload.release();
    this.receiver!.received(value, this);
  }

  private failed(error: RpcError): void {
    if (this.ended) return;
    this.dispose();
    this.receiver!.fail(error);
  }

  revive(kind: number, index: number): unknown {
    const { kinds } = this.references;
    if (!(index < kinds.length) || kinds[index] !== kind) throw missing(kind, index);
    if (kind === KIND_PROMISE || kind === KIND_BLOB) return this.values[index];
    if (kind === KIND_ABORTED) return (this.made[index] ??= AbortSignal.abort(this.values[index]));
    const isStream = kind === KIND_READABLE || kind === KIND_WRITABLE || kind === KIND_BYTES;
    if (kind !== KIND_OBJECT && kind !== KIND_SIGNAL && !isStream)
      throw new RpcError(
        "unimplemented",
        "invalid-payload",
        `references of kind ${kind} are unknown`,
      );
    const known = this.made[index];
    if (known !== undefined) return known;
    const hook = this.hook(index);
    const made = isStream
      ? this.stream(kind, hook)
      : kind === KIND_SIGNAL
        ? this.signal(hook)
        : this.stub(hook);
    return (this.made[index] = made);
  }

  private stream(kind: number, hook: Hook): object {
    const received = above.receiveStream(kind, hook, this.terms);
    (this.streams ??= []).push(received);
    return received.stream;
  }

  private signal(hook: Hook): AbortSignal {
    const { root, signal } = above.follow(hook, this.terms);
    this.stubs.push(root);
    return signal;
  }

  private stub(hook: Hook): object {
    const { root, proxy } = above.stub(hook, this.terms, this.receiver!);
    this.stubs.push(root);
    return proxy;
  }

  /** Ends every stub and stream that was made of the references, and what is still awaited. Idempotent. */
  dispose(): void {
    this.endLoan();
    for (const stream of this.streams ?? []) stream.dispose();
    this.streams = null;
    for (const one of this.inner) one.dispose();
    this.inner = [];
  }

  /** Breaks the streams that nobody uses: the method that they were for has failed. */
  dropUnused(): void {
    for (const stream of this.streams ?? []) if (!stream.isUsed()) stream.dispose();
    for (const one of this.inner) one.dropUnused();
  }

  /** Ends what was lent: all but streams, which change hands. Idempotent. */
  endLoan(): void {
    this.ended = true;
    this.payload.release();
    const { stubs, waiting, blobs } = this;
    this.stubs = [];
    this.waiting = null;
    this.blobs = null;
    for (const stub of stubs) stub.dispose();
    for (const results of waiting ?? []) results.cancel();
    for (const giveUp of blobs ?? []) giveUp();
    for (const one of this.inner) one.endLoan();
  }

  /** Whether there is anything to dispose. */
  get holdsAny(): boolean {
    return this.stubs.length > 0 || this.streams !== null || this.inner.some((one) => one.holdsAny);
  }

  private hook(index: number): Hook {
    const at = this.references.caps[index]!;
    return this.payload.caps[at]?.addRef() ?? nullHook(this.scheduler);
  }

  private fetch(index: number): void {
    const giveUp = above.receiveBlob(
      this.hook(index),
      this.terms,
      (blob) => {
        this.values[index] = blob;
        this.ready();
      },
      (error) => this.failed(error),
    );
    (this.blobs ??= []).push(giveUp);
  }

  /** Puts the value of promise `index` into `values`. At once where it is known here, so that calls keep their order. */
  private await(index: number): void {
    const receiver: Receiver = {
      received: (value) => {
        this.values[index] = value;
        this.ready();
      },
      // Of a signal the reason alone may not travel: it has aborted all the same.
      fail: (error) =>
        this.references.kinds[index] === KIND_ABORTED
          ? receiver.received(error, null)
          : this.failed(error),
    };
    const hook = this.hook(index);
    const local = localObject(hook);
    if (local === null) {
      const results = askValue(hook);
      (this.waiting ??= new Set()).add(results);
      results.observe(
        new ValueObserver((error, payload) => {
          this.waiting?.delete(results);
          if (error !== null) receiver.fail(error);
          else this.settle(payload!, receiver);
        }),
      );
    } else if (local.self !== null) receiver.received(this.stub(hook.addRef()), null);
    else {
      try {
        this.settle(local.share(), receiver);
      } catch (thrown) {
        receiver.fail(RpcError.from(thrown));
      }
    }
    hook.release();
  }

  private settle(payload: Payload, receiver: Receiver): void {
    if (this.ended) return payload.release();
    const inner = receiveValue(payload, this.scheduler, this.terms, receiver, this.depth + 1);
    if (inner !== null) this.inner.push(inner);
  }
}

/**
 * Decodes the value of a Result, which is taken over.
 * @returns what holds its references, to be disposed if the value is not waited for any more; null when there are none.
 */
export function receiveValue(
  payload: Payload,
  scheduler: Scheduler,
  terms: Terms,
  receiver: Receiver,
  depth = 0,
): Incoming | null {
  if (payload instanceof PlainResult) {
    receiver.received(payload.value, null);
    return null;
  }
  let decoded: unknown;
  try {
    if (depth > DEEPEST) {
      const message = `more than ${DEEPEST} promises, each the value of the one before`;
      throw new RpcError("failed", "limit-exceeded", message);
    }
    const { value, hasValue, references } = readResult(payload.content);
    if (!hasValue)
      throw new RpcError("failed", "invalid-payload", "the value was asked for and is missing");
    if (references.kinds.length > 0) {
      const incoming = new Incoming(payload, references, scheduler, terms, depth);
      incoming.decode(value ?? UNDEFINED, receiver);
      return incoming;
    }
    decoded = value === null ? undefined : decodeWith(terms, value, NO_REFERENCES);
    payload.release();
  } catch (thrown) {
    payload.release();
    receiver.fail(RpcError.from(thrown));
    return null;
  }
  receiver.received(decoded, null);
  return null;
}

/** The value in `bytes`, with the classes of `terms`. @throws RpcError as decodeSpan does. */
export function decodeWith(terms: Terms, bytes: Span, source: ReferenceSource): unknown {
  return decodeSpan(bytes, source, undefined, terms);
}

/** Of a value that none came with. */
export const NO_REFERENCES: ReferenceSource = {
  revive(kind, index) {
    throw missing(kind, index);
  },
};

function missing(kind: number, index: number): RpcError {
  const message = `a value names reference ${index} of kind ${kind}, which did not come with it`;
  return new RpcError("failed", "invalid-payload", message);
}
