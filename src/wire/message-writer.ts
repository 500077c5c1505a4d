// Role: encodes every rpc.capnp message straight into the outbox: one pass over words, no struct objects between.
// State: none beside the outbox. Must not know: tables, hooks, or why a message is sent.
//
// Layout: one segment in the order capnp's own text encoder uses (each struct followed by what its pointers reach, in the
// order of the pointers), except that a capability table goes before the content, so that the content comes last and a
// large one can be sent by reference as segment 1.

import { type ErrorPolicy, type ErrorRedactor, RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import { Content } from "./content.js";
import {
  DescriptorKind,
  type Descriptors,
  EMPTY_PATH,
  MessageTag,
  ReturnTag,
  TargetKind,
} from "./descriptors.js";
import {
  type EncodedException,
  encodeException,
  redacted,
  writeBytes,
  writeException,
} from "./exception.js";
import type { Frame } from "./frame.js";
import type { Outbox } from "./outbox.js";
import { PayloadCopier } from "./validate.js";

/** A content larger than this is not copied into the slab but referenced, as segment 1. */
const BY_REFERENCE = 8 * 1024;

/** Up to this many bytes a loop beats TypedArray.set. */
const COPY_LOOP = 96;

// Upper halves of struct pointers: data words, then pointers << 16.
const STRUCT_1_0 = 1;
const STRUCT_0_2 = 2 << 16;
export const STRUCT_1_1 = 1 | (1 << 16);
export const STRUCT_1_2 = 1 | (2 << 16);
const STRUCT_1_3 = 1 | (3 << 16);
const STRUCT_2_1 = 2 | (1 << 16);
const STRUCT_3_3 = 3 | (3 << 16);
const STRUCT_3_4 = 3 | (4 << 16);

const NO_WORDS = new Int32Array(0);

/** Words of the root pointer and `Message`, which every message begins with; the body follows. */
const ENVELOPE = 3;

/**
 * Writes messages. Each method encodes one message and commits it; it throws RpcError message-too-large, with nothing
 * written, when the message is over `limits.messageWords` (C-FRM-15, C-FRM-16).
 *
 * Ids are numbers below 2^32. A `targetKind` or descriptor kind is one of {@link TargetKind} and {@link DescriptorKind}.
 * `path` lists pointer indexes.
 *
 * @example
 * const writer = new MessageWriter(outbox, DEFAULT_LIMITS);
 * writer.bootstrap(0);
 * writer.finish(0, false, false);
 *
 * Source: rpc.capnp; conformance section 24.
 */
export class MessageWriter {
  private readonly outbox: Outbox;
  private readonly maxWords: number;
  private readonly copier: PayloadCopier;
  /** The open slab's half words, from `open` to `commit`. */
  protected w: Int32Array = NO_WORDS;

  private readonly errors: ErrorPolicy;
  /** Whether errors among values need a look before they leave. */
  private readonly looks: boolean;

  /**
   * @param sendTrace whether exceptions carry the trace of the error, or the stack of what caused it (C-DIS-13), and errors
   *   among values theirs.
   * @param redact has the last word on what they say.
   */
  constructor(
    outbox: Outbox,
    limits: Limits,
    sendTrace = true,
    redact: ErrorRedactor | null = null,
  ) {
    this.outbox = outbox;
    this.errors = { sendTrace, redact };
    this.looks = sendTrace || redact !== null;
    this.maxWords = limits.messageWords;
    // An echo holds the whole message, not only its payload: the envelope's own few levels come on top.
    this.copier = new PayloadCopier({ ...limits, nesting: limits.nesting + 8 });
  }

  /** Level 0: asks for the peer's bootstrap capability. */
  bootstrap(questionId: number): void {
    const k = this.open(MessageTag.bootstrap, STRUCT_1_1, 2, null);
    const w = this.w;
    w[k] = questionId;
    w[k + 1] = 0;
    w[k + 2] = 0;
    w[k + 3] = 0;
    this.close(2);
  }

  /**
   * What of `content` this peer is to have: to be asked for before anything of its message is counted or described. Where
   * there are errors in it user code runs, that of the redaction hook, which may send messages of its own or end the
   * connection.
   */
  leaving(content: Content): Content {
    return this.looks ? content.leaving(this.errors) : content;
  }

  /**
   * @param flags bits of {@link CallFlag}. @param sendResultsTo 0 caller, 1 yourself.
   * @param params what {@link leaving} gave; referenced, not copied, when large and not borrowed. @param descriptors their capTable.
   * @param origin what is said of who makes it, between vats that trust each other: a fourth pointer of `Call`.
   */
  call(
    questionId: number,
    targetKind: number,
    targetId: number,
    path: readonly number[],
    interfaceHi: number,
    interfaceLo: number,
    methodId: number,
    flags: number,
    sendResultsTo: number,
    params: Content,
    descriptors: Descriptors,
    origin: Uint8Array | null = null,
  ): void {
    const target = targetWords(targetKind, path);
    const said = origin === null ? 0 : 1 + dataWords(origin);
    const before = 6 + said + target + 2 + tableWords(descriptors);
    const apart = isApart(params) ? params : null;
    const words = apart === null ? before + params.bytes.length / 8 - 1 : before;
    const k = this.open(MessageTag.call, said === 0 ? STRUCT_3_3 : STRUCT_3_4, words, apart);
    const w = this.w;
    w[k] = questionId;
    w[k + 1] = (methodId & 0xffff) | (sendResultsTo << 16);
    w[k + 2] = interfaceLo;
    w[k + 3] = interfaceHi;
    w[k + 4] = flags;
    w[k + 5] = 0;
    w[k + 6] = (2 + said) << 2;
    w[k + 7] = STRUCT_1_1;
    w[k + 8] = (target + 1 + said) << 2;
    w[k + 9] = STRUCT_0_2;
    w[k + 10] = 0;
    w[k + 11] = 0;
    if (said > 0) this.data(k + 12, k + 14, origin);
    const at = k + 12 + said * 2;
    this.target(at, targetKind, targetId, path);
    this.payload(at + target * 2, params, descriptors, apart);
    this.closeWith(words, apart);
  }

  private exception(error: RpcError, maxWords: number): EncodedException {
    const { redact, sendTrace } = this.errors;
    if (redact === null) return encodeException(error, maxWords, sendTrace);
    return encodeException(redacted(error, redact, sendTrace), maxWords);
  }

  /**
   * A Return with results; see {@link call} for these and `descriptors`.
   * @param canWait nobody waits for it: it may leave with what is written later.
   */
  returnResults(
    answerId: number,
    releaseParamCaps: boolean,
    noFinishNeeded: boolean,
    results: Content,
    descriptors: Descriptors,
    canWait = false,
  ): void {
    const before = 3 + 2 + tableWords(descriptors);
    const apart = isApart(results) ? results : null;
    const words = apart === null ? before + results.bytes.length / 8 - 1 : before;
    const k = this.open(MessageTag.return, STRUCT_2_1, words, apart);
    this.returnHead(k, answerId, releaseParamCaps, noFinishNeeded, ReturnTag.results, 0);
    this.w[k + 4] = 0;
    this.w[k + 5] = STRUCT_0_2;
    this.payload(k + 6, results, descriptors, apart);
    this.closeWith(words, apart, canWait);
  }

  /** A Return with an exception. One too large loses its trace and details and has its reason cut (C-DIS-17). */
  returnException(
    answerId: number,
    releaseParamCaps: boolean,
    noFinishNeeded: boolean,
    error: RpcError,
  ): void {
    const e = this.exception(error, this.maxWords - ENVELOPE - 3);
    const k = this.open(MessageTag.return, STRUCT_2_1, 3 + e.words, null);
    this.returnHead(k, answerId, releaseParamCaps, noFinishNeeded, ReturnTag.exception, 0);
    this.w[k + 4] = 0;
    this.w[k + 5] = STRUCT_1_3;
    writeException(this.w, this.outbox.u8, k + 6, e);
    this.close(3 + e.words);
  }

  /**
   * A Return without results: canceled, resultsSentElsewhere, takeFromOtherQuestion (with its question id) or
   * awaitFromThirdParty (with what to await as `content`).
   */
  returnOther(
    answerId: number,
    returnTag: number,
    releaseParamCaps: boolean,
    noFinishNeeded: boolean,
    takeFromOtherQuestion: number,
    content: Content = Content.NULL,
  ): void {
    const flat = content.flat();
    const words = 3 + flat.bytes.length / 8 - 1;
    const k = this.open(MessageTag.return, STRUCT_2_1, words, null);
    this.returnHead(
      k,
      answerId,
      releaseParamCaps,
      noFinishNeeded,
      returnTag,
      takeFromOtherQuestion,
    );
    this.inline(k + 4, k + 6, flat);
    this.close(words);
  }

  finish(
    questionId: number,
    releaseResultCaps: boolean,
    requireEarlyCancellationWorkaround: boolean,
  ): void {
    const k = this.open(MessageTag.finish, STRUCT_1_0, 1, null);
    this.w[k] = questionId;
    // Both default to true, and a field is stored as value XOR default.
    this.w[k + 1] = (releaseResultCaps ? 0 : 1) | (requireEarlyCancellationWorkaround ? 0 : 2);
    this.close(1);
  }

  /** Level 1: promise `promiseId` of ours is now the capability described. */
  resolveCap(
    promiseId: number,
    kind: number,
    id: number,
    path: readonly number[],
    identity: Uint8Array | null = null,
  ): void {
    const beside = identity === null ? 0 : 1 + dataWords(identity);
    const words = 2 + 2 + descriptorExtraWords(kind, path) + beside;
    const k = this.open(MessageTag.resolve, STRUCT_1_1, words, null);
    const w = this.w;
    w[k] = promiseId;
    w[k + 1] = 0;
    w[k + 2] = 0;
    w[k + 3] = identity === null ? STRUCT_1_1 : STRUCT_1_2;
    const first = k + 4;
    const end = this.descriptor(first, first + strideOf(identity !== null), kind, id, path);
    if (identity !== null) this.identity(first, end, identity);
    this.close(words);
  }

  resolveException(promiseId: number, error: RpcError): void {
    const e = this.exception(error, this.maxWords - ENVELOPE - 2);
    const k = this.open(MessageTag.resolve, STRUCT_1_1, 2 + e.words, null);
    const w = this.w;
    w[k] = promiseId;
    w[k + 1] = 1;
    w[k + 2] = 0;
    w[k + 3] = STRUCT_1_3;
    writeException(this.w, this.outbox.u8, k + 4, e);
    this.close(2 + e.words);
  }

  release(id: number, referenceCount: number): void {
    const k = this.open(MessageTag.release, STRUCT_1_0, 1, null);
    this.w[k] = id;
    this.w[k + 1] = referenceCount;
    this.close(1);
  }

  /** @param acceptEmbargo of context `accept` (level 3): the introduction's embargo id, opaque bytes. */
  disembargo(
    targetKind: number,
    targetId: number,
    path: readonly number[],
    contextTag: number,
    embargoId: number,
    acceptEmbargo: Uint8Array | null = null,
  ): void {
    const target = targetWords(targetKind, path);
    const words = 3 + target + dataWords(acceptEmbargo);
    const k = this.open(MessageTag.disembargo, STRUCT_1_2, words, null);
    const w = this.w;
    w[k] = embargoId;
    w[k + 1] = contextTag;
    w[k + 2] = 1 << 2;
    w[k + 3] = STRUCT_1_1;
    this.target(k + 6, targetKind, targetId, path);
    this.data(k + 4, k + 6 + target * 2, acceptEmbargo);
    this.close(words);
  }

  abort(error: RpcError): void {
    const e = this.exception(error, this.maxWords - ENVELOPE);
    const k = this.open(MessageTag.abort, STRUCT_1_3, e.words, null);
    writeException(this.w, this.outbox.u8, k, e);
    this.close(e.words);
  }

  /**
   * Echoes a received message that we do not support, whole (C-UNI-01). The echo is a validated copy, so a message that
   * is itself malformed cannot be echoed.
   *
   * @throws RpcError invalid-payload for such a message.
   */
  unimplemented(frame: Frame): void {
    const content = this.copier.copy(frame, 0, frame.segStart[0]!);
    const words = content.bytes.length / 8 - 1;
    // The root of the echo takes the place of the body pointer.
    const k = this.open(MessageTag.unimplemented, 0, words, null);
    this.inline(k - 2, k, content);
    this.close(words);
  }

  /**
   * Checks the size, makes room, and writes frame header, root pointer and `Message`. From here on nothing may throw.
   *
   * @param words of the body and all that follows in segment 0. @param apart the content that is segment 1, if any.
   * @returns index of the body's first half word.
   */
  protected open(tag: number, bodySize: number, words: number, apart: Content | null): number {
    const total = ENVELOPE + words;
    const apartWords = apart === null ? 0 : apart.byteLength / 8;
    if (total + apartWords > this.maxWords)
      throw new RpcError(
        "failed",
        "message-too-large",
        `limit messageWords: a message of ${total + apartWords} words is over the limit of ${this.maxWords}: send less at a time, or a stream`,
      );
    const outbox = this.outbox;
    outbox.begin((total + 2) * 8 + (apart !== null && isCopied(apart) ? apart.bytes.length : 0));
    const w = (this.w = outbox.i32);
    let k = outbox.at >> 2;
    if (apart === null) {
      w[k] = 0;
      w[k + 1] = total;
      k += 2;
    } else {
      w[k] = 1;
      w[k + 1] = total;
      w[k + 2] = apartWords;
      w[k + 3] = 0;
      k += 4;
    }
    w[k] = 0;
    w[k + 1] = STRUCT_1_1;
    w[k + 2] = tag;
    w[k + 3] = 0;
    w[k + 4] = 0;
    w[k + 5] = bodySize;
    return k + 6;
  }

  protected close(words: number, canWait = false): void {
    // An idle writer must not keep a slab from the garbage collector.
    this.w = NO_WORDS;
    this.outbox.commit((1 + ENVELOPE + words) * 8, null, null, canWait);
  }

  /** Ends a message whose content may be segment 1: its header is a word longer. */
  private closeWith(words: number, apart: Content | null, canWait = false): void {
    if (apart === null) {
      this.close(words, canWait);
      return;
    }
    const head = (2 + ENVELOPE + words) * 8;
    this.w = NO_WORDS;
    const bytes = apart.bytes;
    if (isCopied(apart)) {
      this.outbox.u8.set(bytes, this.outbox.at + head);
      this.outbox.commit(head + bytes.length, apart.tail, null, canWait, apart);
    } else {
      this.outbox.commit(head, bytes, apart.tail, canWait, apart);
    }
  }

  private returnHead(
    k: number,
    answerId: number,
    releaseParamCaps: boolean,
    noFinishNeeded: boolean,
    tag: number,
    takeFromOtherQuestion: number,
  ): void {
    const w = this.w;
    w[k] = answerId;
    // releaseParamCaps defaults to true, and a field is stored as value XOR default.
    w[k + 1] = (releaseParamCaps ? 0 : 1) | (noFinishNeeded ? 2 : 0) | (tag << 16);
    w[k + 2] = takeFromOtherQuestion;
    w[k + 3] = 0;
  }

  /** `MessageTarget` at `k` and what it reaches right behind it. */
  protected target(k: number, kind: number, id: number, path: readonly number[]): void {
    const w = this.w;
    if (kind === TargetKind.importedCap) {
      w[k] = id;
      w[k + 1] = 0;
      w[k + 2] = 0;
      w[k + 3] = 0;
    } else {
      w[k] = 0;
      w[k + 1] = TargetKind.promisedAnswer;
      w[k + 2] = 0;
      w[k + 3] = STRUCT_1_1;
      this.promisedAnswer(k + 4, id, path);
    }
  }

  private promisedAnswer(k: number, questionId: number, path: readonly number[]): void {
    const w = this.w;
    const n = path.length;
    w[k] = questionId;
    w[k + 1] = 0;
    if (n === 0) {
      w[k + 2] = 0;
      w[k + 3] = 0;
      return;
    }
    w[k + 2] = LIST;
    w[k + 3] = COMPOSITE | (n << 3);
    w[k + 4] = n << 2;
    w[k + 5] = STRUCT_1_0;
    for (let i = 0, at = k + 6; i < n; i++, at += 2) {
      w[at] = 1 | (path[i]! << 16);
      w[at + 1] = 0;
    }
  }

  /** `Payload` at `k`, its capTable, then the content unless that is segment 1. */
  private payload(k: number, content: Content, caps: Descriptors, apart: Content | null): void {
    const w = this.w;
    const n = caps.count;
    let end = k + 4;
    if (n === 0) {
      w[k + 2] = 0;
      w[k + 3] = 0;
    } else {
      w[k + 2] = LIST;
      const { identified } = caps;
      const stride = strideOf(identified);
      w[k + 3] = COMPOSITE | ((n * (stride >> 1)) << 3);
      w[k + 4] = n << 2;
      w[k + 5] = identified ? STRUCT_1_2 : STRUCT_1_1;
      let at = k + 6;
      end = at + n * stride;
      for (let i = 0; i < n; i++, at += stride) {
        end = this.descriptor(at, end, caps.kind[i]!, caps.id[i]!, caps.path[i]!);
        if (identified) end = this.identity(at, end, caps.identity[i]!);
      }
    }
    if (apart !== null) {
      w[k] = FAR;
      w[k + 1] = 1;
    } else {
      this.inline(k, end, content);
    }
  }

  /** `CapDescriptor` at `k`, what it reaches at `end`; returns the new end. attachedFd stays 0: its default, 255, by XOR. */
  private descriptor(
    k: number,
    end: number,
    kind: number,
    id: number,
    path: readonly number[],
  ): number {
    const w = this.w;
    const direct =
      kind !== DescriptorKind.receiverAnswer && kind !== DescriptorKind.thirdPartyHosted;
    w[k] = kind;
    w[k + 1] = direct && kind !== DescriptorKind.none ? id : 0;
    w[k + 2] = direct ? 0 : ((end - k - 4) >> 1) << 2;
    w[k + 3] = direct ? 0 : STRUCT_1_1;
    if (direct) return end;
    // ThirdPartyCapDescriptor with a null id has the shape of a PromisedAnswer with a null transform.
    const steps = kind === DescriptorKind.receiverAnswer ? path : EMPTY_PATH;
    this.promisedAnswer(end, id, steps);
    return end + answerWords(steps) * 2;
  }

  /** The second pointer of the `CapDescriptor` at `k`, which only peers know that trust each other; returns the new end. */
  private identity(k: number, end: number, identity: Uint8Array | null): number {
    this.data(k + 4, end, identity);
    return end + dataWords(identity) * 2;
  }

  /** Sets the pointer at `p` to a copy of the content at `at`: its root pointer is aimed anew, all else is relative. */
  protected inline(p: number, at: number, content: Content): void {
    const w = this.w;
    const b = content.bytes;
    const lo = b[0]! | (b[1]! << 8) | (b[2]! << 16) | (b[3]! << 24);
    const hi = b[4]! | (b[5]! << 8) | (b[6]! << 16) | (b[7]! << 24);
    w[p + 1] = hi;
    const kind = lo & 3;
    // Null and capability pointers, and the empty struct that points at itself, mean the same everywhere.
    if (kind === 3 || (hi === 0 && kind === 0)) w[p] = lo === 0 || kind === 3 ? lo : EMPTY_STRUCT;
    else w[p] = lo + (((at - p - 2) >> 1) << 2);
    const n = b.length;
    if (n > COPY_LOOP) {
      this.outbox.u8.set(b.subarray(8), at * 4);
    } else {
      for (let i = 8, k = at; i < n; i += 4, k++)
        w[k] = b[i]! | (b[i + 1]! << 8) | (b[i + 2]! << 16) | (b[i + 3]! << 24);
    }
  }

  protected data(p: number, at: number, bytes: Uint8Array | null): void {
    const w = this.w;
    if (bytes === null) {
      w[p] = 0;
      w[p + 1] = 0;
    } else {
      writeBytes(w, this.outbox.u8, p, at, bytes, bytes.length);
    }
  }
}

const LIST = 1;
const FAR = 2;
const COMPOSITE = 7;
/** Lower half of a pointer to a struct of size zero: offset -1. */
const EMPTY_STRUCT = -4;

function isApart(content: Content): boolean {
  if (content.tail === null && (content.borrowed || content.bytes.length <= BY_REFERENCE))
    return false;
  // A landing pad must be a struct or list pointer.
  const lo = content.bytes[0]!;
  return (lo & 3) <= 1 && hasObject(content.bytes);
}

function hasObject(b: Uint8Array): boolean {
  return (b[4]! | b[5]! | b[6]! | b[7]!) !== 0;
}

/** Whether the bytes of a content that is segment 1 go into the slab after all: small ones, and scratch. */
function isCopied(apart: Content): boolean {
  return apart.borrowed || apart.bytes.length <= BY_REFERENCE;
}

function answerWords(path: readonly number[]): number {
  return path.length === 0 ? 2 : 3 + path.length;
}

export function targetWords(kind: number, path: readonly number[]): number {
  return kind === TargetKind.importedCap ? 2 : 2 + answerWords(path);
}

function descriptorExtraWords(kind: number, path: readonly number[]): number {
  if (kind === DescriptorKind.receiverAnswer) return answerWords(path);
  return kind === DescriptorKind.thirdPartyHosted ? 2 : 0;
}

function tableWords(caps: Descriptors): number {
  const n = caps.count;
  if (n === 0) return 0;
  let words = 1 + 2 * n;
  for (let i = 0; i < n; i++) {
    words += descriptorExtraWords(caps.kind[i]!, caps.path[i]!);
    if (caps.identified) words += 1 + dataWords(caps.identity[i]!);
  }
  return words;
}

/** Half words of a `CapDescriptor`. */
function strideOf(identified: boolean): number {
  return identified ? 6 : 4;
}

export function dataWords(bytes: Uint8Array | null): number {
  return bytes === null ? 0 : (bytes.length + 7) >>> 3;
}
