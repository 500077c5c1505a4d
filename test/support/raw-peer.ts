// Role: a peer that speaks by script: every message by hand, good or bad, against one Connection of ours.
// State: the connection, its scheduler, what it said and nobody has read yet, and the objects it was given.
// Must not know: the tables of rpc/. It shows what is on the wire, as lines of text.

import { expect } from "vitest";
import { ERROR_TYPES, RpcError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/base/limits.js";
import { Scheduler } from "../../src/base/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall, LocalHook } from "../../src/hook/local.js";
import { Connection, type ConnectionOptions } from "../../src/rpc/connection.js";
import { Descriptors, DescriptorKind, TargetKind } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { Outbox } from "../../src/wire/outbox.js";
import { Content } from "../../src/wire/content.js";
import { call, content, type Method, payload, Recorder } from "./objects.js";

/** A capability in a table, or what a message is addressed to, as the PEER describes it. */
export interface Cap {
  kind: number;
  id: number;
  path: readonly number[];
}

/** An object of the peer's. */
export const hosted = (id: number): Cap => ({ kind: DescriptorKind.senderHosted, id, path: [] });
/** A promise of the peer's. */
export const promised = (id: number): Cap => ({ kind: DescriptorKind.senderPromise, id, path: [] });
/** An export of the connection under test. */
export const yours = (id: number): Cap => ({ kind: DescriptorKind.receiverHosted, id, path: [] });
/** A capability in what the connection under test answers to the peer's question `id`. */
export const answer = (id: number, ...path: number[]): Cap => ({
  kind: DescriptorKind.receiverAnswer,
  id,
  path,
});
/** No capability. */
export const none: Cap = { kind: DescriptorKind.none, id: 0, path: [] };

/** A content that is a bare capability pointer, to slot 0. */
export const BARE = new Content(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));
/** A content that is a null pointer. */
export const NULL = Content.NULL;

export interface CallOptions {
  method?: number;
  value?: number;
  caps?: Cap[];
  /** Instead of a struct with `value` and one pointer per capability. */
  content?: Content;
  /** 1 allowThirdParty, 2 noPromisePipelining, 4 onlyPromisePipeline. */
  flags?: number;
  /** 0 caller, 1 yourself. */
  to?: number;
}

export interface ReturnOptions {
  value?: number;
  caps?: Cap[];
  content?: Content;
  releaseParams?: boolean;
  noFinish?: boolean;
}

/**
 * The peer. Each message method delivers one message, runs what follows from it, and returns what the connection said,
 * one line a message; `acts` does the same for what the test does on our side.
 *
 * @example
 * const peer = new RawPeer({ methods: { 1: (c) => c.returns(payload(7)) } });
 * expect(peer.bootstrap(0)).toEqual(["return 0 results bare 0 caps=[senderHosted 0]"]);
 * expect(peer.call(1, answer(0), { method: 1 })).toEqual(["return 1 results value=7 noFinish"]);
 * peer.finish(0); // releases the result capabilities
 * peer.done(); // nothing is left, on either side
 */
export class RawPeer {
  readonly scheduler = new Scheduler();
  readonly connection: Connection;
  readonly limits: Limits;
  /** The bootstrap object, when it is made here. */
  readonly server: Recorder;
  /** What ended the connection. */
  over: RpcError | null = null;
  /** False: jobs wait for `drain`, as if the next message had come in the same turn. */
  draining = true;
  /** Every line the connection ever said. */
  readonly said: string[] = [];
  /** The same messages as bytes. */
  readonly messages: Uint8Array[] = [];
  private unread = 0;
  private readonly outbox = new Outbox();
  private readonly own = new Outbox();
  private readonly write: IntroductionWriter;
  private readonly reader: MessageReader;
  private readonly frame = new Frame();
  private readonly objects: { recorder: Recorder; hook: LocalHook }[] = [];
  private now = 0;

  constructor(
    options: Partial<Omit<ConnectionOptions, "scheduler" | "outbox" | "shutdown">> & {
      methods?: Record<number, Method>;
    } = {},
  ) {
    this.limits = options.limits ?? DEFAULT_LIMITS;
    this.write = new IntroductionWriter(this.own, DEFAULT_LIMITS);
    this.reader = new MessageReader(DEFAULT_LIMITS);
    this.server = new Recorder(options.methods ?? {});
    const { methods: _, bootstrap, ...rest } = options;
    this.connection = new Connection({
      ...rest,
      scheduler: this.scheduler,
      outbox: this.outbox,
      bootstrap: bootstrap === undefined ? this.object(this.server) : bootstrap,
      shutdown: (error) => {
        this.over = error;
      },
    });
    this.scheduler.onError = (error) => {
      throw error;
    };
  }

  /** An object of ours that must be dropped, once, by the time of `done`. The test's own reference goes there. */
  object(recorder: Recorder): LocalHook {
    const hook = recorder.hook(this.scheduler);
    this.objects.push({ recorder, hook });
    return hook;
  }

  /** Our reference to what the peer calls `cap`, fetched by a Bootstrap of ours. The test releases it. */
  remote(cap: Cap): Hook {
    expect(this.drain(), "lines that nobody read").toEqual([]);
    const hook = this.connection.bootstrap();
    const [line] = this.drain();
    const question = Number(line!.split(" ")[1]);
    expect(this.returns(question, { caps: [cap], content: BARE })).toEqual([`finish ${question}`]);
    return hook;
  }

  // -- What the peer says --------------------------------------------------------------------------------------------

  bootstrap(question: number): string[] {
    return this.send((w) => w.bootstrap(question));
  }

  /** A number addresses an export of ours. */
  call(question: number, target: number | Cap, options: CallOptions = {}): string[] {
    const { kind, id, path } = addressed(target);
    const { method = 0, value = 0, caps = [], flags = 0, to = 0 } = options;
    const body = options.content ?? content(value, caps.length);
    return this.send((w) =>
      w.call(question, kind, id, path, 0, 0x7e57, method, flags, to, body, table(caps)),
    );
  }

  returns(question: number, options: ReturnOptions = {}): string[] {
    const { value = 0, caps = [], releaseParams = false, noFinish = false } = options;
    const body = options.content ?? content(value, caps.length);
    return this.send((w) => w.returnResults(question, releaseParams, noFinish, body, table(caps)));
  }

  fails(question: number, error: RpcError | string, options: ReturnOptions = {}): string[] {
    const { releaseParams = false, noFinish = false } = options;
    return this.send((w) => w.returnException(question, releaseParams, noFinish, failure(error)));
  }

  /** A Return by raw tag: 2 canceled, 3 resultsSentElsewhere, 4 takeFromOtherQuestion, or any other. */
  returnsTag(
    question: number,
    tag: number,
    options: ReturnOptions & { other?: number } = {},
  ): string[] {
    const { releaseParams = false, noFinish = false, other = 0 } = options;
    return this.send((w) => w.returnOther(question, tag, releaseParams, noFinish, other));
  }

  finish(question: number, releaseResults = true, workaround = false): string[] {
    return this.send((w) => w.finish(question, releaseResults, workaround));
  }

  resolve(promise: number, cap: Cap): string[] {
    return this.send((w) => w.resolveCap(promise, cap.kind, cap.id, cap.path));
  }

  breaks(promise: number, error: RpcError | string): string[] {
    return this.send((w) => w.resolveException(promise, failure(error)));
  }

  release(id: number, count = 1): string[] {
    return this.send((w) => w.release(id, count));
  }

  /** `context`: 0 senderLoopback, 1 receiverLoopback, or any other. */
  disembargo(target: number | Cap, context: number, embargo: number): string[] {
    const { kind, id, path } = addressed(target);
    return this.send((w) => w.disembargo(kind, id, path, context, embargo));
  }

  abort(error: RpcError | string): string[] {
    return this.send((w) => w.abort(failure(error)));
  }

  /** Says that the message which `build` writes is not implemented. */
  unimplemented(build: (write: IntroductionWriter) => void): string[] {
    const inner = this.encode(build);
    parseFrame(inner, this.frame, DEFAULT_LIMITS);
    const { frame } = this;
    return this.send((w) => w.unimplemented(frame));
  }

  /** Any message, damaged by `harm` on its way. */
  send(build: (write: IntroductionWriter) => void, harm?: (message: Uint8Array) => void): string[] {
    const message = this.encode(build);
    harm?.(message);
    return this.bytes(message);
  }

  /** Raw bytes: what should be one frame. */
  bytes(message: Uint8Array): string[] {
    try {
      parseFrame(message, this.frame, this.limits);
      this.connection.handle(this.frame, ++this.now);
    } catch (thrown) {
      this.connection.fault(RpcError.from(thrown));
    }
    return this.draining ? this.drain() : [];
  }

  /** One frame of one segment, from the bytes of its words in hexadecimal, spaces ignored. */
  hex(...words: string[]): string[] {
    const digits = words.join("").replaceAll(" ", "");
    const segment = Uint8Array.from(digits.match(/../g)!, (pair) => Number.parseInt(pair, 16));
    const frame = new Uint8Array(8 + segment.length);
    frame[4] = segment.length / 8;
    frame.set(segment, 8);
    return this.bytes(frame);
  }

  /** The bytes of one message. */
  encode(build: (write: IntroductionWriter) => void): Uint8Array {
    build(this.write);
    const batch = this.own.take()!;
    const message = joined(batch.chunks);
    batch.release();
    return message;
  }

  // -- What the connection says --------------------------------------------------------------------------------------

  /** Acts on our side, then returns what the connection said. */
  acts(action: () => void): string[] {
    action();
    return this.drain();
  }

  /** Runs all jobs; returns the lines nobody has read yet. */
  drain(): string[] {
    this.scheduler.drain();
    const batch = this.outbox.take();
    if (batch !== null) {
      for (const parts of batch.messages()) {
        const message = joined(parts);
        this.messages.push(message);
        parseFrame(message, this.frame, DEFAULT_LIMITS);
        this.reader.read(this.frame);
        this.said.push(lineOf(this.reader));
      }
      batch.release();
    }
    this.connection.check();
    const lines = this.said.slice(this.unread);
    this.unread = this.said.length;
    return lines;
  }

  /**
   * Zero residue, once the methods that still run have ended: the tables are empty, nothing is unread, and every object
   * of ours is let go of, once. Says nothing of an Abort that the test has read: see `aborted`.
   */
  done(): void {
    expect(this.drain(), "lines that nobody read").toEqual([]);
    const { connection } = this;
    if (!connection.idle) throw new Error(`the connection is not empty:\n${connection.dump()}`);
    expect(connection.stats()).toMatchObject({ incomingCallBytes: 0, heldResultBytes: 0 });
    expect(connection.state.exportsByHook.size, "reverse entries").toBe(0);
    if (this.over === null) connection.close();
    expect(this.drain(), "an idle connection ends without a word").toEqual([]);
    for (const { recorder, hook } of this.objects) {
      for (const call of recorder.calls) call.returns();
      if (hook.refCount > 0) hook.release();
    }
    this.scheduler.drain();
    expect(this.scheduler.pending).toBe(0);
    for (const { recorder, hook } of this.objects) {
      expect(hook.refCount, `references left to the object that saw ${recorder.seen}`).toBe(0);
      expect(recorder.droppedTimes).toBe(1);
    }
  }

  /** The end of a test of what aborts: the last line is the Abort, and everything is let go of. */
  aborted(lines: string[], reason: RegExp | string): void {
    expect(lines.at(-1)).toMatch(/^abort /);
    expect(lines.at(-1)).toMatch(reason);
    expect(this.over).not.toBe(null);
    this.done();
  }
}

/**
 * A peer that holds export 0, our server: method 1 keeps the capabilities of its params for the test, method 2 returns
 * the server itself, method 3 keeps its calls open, method 4 returns the capabilities of its params.
 */
export class ServedPeer extends RawPeer {
  readonly kept: Hook[] = [];

  constructor(options: ConstructorParameters<typeof RawPeer>[0] = {}) {
    super({
      ...options,
      methods: {
        1: (c, value) => {
          for (const cap of c.params.caps) if (cap !== null) this.kept.push(cap.addRef());
          c.returns(payload(value));
        },
        2: (c) => c.returns(payload(0, c.self.addRef())),
        3: () => {},
        4: (c) => c.returns(payload(0, ...c.params.caps.map((cap) => cap?.addRef() ?? null))),
        ...options.methods,
      },
    });
    this.bootstrap(99);
    this.finish(99, false);
  }

  /** Gives us `caps`: the references are the test's to release. */
  give(...caps: Cap[]): Hook[] {
    const before = this.kept.length;
    expect(this.call(98, 0, { method: 1, caps })).toEqual(["return 98 results noFinish"]);
    return this.kept.slice(before);
  }

  /** Passes one of our capabilities to the peer, in a call on `cap` that it answers at once. Returns how it was described. */
  get(cap: Hook, ...ours: Hook[]): string {
    const results = call(cap, 0, 0, ...ours.map((hook) => hook.addRef()));
    const lines = this.drain();
    const [line] = lines;
    results.cancel();
    this.drain();
    this.returns(Number(line!.split(" ")[1]));
    return line!.match(/caps=\[(.*)\]/)![1]!;
  }

  /** The end of a test after which the connection lives: the peer lets go of our server, and nothing is left. */
  ends(): void {
    expect(this.over, "what ended the connection").toBe(null);
    this.release(0);
    this.done();
  }
}

function addressed(target: number | Cap): Cap {
  if (typeof target === "number") return { kind: TargetKind.importedCap, id: target, path: [] };
  if (target.kind === DescriptorKind.receiverAnswer)
    return { ...target, kind: TargetKind.promisedAnswer };
  return target;
}

/** A capability table, for messages written by hand. */
export function table(caps: readonly Cap[]): Descriptors {
  const descriptors = new Descriptors();
  for (const { kind, id, path } of caps) descriptors.add(kind, id, path);
  return descriptors;
}

function failure(error: RpcError | string): RpcError {
  return typeof error === "string" ? new RpcError("failed", "remote-exception", error) : error;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

// -- One message as one line -----------------------------------------------------------------------------------------

const RETURNS = ["results", "exception", "canceled", "resultsSentElsewhere"];
const KINDS = ["none", "senderHosted", "senderPromise", "receiverHosted", "receiverAnswer"];
const CONTEXTS = ["senderLoopback", "receiverLoopback", "accept"];

/** The message that `r` has read, as a line. Defaults are left out. */
export function lineOf(r: MessageReader): string {
  switch (r.tag) {
    case 0: {
      const inner = r.inner();
      return `unimplemented ${inner === null ? "nothing" : lineOf(inner)}`;
    }
    case 1:
      return `abort ${exceptionOf(r)}`;
    case 2: {
      const flags = [
        r.sendResultsTo === 1 ? " toYourself" : "",
        r.noPromisePipelining ? " noPipelining" : "",
        r.onlyPromisePipeline ? " onlyPipeline" : "",
      ];
      return `call ${r.questionId} ${targetOf(r)} method=${r.methodId}${payloadOf(r)}${flags.join("")}`;
    }
    case 3: {
      const flags = `${r.releaseParamCaps ? " releaseParams" : ""}${r.noFinishNeeded ? " noFinish" : ""}`;
      let what = RETURNS[r.returnTag] ?? `tag${r.returnTag}`;
      if (r.returnTag === 0) what += payloadOf(r);
      if (r.returnTag === 1) what += ` ${exceptionOf(r)}`;
      if (r.returnTag === 4) what = `takeFromOtherQuestion ${r.takeFromOtherQuestion}`;
      return `return ${r.questionId} ${what}${flags}`;
    }
    case 4:
      return `finish ${r.questionId}${r.releaseResultCaps ? " releaseResults" : ""}${r.requireEarlyCancellationWorkaround ? " workaround" : ""}`;
    case 5:
      return `resolve ${r.id} ${r.resolveTag === 0 ? capOf(r, 0) : exceptionOf(r)}`;
    case 6:
      return `release ${r.id} x${r.referenceCount}`;
    case 8:
      return `bootstrap ${r.questionId}`;
    case 13:
      return `disembargo ${CONTEXTS[r.contextTag] ?? r.contextTag} ${r.embargoId} ${targetOf(r)}`;
    default:
      return `message ${r.tag}`;
  }
}

/** A peer that has given us its capabilities: the arguments of a call of method 9, which are ours to release. */
export function given(...caps: Cap[]): { peer: RawPeer; hooks: Hook[] } {
  let hooks: Hook[] = [];
  const peer = new RawPeer({
    methods: {
      9: (c: LocalCall) => {
        hooks = c.params.caps.map((cap) => cap!.addRef());
        c.returns();
      },
      3: () => {},
    },
  });
  peer.bootstrap(0);
  peer.call(1, answer(0), { method: 9, caps });
  return { peer, hooks };
}

function targetOf(r: MessageReader): string {
  if (r.targetKind === 0) return `import ${r.targetId}`;
  if (r.targetKind === 1) return `answer ${[r.targetId, ...r.path].join(".")}`;
  return `target${r.targetKind}`;
}

function payloadOf(r: MessageReader): string {
  const { bytes } = r.takeContent();
  const view = new DataView(bytes.buffer);
  const bare = view.getUint32(0, true) === 3 ? ` bare ${view.getUint32(4, true)}` : "";
  const value = bytes.length < 16 ? 0 : view.getUint32(8, true);
  const caps = Array.from({ length: r.capCount }, (_, i) => capOf(r, i));
  return `${bare}${value === 0 ? "" : ` value=${value}`}${caps.length === 0 ? "" : ` caps=[${caps.join(", ")}]`}`;
}

function capOf(r: MessageReader, i: number): string {
  const kind = r.capKind(i);
  if (kind === 0) return "none";
  return `${KINDS[kind] ?? `kind${kind}`} ${[r.capId(i), ...r.capPath(i)].join(".")}`;
}

function exceptionOf(r: MessageReader): string {
  const error = r.takeException();
  return `${ERROR_TYPES[error.wireType] ?? error.wireType} "${error.message}"`;
}
