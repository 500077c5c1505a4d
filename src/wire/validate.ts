// Role: makes a stranger's content safe: validates it whole under a budget and copies it to a private buffer of its own.
// State: the budget of the copy in progress. Must not know: schemas, capability tables, or what the content means.
//
// How. One walk checks every pointer, charges every word to the budget as often as it is reached, and notes which range of
// each segment was reached. Near pointers are relative, so each range is then copied as it is; behind the root pointer the
// ranges lie one after the other in one buffer. Only far pointers must change: a second walk rewrites each to a near one.
// Overlapping objects stay shared, so a copy is never larger than the message, whatever its graph unfolds to. Rewriting
// in place is sound with overlap too: a word rewritten is a far pointer, and the one reading of such a word, beside data,
// is as that same pointer; a list's tag can never be one, since its kind bits differ.

import type { Limits } from "../base/limits.js";
import { Content } from "./content.js";
import { Frame } from "./frame.js";
import { Passing } from "./passing.js";
import { ELEMENT_BITS, ElementSize, PointerReader } from "./pointer.js";

const MOST_NESTING = 1000;

/** A content of this many bytes is not copied out of a frame that owns its bytes. */
const IN_PLACE = 8 * 1024;

/** One for all connections: none is in the midst of a message while another begins with one. */
const passed = /* @__PURE__ */ new Passing();

/** Lower half of a pointer to a struct of size zero: offset -1. */
const EMPTY_STRUCT = -4;

/**
 * Copies contents out of received frames. Its errors are RpcError invalid-payload.
 *
 * @example const content = new PayloadCopier(limits).copy(frame, seg, at);
 *
 * Source: C-VAL-01 to 15, C-VAL-30.
 */
export class PayloadCopier {
  private readonly limits: Limits;
  /** The walk is recursive: no setting may let a stranger overflow the stack. */
  private readonly nesting: number;
  private readonly p = new PointerReader("invalid-payload");
  private view: DataView = this.p.frame.view;
  private budget = 0;
  private far = false;
  /** Per segment, the range of bytes reached; low > high when none was. */
  private readonly low: number[] = [0];
  private readonly high: number[] = [0];
  /** Per segment, what to add to a position to get the one in the copy. Set for the second walk. */
  private readonly shift: number[] = [0];
  private out: DataView | null = null;

  /** Of {@link renumber}: the map, and what it said so far. */
  private map: ((index: number) => number) | null = null;
  private known: Map<number, number> | null = null;

  constructor(limits: Limits) {
    this.limits = limits;
    this.nesting = Math.min(limits.nesting, MOST_NESTING);
  }

  /**
   * Validates what the pointer at `at` of segment `seg` reaches and copies it.
   *
   * @param passing whether a small copy may be borrowed, until the next.
   * @returns a content of exactly the range reached plus its root pointer; capability pointers keep their index.
   * @throws RpcError invalid-payload: a bad pointer, or the traversal or nesting limit.
   */
  copy(frame: Frame, seg: number, at: number, passing = false): Content {
    const p = this.p;
    p.frame = frame;
    this.view = frame.view;
    let lo = this.view.getInt32(at, true);
    let hi = this.view.getInt32(at + 4, true);
    if ((lo | hi) === 0) return Content.NULL;
    let pos = at + 8 + (lo >> 2) * 8;
    this.budget = this.limits.traversalWords;
    this.start(frame);
    if ((lo & 3) === 2) {
      this.charge(lo & 4 ? 2 : 1);
      p.follow(lo, hi);
      lo = p.targetLo;
      hi = p.targetHi;
      seg = p.seg;
      pos = p.pos;
    }
    if ((lo & 3) === 3) {
      if (lo !== 3) throw p.fail("a pointer is of no known kind");
      return capabilityContent(hi);
    }
    this.object(seg, pos, lo, hi, this.nesting);
    if (hi === 0 && (lo & 3) === 0) return Content.EMPTY_STRUCT;
    return this.far || this.known !== null
      ? this.copySegments(seg, pos, lo, hi)
      : this.copyRange(seg, pos, lo, hi, passing);
  }

  /**
   * Copies a whole content with its capability pointers renumbered: for putting a received value into a message of ours
   * (C-VAL-26).
   *
   * @param map from an old index to the new one, asked once per index; -1, or a null map, makes the pointer null, since an
   *   index without a table behind it would dangle (C-VAL-27).
   * @throws RpcError invalid-payload.
   */
  renumber(content: Content, map: ((index: number) => number) | null): Content {
    const frame = contentFrame(content.flat());
    const root = frame.view.getInt32(0, true);
    if (root === 3) {
      const index = map === null ? -1 : map(frame.view.getUint32(4, true));
      return index < 0 ? Content.NULL : capabilityContent(index);
    }
    this.map = map;
    this.known = new Map();
    try {
      return this.copy(frame, 0, 0);
    } finally {
      this.known = null;
      this.map = null;
    }
  }

  private start(frame: Frame): void {
    this.far = false;
    this.out = null;
    for (let i = 0, n = frame.segments; i < n; i++) {
      this.low[i] = frame.segEnd[i]!;
      this.high[i] = 0;
    }
  }

  /** All was reached by near pointers: one range of one segment. */
  private copyRange(seg: number, pos: number, lo: number, hi: number, passing: boolean): Content {
    const low = this.low[seg]!;
    const high = this.high[seg]!;
    const { frame } = this.p;
    const window = passing ? passed.room(high - low + 8) : null;
    if (window !== null) {
      copyShort(window.bytes, frame.bytes, low - 8);
      putRoot(window.bytes, pos - low, lo, hi);
      return window;
    }
    // The word before (the header's at least) gives room for the root: one slice is cheaper than allocate and set. A large
    // content of a frame with bytes of its own stays where it is: its envelope has been read, and nobody else has them.
    const memory = high - low >= IN_PLACE ? frame.memory : null;
    const { bytes } = frame;
    const part = memory === null ? bytes.slice(low - 8, high) : bytes.subarray(low - 8, high);
    putRoot(part, pos - low, lo, hi);
    return new Content(part, null, false, memory);
  }

  private copySegments(seg: number, pos: number, lo: number, hi: number): Content {
    const frame = this.p.frame;
    let size = 8;
    for (let i = 0; i < frame.segments; i++) {
      const low = this.low[i]!;
      this.shift[i] = size - low;
      size += Math.max(0, this.high[i]! - low);
    }
    const bytes = new Uint8Array(size);
    for (let i = 0; i < frame.segments; i++) {
      const low = this.low[i]!;
      const length = this.high[i]! - low;
      if (length > 0) bytes.set(frame.bytes.subarray(low, low + length), low + this.shift[i]!);
    }
    putRoot(bytes, pos + this.shift[seg]! - 8, lo, hi);
    this.out = new DataView(bytes.buffer);
    this.budget = this.limits.traversalWords;
    this.object(seg, pos, lo, hi, this.nesting);
    this.out = null;
    return new Content(bytes);
  }

  private pointer(seg: number, at: number, lo: number, hi: number, depth: number): void {
    const kind = lo & 3;
    if (kind < 2) {
      this.object(seg, at + 8 + (lo >> 2) * 8, lo, hi, depth);
    } else if (kind === 3) {
      if (lo !== 3) throw this.p.fail("a pointer is of no known kind");
      if (this.known !== null && this.out !== null) this.renumbered(seg, at, hi >>> 0);
    } else {
      this.farPointer(seg, at, lo, hi, depth);
    }
  }

  private renumbered(seg: number, at: number, index: number): void {
    const known = this.known!;
    let to = known.get(index);
    if (to === undefined) {
      to = this.map === null ? -1 : this.map(index);
      known.set(index, to);
    }
    const here = at + this.shift[seg]!;
    this.out!.setInt32(here, to < 0 ? 0 : 3, true);
    this.out!.setInt32(here + 4, to < 0 ? 0 : to, true);
  }

  private farPointer(seg: number, at: number, lo: number, hi: number, depth: number): void {
    const p = this.p;
    this.far = true;
    this.charge(lo & 4 ? 2 : 1);
    p.follow(lo, hi);
    const target = p.pos;
    const targetSeg = p.seg;
    lo = p.targetLo;
    hi = p.targetHi;
    const out = this.out;
    if (out !== null) {
      const here = at + this.shift[seg]!;
      const there = target + this.shift[targetSeg]!;
      const empty = hi === 0 && (lo & 3) === 0;
      out.setInt32(here, empty ? EMPTY_STRUCT : (lo & 3) | ((there - here - 8) / 2), true);
      out.setInt32(here + 4, hi, true);
    }
    this.object(targetSeg, target, lo, hi, depth);
  }

  /** Checks the struct or list at `pos`, whose pointer reads `lo` and `hi`, and all it reaches. */
  private object(seg: number, pos: number, lo: number, hi: number, depth: number): void {
    if (depth <= 0)
      throw this.p.fail(`limit nesting: the content is nested deeper than ${this.nesting} levels`);
    if ((lo & 3) === 1) {
      this.list(seg, pos, hi, depth);
      return;
    }
    const pointers = pos + (hi & 0xffff) * 8;
    const end = pointers + (hi >>> 16) * 8;
    this.reach(seg, pos, end);
    this.charge((end - pos) / 8);
    if (end > pointers) this.pointers(seg, pointers, end, depth - 1);
  }

  private pointers(seg: number, at: number, end: number, depth: number): void {
    const view = this.view;
    for (; at < end; at += 8) {
      const lo = view.getInt32(at, true);
      const hi = view.getInt32(at + 4, true);
      if ((lo | hi) !== 0) this.pointer(seg, at, lo, hi, depth);
    }
  }

  private list(seg: number, pos: number, hi: number, depth: number): void {
    const size = hi & 7;
    const n = hi >>> 3;
    if (size !== ElementSize.composite) {
      const bytes = Math.ceil((n * ELEMENT_BITS[size]!) / 64) * 8;
      this.reach(seg, pos, pos + bytes);
      // A million voids take no room: whoever visits them pays nonetheless (C-VAL-12).
      this.charge(size === ElementSize.void ? n : bytes / 8);
      if (size === ElementSize.pointer) this.pointers(seg, pos, pos + bytes, depth - 1);
      return;
    }
    const p = this.p;
    this.reach(seg, pos, pos + 8 + n * 8);
    p.listAt(seg, pos, hi);
    const data = p.elementData * 8;
    const pointers = p.elementPointers * 8;
    const count = p.count;
    // The same for structs of size zero (C-VAL-11).
    this.charge(1 + (data + pointers === 0 ? Math.max(n, count) : n));
    if (pointers === 0) return;
    const stride = data + pointers;
    // The list is a level and its elements are one more, as for every other reader.
    if (depth <= 1)
      throw p.fail(`limit nesting: the content is nested deeper than ${this.nesting} levels`);
    for (let i = 0, at = pos + 8 + data; i < count; i++, at += stride)
      this.pointers(seg, at, at + pointers, depth - 2);
  }

  private reach(seg: number, from: number, to: number): void {
    const frame = this.p.frame;
    if (from < frame.segStart[seg]! || to > frame.segEnd[seg]!)
      throw this.p.fail("a pointer leaves its segment");
    if (from < this.low[seg]!) this.low[seg] = from;
    if (to > this.high[seg]!) this.high[seg] = to;
  }

  private charge(words: number): void {
    if ((this.budget -= words) < 0)
      throw this.p.fail(
        `limit traversalWords: reading the content takes more than ${this.limits.traversalWords} words: it is too large or overlaps too much`,
      );
  }
}

/** A content that is nothing but capability `index`. */
export function capabilityContent(index: number): Content {
  const bytes = new Uint8Array(8);
  bytes[0] = 3;
  putHigh(bytes, index);
  return new Content(bytes);
}

/** A content without its tail seen as a frame of one segment, for the readers of frames. */
export function contentFrame(content: Content): Frame {
  const frame = new Frame();
  const bytes = content.bytes;
  frame.bytes = bytes;
  frame.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  frame.length = bytes.length;
  frame.segments = 1;
  frame.segEnd[0] = bytes.length;
  return frame;
}

/** Fills `to` with what is in `from`, from `at` on. Below some words a loop is faster than a window. */
function copyShort(to: Uint8Array, from: Uint8Array, at: number): void {
  const { length } = to;
  if (length > LOOP) to.set(from.subarray(at, at + length));
  else for (let i = 0; i < length; i++) to[i] = from[at + i]!;
}

const LOOP = 128;

/** Sets the root pointer to an object `distance` bytes behind it. */
function putRoot(bytes: Uint8Array, distance: number, lo: number, hi: number): void {
  const word = hi === 0 && (lo & 3) === 0 ? EMPTY_STRUCT : (lo & 3) | (distance / 2);
  bytes[0] = word;
  bytes[1] = word >> 8;
  bytes[2] = word >> 16;
  bytes[3] = word >> 24;
  putHigh(bytes, hi);
}

function putHigh(bytes: Uint8Array, hi: number): void {
  bytes[4] = hi;
  bytes[5] = hi >> 8;
  bytes[6] = hi >> 16;
  bytes[7] = hi >> 24;
}
