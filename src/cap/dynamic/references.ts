// Role: values with references, to a payload and back: what is put into the capability table, what is made of it.
// State: per value, the references found in it. Must not know: who calls whom.

import { RpcError } from "../../base/errors.js";
import type { Origin } from "../../base/origin.js";
import type { Scheduler } from "../../base/scheduler.js";
import { CallRequest, Hook, NO_PROMISE_PIPELINING } from "../../hook/hook.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { NO_CAPS, Payload } from "../../hook/payload.js";
import { nullHook, type Results, type ResultsObserver } from "../../hook/results.js";
import type { Content } from "../../wire/content.js";
import type { Sent } from "../stream/sent.js";
import {
  decodeSpan,
  encodeValue,
  type ReferenceSink,
  type ReferenceSource,
  type Span,
  spanOf,
} from "./values/index.js";
import { placeOf, type Root, rootOf } from "./place.js";
import { PlainResult } from "./plain.js";
import {
  KIND_ABORTED,
  KIND_BLOB,
  KIND_OBJECT,
  KIND_PROMISE,
  KIND_READABLE,
  KIND_SIGNAL,
  KIND_WRITABLE,
  METHOD_GET,
  NO_KINDS,
  NO_STEPS,
  OBJECT_HI,
  OBJECT_LO,
  patchRequest,
  readResult,
  type References,
  UNDEFINED,
  WANT_OBJECT,
  writeRequest,
} from "./protocol.js";
import { isTarget } from "./target.js";
import type { Terms } from "./terms.js";

/** A root that can be put into a payload. */
export interface Referable extends Root {
  /** A promise is replaced by its value where it arrives. */
  readonly kind: number;
  /** What it stands for; stays its own. @throws RpcError capability-disposed */
  readonly live: Hook;
  /** What is put into the table: a new reference. Makes the call first that it is the result of. */
  refer(): Hook;
  /** It goes into a payload that is not sent yet. */
  lent(): void;
}

/** The layers above this one, which it makes things of. Filled in by stub.ts. */
export const above: {
  /** A new stub for `hook`, which it takes over. */
  stub: (hook: Hook, terms: Terms) => { readonly root: Root; readonly proxy: object };
  /** A new reference to the capability of a target or a function of this vat. */
  serve: (target: object, scheduler: Scheduler, terms: Terms) => Hook;
  /** A new reference to a capability that stands for `value`, a result that came here. The value's references stay its owner's. */
  hold: (value: unknown, scheduler: Scheduler, terms: Terms) => Hook;
  /** The function that stands for a signal. */
  functionOf: (signal: AbortSignal) => object;
  /** A signal that follows the one behind `hook`, which it takes over, until `root` is disposed. */
  follow: (hook: Hook, terms: Terms) => { readonly root: Root; readonly signal: AbortSignal };
  /** A stream or Blob as a reference; undefined for anything else. @throws RpcError unsendable-value. */
  sendStream: (
    value: object,
    path: string,
    scheduler: Scheduler,
    terms: Terms,
    gives: boolean,
  ) => { readonly kind: number; readonly sent: Sent } | undefined;
  /** The stream behind `hook`, which it takes over. */
  receiveStream: (kind: number, hook: Hook, terms: Terms) => ReceivedStream;
  /** Fetches the Blob behind `hook`, which it takes over. @returns gives it up. */
  receiveBlob: (
    hook: Hook,
    terms: Terms,
    received: (blob: Blob) => void,
    failed: (error: RpcError) => void,
  ) => () => void;
} = {
  stub: notReady,
  serve: notReady,
  hold: notReady,
  functionOf: notReady,
  follow: notReady,
  sendStream: notReady,
  receiveStream: notReady,
  receiveBlob: notReady,
};

/** A stream that came by reference. */
export interface ReceivedStream {
  readonly stream: object;
  /** Breaks it at both sides, unless it has ended. */
  readonly dispose: () => void;
  /** Whether somebody reads it or writes to it. */
  readonly isUsed: () => boolean;
}

function notReady(): never {
  throw new RpcError("failed", "internal-error", "the dynamic layer is not loaded");
}

/** An object of this vat behind the interface Object. */
export abstract class LocalObject implements Server {
  abstract dispatch(call: LocalCall): void;

  /** The target or function; null where it is a result. */
  abstract readonly self: object | null;

  /** The value of a result, given; only where `self` is null. */
  abstract share(): Payload;
}

/** The object of this vat behind `hook`, as far as is known now. Not while a stream call runs: it must not be overtaken. */
export function localObject(hook: Hook): LocalObject | null {
  const end = hook.resolved();
  return end instanceof LocalHook && end.server instanceof LocalObject && !end.streamBusy
    ? end.server
    : null;
}

/** The references of one value on its way out. */
export class Outgoing implements ReferenceSink {
  // Most values hold no reference, and few end anything: made when they are needed.
  private kindsMade: number[] | null = null;
  private entries: (Hook | Referable)[] | null = null;
  /** What ends with this value: what is given away, and promises that were asked for to be put into it. */
  private ends: Pick<Referable, "dispose">[] | null = null;
  private known: Map<object, number> | null = null;
  private streams: Sent[] | null = null;
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private readonly gives: boolean;

  /**
   * @param scheduler of capabilities that have to be made. @param terms those of what the value goes through.
   * @param gives stubs and promises in the value are given away with it, and disposed here whatever becomes of it.
   */
  constructor(scheduler: Scheduler, terms: Terms, gives = false) {
    this.scheduler = scheduler;
    this.terms = terms;
    this.gives = gives;
  }

  get kinds(): readonly number[] {
    return this.kindsMade ?? NO_KINDS;
  }

  reference(value: object, path: string): { kind: number; index: number } | undefined {
    const place = placeOf(value);
    if (place !== undefined && place.path.length === 0) return this.referenceTo(place.root);
    const seen = this.known?.get(value);
    if (seen !== undefined) return { kind: this.kinds[seen]!, index: seen };
    if (place !== undefined) {
      const root = rootOf(place);
      if (!this.gives) (this.ends ??= []).push(root as Referable);
      return this.referenceTo(root, value);
    }
    const { scheduler, terms } = this;
    if (value instanceof AbortSignal) {
      const { aborted } = value;
      const hook = aborted
        ? above.hold(value.reason, scheduler, terms)
        : above.serve(above.functionOf(value), scheduler, terms);
      return this.added(value, aborted ? KIND_ABORTED : KIND_SIGNAL, hook);
    }
    if (typeof value === "function" || isTarget(value))
      return this.added(value, KIND_OBJECT, above.serve(value, scheduler, terms));
    const stream = above.sendStream(value, path, scheduler, terms, this.gives);
    if (stream === undefined) return this.holder(value);
    (this.streams ??= []).push(stream.sent);
    return this.added(value, stream.kind, stream.sent.hook);
  }

  /** The reference to what another layer holds: a typed client. */
  private holder(value: object): { kind: number; index: number } | undefined {
    const holder = holderOf(value);
    return holder === undefined
      ? undefined
      : this.added(value, KIND_OBJECT, holder[HOLD](this.gives));
  }

  /** The reference to what `root` stands for. @param key what it is known by. */
  referenceTo(root: Root, key: object = root): { kind: number; index: number } {
    const seen = this.known?.get(key);
    if (seen !== undefined) return { kind: this.kinds[seen]!, index: seen };
    const referable = root as Referable;
    const { kind } = referable;
    // The call that a promise is the result of may not be made yet: there is nothing to refer to until then.
    if (kind !== KIND_OBJECT) referable.lent();
    const added = this.added(key, kind, kind === KIND_OBJECT ? referable.refer() : referable);
    if (this.gives) (this.ends ??= []).push(referable);
    return added;
  }

  private added(
    key: object,
    kind: number,
    entry: Hook | Referable,
  ): { kind: number; index: number } {
    const index = (this.kindsMade ??= []).push(kind) - 1;
    (this.entries ??= []).push(entry);
    (this.known ??= new Map()).set(key, index);
    return { kind, index };
  }

  /** Encodes `value`. @throws RpcError when something in it cannot travel; then no reference is held. */
  encode(value: unknown, root: string): Span {
    try {
      return spanOf(encodeValue(value, this, { root, types: this.terms.types }));
    } catch (thrown) {
      this.refused();
      throw thrown;
    }
  }

  /** The value cannot be sent: its streams are their owner's again. */
  refused(): void {
    for (const stream of this.streams ?? []) stream.restore();
    this.streams = null;
    this.release();
  }

  /** The streams in the value, which break if the call is given up that it was sent with; null for none. */
  takeStreams(): readonly Sent[] | null {
    const { streams } = this;
    this.streams = null;
    return streams;
  }

  /** The table. Every call that a promise in it is the result of has been made. */
  take(): readonly (Hook | null)[] {
    const { entries } = this;
    if (entries === null) return NO_CAPS;
    const hooks = entries.map((entry) => (entry instanceof Hook ? entry : entry.refer()));
    this.end();
    return hooks;
  }

  /** The value is not sent after all. */
  release(): void {
    for (const entry of this.entries ?? []) if (entry instanceof Hook) entry.release();
    this.end();
  }

  private end(): void {
    const { ends } = this;
    this.entries = null;
    this.ends = null;
    if (ends !== null) for (const root of ends) root.dispose();
  }
}

const GET_OBJECT: Content = /* @__PURE__ */ objectRequest();
const GET_VALUE: Content = /* @__PURE__ */ writeRequest(NO_STEPS, null, []);

/** Asks for the value of the result that `hook` stands for. */
export function askValue(hook: Hook, origin: Origin | null = null): Results {
  return ask(hook, GET_VALUE, origin);
}

/** Asks for the object of the result that `hook` stands for. */
export function askObject(hook: Hook): Results {
  return ask(hook, GET_OBJECT);
}

function ask(hook: Hook, content: Content, origin: Origin | null = null): Results {
  const params = new Payload(content);
  const call = new CallRequest(OBJECT_HI, OBJECT_LO, METHOD_GET, params, NO_PROMISE_PIPELINING);
  call.origin = origin;
  return hook.call(call);
}

function objectRequest(): Content {
  const content = writeRequest(NO_STEPS, null, []);
  patchRequest(content, WANT_OBJECT, 0);
  return content;
}

/** Told of a value, once, by one of both. */
export interface Receiver {
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
  private waiting: Results[] = [];
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
    const isStream = kind === KIND_READABLE || kind === KIND_WRITABLE;
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
    const { root, proxy } = above.stub(hook, this.terms);
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
    this.waiting = [];
    this.blobs = null;
    for (const stub of stubs) stub.dispose();
    for (const results of waiting) results.cancel();
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
      fail: (error) => this.failed(error),
    };
    const hook = this.hook(index);
    const local = localObject(hook);
    if (local === null) {
      const results = askValue(hook);
      this.waiting.push(results);
      results.observe(
        new ValueObserver((error, payload) => {
          this.waiting.splice(this.waiting.indexOf(results), 1);
          if (error !== null) this.failed(error);
          else this.settle(payload!, receiver);
        }),
      );
    } else if (local.self !== null) receiver.received(this.stub(hook.addRef()), null);
    else this.settle(local.share(), receiver);
    hook.release();
  }

  private settle(payload: Payload, receiver: Receiver): void {
    if (this.ended) return payload.release();
    const inner = receiveValue(payload, this.scheduler, this.terms, receiver, this.depth + 1);
    if (inner !== null) this.inner.push(inner);
  }
}

/** Waits for the answer to {@link askValue}. */
export class ValueObserver implements ResultsObserver {
  readonly immediate = false;
  private readonly tell: (error: RpcError | null, payload: Payload | null) => void;

  constructor(tell: (error: RpcError | null, payload: Payload | null) => void) {
    this.tell = tell;
  }

  resultsSettled(results: Results): void {
    results.dropPipeline();
    if (results.error !== null) {
      results.cancel();
      this.tell(results.error, null);
    } else this.tell(null, results.takePayload());
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
