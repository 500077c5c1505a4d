// Role: counts how often a run met the races that it is for, from the frames on the links and the tables at their ends.
// State: the counts; what was seen between one frame and the next.
// Must not know: the program.

import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import type { Hook } from "../../src/hook/hook.js";
import type { ConnectionState } from "../../src/rpc/state.js";
import type { MeshEnd } from "../../src/vat/mesh.js";
import { ContextTag, MessageTag, ReturnTag, TargetKind } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";

/** How often each race occurred. */
export interface Counts {
  embargo: number;
  /** An embargo on a promise whose resolution waited for an embargo on the next connection. */
  twoHopEmbargo: number;
  /** A capability that came out of one embargo and into another. */
  doubleEmbargo: number;
  tailCall: number;
  /** A Finish that reached a call before its Return was sent. */
  cancel: number;
  /** A Resolve that reached a promise which was released meanwhile. */
  resolveRace: number;
  disconnect: number;
  /** A Release that reached an export which was described again meanwhile. */
  releaseRace: number;
}

export function noCounts(): Counts {
  return {
    embargo: 0,
    twoHopEmbargo: 0,
    doubleEmbargo: 0,
    tailCall: 0,
    cancel: 0,
    resolveRace: 0,
    disconnect: 0,
    releaseRace: 0,
  };
}

export function addCounts(sum: Counts, more: Counts): void {
  for (const name of Object.keys(sum) as (keyof Counts)[]) sum[name] += more[name];
}

/** Byte of the message's tag: behind the frame's header and the root pointer, in a message of one segment. */
const TAG_AT = 16;

const frame = new Frame();
const reader = new MessageReader(DEFAULT_LIMITS);

/** Watches the links of one run. */
export class Counter {
  readonly counts: Counts;
  private readonly ends: readonly MeshEnd[];
  /** Promises exported by `ends[i]` whose Resolve left in the turn in which an embargo was lifted. */
  private readonly lifted = new Map<MeshEnd, Set<number>>();
  /** Capabilities that came out of an embargo as promises still. */
  private readonly released: Hook[] = [];
  private tag = 0;
  private id = 0;
  private sentBefore: number[] = [];

  constructor(counts: Counts, ends: readonly MeshEnd[]) {
    this.counts = counts;
    this.ends = ends;
  }

  /** The oldest message of `end` is about to be delivered. */
  before(end: MeshEnd): void {
    const message = end.sent[0]!;
    this.tag = message[0] === 0 ? message[TAG_AT]! : -1;
    const { state } = end.other.connection;
    switch (this.tag) {
      case MessageTag.return:
        this.read(message);
        if (reader.returnTag === ReturnTag.takeFromOtherQuestion) this.counts.tailCall++;
        return;
      case MessageTag.finish:
        this.read(message);
        if (state.answers.get(reader.questionId)?.hasReturned === false) this.counts.cancel++;
        return;
      case MessageTag.resolve:
        this.read(message);
        if (state.imports.get(reader.id) === undefined) this.counts.resolveRace++;
        return;
      case MessageTag.release:
        this.read(message);
        this.id = reader.id;
        return;
      case MessageTag.disembargo:
        this.read(message);
        this.beforeDisembargo(end, state);
        return;
      default:
    }
  }

  after(end: MeshEnd): void {
    if (this.tag === MessageTag.release) {
      if (end.other.connection.state.exports.get(this.id) !== undefined) this.counts.releaseRace++;
    } else if (this.tag === MessageTag.disembargo && this.sentBefore.length > 0) this.afterLift();
  }

  private beforeDisembargo(end: MeshEnd, state: ConnectionState): void {
    if (reader.contextTag === ContextTag.senderLoopback) {
      this.counts.embargo++;
      if (
        reader.targetKind === TargetKind.importedCap &&
        this.lifted.get(end.other)?.has(reader.targetId) === true
      )
        this.counts.twoHopEmbargo++;
      for (let i = this.released.length - 1; i >= 0; i--) {
        const hook = this.released[i]!;
        const again = hook.refCount > 0 && this.isEmbargoed(hook.resolved());
        if (again) this.counts.doubleEmbargo++;
        if (again || hook.refCount === 0) this.released.splice(i, 1);
      }
      return;
    }
    const target = state.embargoes.get(reader.embargoId)?.target.resolved();
    if (target === undefined) return;
    if (this.isEmbargoed(target)) this.counts.doubleEmbargo++;
    else if (target.isPromise) this.released.push(target);
    this.sentBefore = this.ends.map((one) => one.sent.length - (one === end ? 1 : 0));
  }

  /** The turn that lifted an embargo is over: which promises did it resolve? */
  private afterLift(): void {
    this.ends.forEach((end, i) => {
      for (let at = this.sentBefore[i]!; at < end.sent.length; at++) {
        const message = end.sent[at]!;
        if (message[0] !== 0 || message[TAG_AT] !== MessageTag.resolve) continue;
        this.read(message);
        let ids = this.lifted.get(end);
        if (ids === undefined) this.lifted.set(end, (ids = new Set()));
        ids.add(reader.id);
      }
    });
    this.sentBefore = [];
  }

  private isEmbargoed(hook: Hook): boolean {
    return this.ends.some((end) =>
      end.connection.state.embargoes.values().some((embargo) => embargo.waiting === hook),
    );
  }

  private read(message: Uint8Array): void {
    parseFrame(message, frame, DEFAULT_LIMITS);
    reader.read(frame);
  }
}
