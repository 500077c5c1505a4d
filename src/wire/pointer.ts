// Role: resolves Cap'n Proto pointers in a received frame, near, far and double far, with every bound checked, and reads
// the sections of structs and struct lists of any size.
// State: the frame being read and the last pointer resolved. Must not know: rpc.capnp, or who limits what.
//
// Offsets are bytes from the start of frame.bytes. Multiplications by 8 are done in doubles, which hold any 30-bit offset
// and any 29-bit count times a word exactly, so nothing wraps (C-VAL-02).

import { type ErrorCode, RpcError } from "../base/errors.js";
import { Frame } from "./frame.js";

/** What a pointer turned out to be. The first two are also the kind bits of a word. */
export const PointerKind = { struct: 0, list: 1, capability: 3, null: 4 } as const;

/** Element sizes of list pointers. */
export const ElementSize = {
  void: 0,
  bit: 1,
  byte: 2,
  twoBytes: 3,
  fourBytes: 4,
  eightBytes: 5,
  pointer: 6,
  composite: 7,
} as const;

/** Bits of one element, by element size; a composite list counts words. */
export const ELEMENT_BITS: readonly number[] = [0, 1, 8, 16, 32, 64, 64, 64];

/** The two sections of a struct, already checked to lie in their segment. An all-zero ref reads as all defaults. */
export class StructRef {
  seg = 0;
  data = 0;
  dataBytes = 0;
  pointers = 0;
  pointerCount = 0;

  clear(): void {
    this.dataBytes = 0;
    this.pointerCount = 0;
  }
}

/** A list seen as structs: a composite list, or a primitive one whose elements are taken for their first field. */
export class ListRef {
  seg = 0;
  first = 0;
  count = 0;
  stride = 0;
  dataBytes = 0;
  pointerCount = 0;
}

/** Reads pointers of one frame at a time. Throws an RpcError of the code it was made with. */
export class PointerReader {
  frame: Frame = new Frame();
  /** Where the pointer resolved last leads: valid until the next one. */
  seg = 0;
  pos = 0;
  /** Of a struct: data words. Of a list: element size, with composite lists seen through their tag. */
  size = 0;
  /** Of a struct: pointers. Of a list: elements. Of a capability: its index. */
  count = 0;
  /** Of a composite list: the size of its elements. */
  elementData = 0;
  elementPointers = 0;
  /** The list that {@link enterStructs} found. */
  readonly list = new ListRef();

  private readonly code: ErrorCode;
  /** The target's own size bits, when a far pointer was followed. */
  private lo = 0;
  private hi = 0;

  constructor(code: ErrorCode) {
    this.code = code;
  }

  fail(what: string): RpcError {
    return new RpcError("failed", this.code, what);
  }

  /** Resolves the pointer at `at` of segment `seg` and returns its {@link PointerKind}; the caller checked `at` itself. */
  resolve(seg: number, at: number): number {
    const view = this.frame.view;
    let lo = view.getInt32(at, true);
    let hi = view.getInt32(at + 4, true);
    if ((lo | hi) === 0) return PointerKind.null;
    let pos = at + 8 + (lo >> 2) * 8;
    let kind = lo & 3;
    if (kind === 2) {
      this.follow(lo, hi);
      lo = this.lo;
      hi = this.hi;
      seg = this.seg;
      pos = this.pos;
      kind = lo & 3;
    }
    if (kind === 0) {
      const data = hi & 0xffff;
      const pointers = hi >>> 16;
      this.bounds(seg, pos, (data + pointers) * 8);
      this.size = data;
      this.count = pointers;
    } else if (kind === 1) {
      this.listAt(seg, pos, hi);
      return PointerKind.list;
    } else {
      if (lo !== 3) throw this.fail("a pointer is of no known kind");
      this.count = hi >>> 0;
    }
    this.seg = seg;
    this.pos = pos;
    return kind;
  }

  /** Follows a far pointer to `this.seg`, `pos`, `lo` and `hi`, in at most two steps (C-VAL-04 to 07). */
  follow(lo: number, hi: number): void {
    const frame = this.frame;
    const view = frame.view;
    const double = (lo & 4) !== 0;
    let seg = hi >>> 0;
    const pad = this.landing(seg, lo, double ? 16 : 8);
    let lo1 = view.getInt32(pad, true);
    const hi1 = view.getInt32(pad + 4, true);
    if (!double) {
      if ((lo1 & 3) > 1) throw this.fail("the landing pad of a far pointer is no object");
      this.pos = pad + 8 + (lo1 >> 2) * 8;
      this.lo = lo1;
      this.hi = hi1;
      this.seg = seg;
      return;
    }
    if ((lo1 & 7) !== 2)
      throw this.fail("the landing pad of a double far pointer must begin with a single far one");
    seg = hi1 >>> 0;
    this.pos = this.landing(seg, lo1, 0);
    lo1 = view.getInt32(pad + 8, true);
    if (lo1 >>> 0 > 1) throw this.fail("the tag of a double far pointer is no object at offset 0");
    this.lo = lo1;
    this.hi = view.getInt32(pad + 12, true);
    this.seg = seg;
  }

  /** The lower and upper half of the object's own pointer that {@link follow} found. */
  get targetLo(): number {
    return this.lo;
  }

  get targetHi(): number {
    return this.hi;
  }

  private landing(seg: number, lo: number, bytes: number): number {
    const frame = this.frame;
    if (seg >= frame.segments)
      throw this.fail(`a far pointer names segment ${seg} of ${frame.segments}`);
    const pos = frame.segStart[seg]! + (lo >>> 3) * 8;
    this.bounds(seg, pos, bytes);
    return pos;
  }

  private bounds(seg: number, pos: number, bytes: number): void {
    const frame = this.frame;
    if (pos < frame.segStart[seg]! || pos + bytes > frame.segEnd[seg]!)
      throw this.fail("a pointer leaves its segment");
  }

  /** Checks a list and, of a composite one, its tag (C-VAL-10). Sets seg, pos (of the first element), size and count. */
  listAt(seg: number, pos: number, hi: number): void {
    const size = hi & 7;
    const n = hi >>> 3;
    this.seg = seg;
    this.size = size;
    if (size !== ElementSize.composite) {
      this.bounds(seg, pos, Math.ceil((n * ELEMENT_BITS[size]!) / 8));
      this.pos = pos;
      this.count = n;
      return;
    }
    this.bounds(seg, pos, (n + 1) * 8);
    const view = this.frame.view;
    const tag = view.getInt32(pos, true);
    const sizes = view.getInt32(pos + 4, true);
    if ((tag & 3) !== 0) throw this.fail("the tag of a list of structs is no struct");
    this.elementData = sizes & 0xffff;
    this.elementPointers = sizes >>> 16;
    this.count = tag >>> 2;
    this.pos = pos + 8;
    if ((this.elementData + this.elementPointers) * this.count > n)
      throw this.fail("a list of structs is longer than its pointer says");
  }

  /** Points `ref` at the struct that the pointer at `at` names, or at nothing when that is null. */
  enterAt(ref: StructRef, seg: number, at: number): boolean {
    const kind = this.resolve(seg, at);
    if (kind === PointerKind.struct) {
      ref.seg = this.seg;
      ref.data = this.pos;
      ref.dataBytes = this.size * 8;
      ref.pointers = this.pos + this.size * 8;
      ref.pointerCount = this.count;
      return true;
    }
    if (kind !== PointerKind.null)
      throw this.fail("a pointer leads to something that is no struct");
    ref.clear();
    return false;
  }

  /** The same for pointer field `index` of `parent`; `ref` and `parent` may be one. */
  enter(ref: StructRef, parent: StructRef, index: number): boolean {
    if (index < parent.pointerCount)
      return this.enterAt(ref, parent.seg, parent.pointers + index * 8);
    ref.clear();
    return false;
  }

  /** Finds the bytes of a Text or Data field as `pos` and `count`; false when it is null. */
  enterBytes(parent: StructRef, index: number): boolean {
    if (index >= parent.pointerCount) return false;
    const kind = this.resolve(parent.seg, parent.pointers + index * 8);
    if (kind === PointerKind.null) return false;
    if (kind !== PointerKind.list || this.size !== ElementSize.byte)
      throw this.fail("a pointer leads to something that is no list of bytes");
    return true;
  }

  /** Finds a list of structs as {@link list}; false when it is null or empty. Primitive lists are upgraded (C-VAL-18). */
  enterStructs(parent: StructRef, index: number, most: number): boolean {
    if (index >= parent.pointerCount) return false;
    const kind = this.resolve(parent.seg, parent.pointers + index * 8);
    if (kind === PointerKind.null) return false;
    if (kind !== PointerKind.list || this.size === ElementSize.bit)
      throw this.fail("a pointer leads to something that is no list of structs");
    if (this.count > most)
      throw this.fail(
        `limit capTable: a list of ${this.count} entries is over the limit of ${most}`,
      );
    const list = this.list;
    list.seg = this.seg;
    list.first = this.pos;
    list.count = this.count;
    if (this.size === ElementSize.composite) {
      list.dataBytes = this.elementData * 8;
      list.pointerCount = this.elementPointers;
    } else {
      const pointer = this.size === ElementSize.pointer;
      list.dataBytes = pointer ? 0 : ELEMENT_BITS[this.size]! / 8;
      list.pointerCount = pointer ? 1 : 0;
    }
    list.stride = list.dataBytes + list.pointerCount * 8;
    return this.count > 0;
  }

  /** Points `ref` at element `i` of `list`. */
  element(list: ListRef, i: number, ref: StructRef): void {
    ref.seg = list.seg;
    ref.data = list.first + i * list.stride;
    ref.dataBytes = list.dataBytes;
    ref.pointers = ref.data + list.dataBytes;
    ref.pointerCount = list.pointerCount;
  }

  /** Fields at byte `at` of the data section; what the section does not hold in full is 0 (C-VAL-20). */
  u32(ref: StructRef, at: number): number {
    return at + 4 <= ref.dataBytes ? this.frame.view.getUint32(ref.data + at, true) : 0;
  }

  u16(ref: StructRef, at: number): number {
    return at + 2 <= ref.dataBytes ? this.frame.view.getUint16(ref.data + at, true) : 0;
  }

  u8(ref: StructRef, at: number): number {
    return at < ref.dataBytes ? this.frame.view.getUint8(ref.data + at) : 0;
  }
}
