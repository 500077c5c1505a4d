// Role: decodes the envelope of every rpc.capnp message to scalar fields of one reused reader.
// State: the fields of the message read last. Must not know: tables, hooks, or what a message does.

import type { RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { Content } from "./content.js";
import {
  DescriptorKind,
  Descriptors,
  EMPTY_PATH,
  MessageTag,
  ResolveTag,
  ReturnTag,
  TargetKind,
} from "./descriptors.js";
import { readException } from "./exception.js";
import type { Frame } from "./frame.js";
import { PointerReader, StructRef } from "./pointer.js";
import { PayloadCopier } from "./validate.js";

/** The commonest paths are one pointer long: they are shared, not made per message. */
const ONE_STEP: readonly (readonly number[])[] = Array.from({ length: 32 }, (_, i) =>
  Object.freeze([i]),
);

/**
 * One received message. `read` sets the fields that its `tag` has and leaves the others stale; all are valid until the
 * next `read`, and the `take` methods only as long as the Frame. The whole envelope, capability table and paths included,
 * is checked by `read`; the content only by `takeContent`, so that a bad one fails one call and not the connection
 * (C-VAL-23).
 *
 * Structs may be of any size (C-FRM-10), anything may sit behind far pointers (C-FRM-14), and tags of unions are given
 * raw, so that one unknown to us can be echoed (C-FRM-11).
 *
 * @example
 * reader.read(frame);
 * if (reader.tag === MessageTag.call) dispatch(reader.questionId, reader.takeContent());
 *
 * Source: rpc.capnp; conformance section 24.
 */
export class MessageReader {
  /** {@link MessageTag}, or a number unknown to us. */
  tag = 0;
  /** Of call, finish, bootstrap, provide, accept, join; of return and thirdPartyAnswer, their answerId. */
  questionId = 0;
  /** {@link TargetKind} or an unknown tag: of call, disembargo, provide, join. */
  targetKind = 0;
  /** The importedCap, or the promisedAnswer's question. */
  targetId = 0;
  /** Pointer indexes, noops dropped (C-PIP-02). */
  path: readonly number[] = EMPTY_PATH;
  /** Whether the transform has an operation unknown to us: then `path` must not be followed (C-PIP-06). */
  pathUnknownOp = false;
  interfaceHi = 0;
  interfaceLo = 0;
  methodId = 0;
  allowThirdPartyTailCall = false;
  noPromisePipelining = false;
  onlyPromisePipeline = false;
  /** Raw tag; see {@link SendResultsTo}. */
  sendResultsTo = 0;
  /** Raw tag; see {@link ReturnTag}. */
  returnTag = 0;
  releaseParamCaps = false;
  noFinishNeeded = false;
  takeFromOtherQuestion = 0;
  releaseResultCaps = false;
  requireEarlyCancellationWorkaround = false;
  /** Of resolve, the promiseId; of release, the id. */
  id = 0;
  /** Raw tag; see {@link ResolveTag}. */
  resolveTag = 0;
  referenceCount = 0;
  /** Raw tag of Disembargo.context; see {@link ContextTag}. */
  contextTag = 0;
  embargoId = 0;
  hasDeprecatedObjectId = false;
  /** Bytes of the frame, header included. */
  frameBytes = 0;

  /** Of call: what the peer says of who makes it; null for nothing, and while {@link identities} is false. A copy. */
  origin: Uint8Array | null = null;
  /** Whether the peer is trusted to say what capabilities are, and who calls; see hook/identities.ts. */
  identities = false;
  private readonly limits: Limits;
  private readonly p = new PointerReader("malformed-message");
  private readonly copier: PayloadCopier;
  private readonly body = new StructRef();
  private readonly a = new StructRef();
  private readonly b = new StructRef();
  private readonly exception = new StructRef();
  private readonly caps = new Descriptors();
  private readonly capUnknown: boolean[] = [];
  /** Where the pointer to the content is; -1 for none. */
  private contentSeg = 0;
  private contentAt = -1;
  /** The body of unimplemented, and its reader, made when first needed. */
  private innerSeg = 0;
  private innerAt = -1;
  private innerReader: MessageReader | null = null;
  private readonly nested: boolean;
  /** Steps that all paths of this message together may still have: thousands of descriptors may share one long list. */
  private stepsLeft = 0;
  /** Whether the path read last has an unknown operation. */
  private unknownOp = false;

  constructor(limits: Limits, nested = false) {
    this.limits = limits;
    this.nested = nested;
    this.copier = new PayloadCopier(limits);
  }

  /** Number of entries in the capability table; 1 for a resolve to a capability. */
  get capCount(): number {
    return this.caps.count;
  }

  /** {@link DescriptorKind} of entry `i`, or a tag unknown to us. */
  capKind(i: number): number {
    return this.caps.kind[i]!;
  }

  /** The id of entry `i`: of receiverAnswer its question id, of thirdPartyHosted its vine id. */
  capId(i: number): number {
    return this.caps.id[i]!;
  }

  /** Of receiverAnswer: the path in that answer. */
  capPath(i: number): readonly number[] {
    return this.caps.path[i]!;
  }

  /** What the peer says of entry `i` beside; null for nothing, and while {@link identities} is false. A copy. */
  capIdentity(i: number): Uint8Array | null {
    return this.caps.identity[i]!;
  }

  capPathUnknownOp(i: number): boolean {
    return this.capUnknown[i]!;
  }

  /** What the content may take in memory: no more than the frame itself. */
  get payloadBytes(): number {
    return this.contentAt < 0 ? 0 : this.frameBytes;
  }

  /** @throws RpcError malformed-message when the envelope is not sound: the connection cannot go on. */
  read(frame: Frame): void {
    // An empty first segment has no room for a root pointer (C-FRM-08).
    if (frame.segEnd[0]! - frame.segStart[0]! < 8)
      throw this.p.fail("the message's first segment has no root pointer");
    this.readAt(frame, 0, frame.segStart[0]!);
  }

  private readAt(frame: Frame, seg: number, at: number): void {
    const p = this.p;
    p.frame = frame;
    this.frameBytes = frame.length;
    this.stepsLeft = this.limits.capTable;
    this.caps.count = 0;
    this.contentAt = -1;
    this.innerAt = -1;
    // Of other messages it must not be what an earlier frame left.
    this.exception.clear();
    const a = this.a;
    p.enterAt(a, seg, at);
    const tag = p.u16(a, 0);
    this.tag = tag;
    const body = this.body;
    switch (tag) {
      case MessageTag.call:
        p.enter(body, a, 0);
        this.readCall(body);
        break;
      case MessageTag.return:
        p.enter(body, a, 0);
        this.readReturn(body);
        break;
      case MessageTag.finish: {
        p.enter(body, a, 0);
        this.questionId = p.u32(body, 0);
        // Both default to true, and a field is stored as value XOR default.
        const flags = p.u8(body, 4);
        this.releaseResultCaps = (flags & 1) === 0;
        this.requireEarlyCancellationWorkaround = (flags & 2) === 0;
        break;
      }
      case MessageTag.release:
        p.enter(body, a, 0);
        this.id = p.u32(body, 0);
        this.referenceCount = p.u32(body, 4);
        break;
      case MessageTag.resolve:
        p.enter(body, a, 0);
        this.id = p.u32(body, 0);
        this.resolveTag = p.u16(body, 4);
        if (this.resolveTag === ResolveTag.cap) {
          p.enter(this.b, body, 0);
          this.readDescriptor(this.b);
        } else if (this.resolveTag === ResolveTag.exception) p.enter(this.exception, body, 0);
        break;
      case MessageTag.disembargo:
        p.enter(body, a, 0);
        this.embargoId = p.u32(body, 0);
        this.contextTag = p.u16(body, 4);
        this.readTarget(body);
        break;
      case MessageTag.bootstrap:
        p.enter(body, a, 0);
        this.questionId = p.u32(body, 0);
        this.hasDeprecatedObjectId = body.pointerCount > 0 && !this.isNull(body.pointers);
        this.contentIs(body, 0);
        break;
      case MessageTag.abort:
        p.enter(this.exception, a, 0);
        break;
      case MessageTag.provide:
      case MessageTag.join:
        p.enter(body, a, 0);
        this.questionId = p.u32(body, 0);
        this.readTarget(body);
        this.contentIs(body, 1);
        break;
      case MessageTag.accept:
      case MessageTag.thirdPartyAnswer:
        p.enter(body, a, 0);
        this.questionId = p.u32(body, 0);
        this.contentIs(body, 0);
        break;
      case MessageTag.unimplemented:
        if (a.pointerCount > 0) {
          this.innerSeg = a.seg;
          this.innerAt = a.pointers;
        }
        break;
      default:
      // obsoleteSave, obsoleteDelete and what the future brings: to be echoed, not understood.
    }
  }

  /**
   * The content of the message, validated under the traversal and nesting limits and copied to a private buffer: of call
   * and results their Payload's; of provide the recipient, of accept the provision, of join the keyPart, of
   * thirdPartyAnswer the completion, of awaitFromThirdParty what to await, of bootstrap the deprecatedObjectId.
   *
   * @param passing whether a small one may be borrowed, until the next is taken.
   * @throws RpcError invalid-payload; the envelope stays readable.
   */
  takeContent(passing = false): Content {
    return this.contentAt < 0
      ? Content.NULL
      : this.copier.copy(this.p.frame, this.contentSeg, this.contentAt, passing);
  }

  /**
   * The exception of abort, of return with `exception` or of resolve with `exception`, as `remote-exception`; an empty one
   * of any other message.
   *
   * @throws RpcError malformed-message.
   */
  takeException(): RpcError {
    return readException(this.p, this.exception, this.limits);
  }

  /**
   * The embargo id of accept, or of disembargo with context `accept`: a private copy, null when there is none.
   *
   * @throws RpcError malformed-message.
   */
  takeEmbargo(): Uint8Array | null {
    if (this.tag !== MessageTag.accept && this.tag !== MessageTag.disembargo) return null;
    const p = this.p;
    return p.enterBytes(this.body, 1) ? p.frame.bytes.slice(p.pos, p.pos + p.count) : null;
  }

  /**
   * The message that `unimplemented` echoes, as a reader of its own that the next call reuses; null when there is none,
   * or when it is itself an echo (C-UNI-12).
   *
   * @throws RpcError malformed-message.
   */
  inner(): MessageReader | null {
    if (this.nested || this.innerAt < 0 || this.isNull(this.innerAt)) return null;
    const inner = (this.innerReader ??= new MessageReader(this.limits, true));
    inner.readAt(this.p.frame, this.innerSeg, this.innerAt);
    return inner.tag === MessageTag.unimplemented ? null : inner;
  }

  private readCall(body: StructRef): void {
    const p = this.p;
    this.questionId = p.u32(body, 0);
    this.methodId = p.u16(body, 4);
    this.sendResultsTo = p.u16(body, 6);
    this.interfaceLo = p.u32(body, 8);
    this.interfaceHi = p.u32(body, 12);
    const flags = p.u8(body, 16);
    this.allowThirdPartyTailCall = (flags & 1) !== 0;
    this.noPromisePipelining = (flags & 2) !== 0;
    this.onlyPromisePipeline = (flags & 4) !== 0;
    this.origin = this.said(body, 3);
    this.readTarget(body);
    p.enter(this.b, body, 1);
    this.readPayload(this.b);
  }

  /** What a trusted peer says in pointer `index` of a struct. */
  private said(ref: StructRef, index: number): Uint8Array | null {
    const p = this.p;
    if (!this.identities || !p.enterBytes(ref, index)) return null;
    return p.frame.bytes.slice(p.pos, p.pos + p.count);
  }

  private readReturn(body: StructRef): void {
    const p = this.p;
    this.questionId = p.u32(body, 0);
    const flags = p.u8(body, 4);
    this.releaseParamCaps = (flags & 1) === 0;
    this.noFinishNeeded = (flags & 2) !== 0;
    const tag = p.u16(body, 6);
    this.returnTag = tag;
    this.takeFromOtherQuestion = p.u32(body, 8);
    if (tag === ReturnTag.results) {
      p.enter(this.b, body, 0);
      this.readPayload(this.b);
    } else if (tag === ReturnTag.exception) p.enter(this.exception, body, 0);
    else if (tag === ReturnTag.awaitFromThirdParty) this.contentIs(body, 0);
  }

  /** `MessageTarget` is pointer 0 of every body that has one. */
  private readTarget(body: StructRef): void {
    const p = this.p;
    const a = this.a;
    p.enter(a, body, 0);
    this.path = EMPTY_PATH;
    this.pathUnknownOp = false;
    const kind = p.u16(a, 4);
    this.targetKind = kind;
    if (kind === TargetKind.importedCap) this.targetId = p.u32(a, 0);
    else if (kind === TargetKind.promisedAnswer) {
      p.enter(a, a, 0);
      this.targetId = p.u32(a, 0);
      this.path = this.readPath(a);
      this.pathUnknownOp = this.unknownOp;
    } else this.targetId = 0;
  }

  /** The transform of the PromisedAnswer `answer`; sets `unknownOp`. A null list and an empty one are the same (C-IOP-03). */
  private readPath(answer: StructRef): readonly number[] {
    const p = this.p;
    this.unknownOp = false;
    if (!p.enterStructs(answer, 0, this.stepsLeft)) return EMPTY_PATH;
    const list = p.list;
    this.stepsLeft -= list.count;
    const op = answer;
    let only = -1;
    let path: number[] | null = null;
    for (let i = 0; i < list.count; i++) {
      p.element(list, i, op);
      const tag = p.u16(op, 0);
      if (tag === 0) continue;
      if (tag !== 1) {
        this.unknownOp = true;
        continue;
      }
      const index = p.u16(op, 2);
      if (path !== null) path.push(index);
      else if (only < 0) only = index;
      else path = [only, index];
    }
    if (path !== null) return path;
    return only < 0 ? EMPTY_PATH : only < ONE_STEP.length ? ONE_STEP[only]! : [only];
  }

  private readPayload(payload: StructRef): void {
    const p = this.p;
    this.contentIs(payload, 0);
    if (!p.enterStructs(payload, 1, this.limits.capTable)) return;
    // Reading an entry's path reuses p.list, so the table's own is kept in locals.
    const { seg, first, count, stride, dataBytes, pointerCount } = p.list;
    const entry = this.b;
    for (let i = 0; i < count; i++) {
      entry.seg = seg;
      entry.data = first + i * stride;
      entry.dataBytes = dataBytes;
      entry.pointers = entry.data + dataBytes;
      entry.pointerCount = pointerCount;
      this.readDescriptor(entry);
    }
  }

  private readDescriptor(entry: StructRef): void {
    const p = this.p;
    const caps = this.caps;
    const kind = p.u16(entry, 0);
    this.capUnknown[caps.count] = false;
    const identity = this.said(entry, 1);
    if (kind === DescriptorKind.receiverAnswer) {
      p.enter(entry, entry, 0);
      const id = p.u32(entry, 0);
      const path = this.readPath(entry);
      this.capUnknown[caps.count] = this.unknownOp;
      caps.add(kind, id, path);
    } else if (kind === DescriptorKind.thirdPartyHosted) {
      p.enter(entry, entry, 0);
      caps.add(kind, p.u32(entry, 0), EMPTY_PATH);
    } else caps.add(kind, p.u32(entry, 4), EMPTY_PATH, identity);
  }

  private contentIs(ref: StructRef, index: number): void {
    if (index >= ref.pointerCount) return;
    this.contentSeg = ref.seg;
    this.contentAt = ref.pointers + index * 8;
  }

  private isNull(at: number): boolean {
    const view = this.p.frame.view;
    return (view.getInt32(at, true) | view.getInt32(at + 4, true)) === 0;
  }
}
