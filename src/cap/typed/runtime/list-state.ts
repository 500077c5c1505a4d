// Role: where the elements of one list are. State: that location. Must not know: the element type.

import type { Segment } from "./segment.js";

/** The location of a list's elements; stands in for capnp-ts's per-object record. */
export class ListState {
  /** What capnp-ts keeps here. */
  readonly compositeList: boolean = false;
  readonly depthLimit: number = 0x7fff_ffff;
  /** The segment of the elements. */
  readonly segment: Segment;
  /** Byte offset of the pointer to the list, in the segment of the pointer. */
  readonly at: number;
  /** Byte offset of the first element's data. */
  readonly base: number;
  /** Byte offset of the first element's first pointer. */
  readonly pointerBase: number;
  /** Bytes from one element to the next; 0 for bits and void. */
  readonly stride: number;
  /** Sizes of an element read as a struct. */
  readonly dataBytes: number;
  readonly pointerCount: number;
  readonly length: number;

  constructor(
    segment: Segment,
    at: number,
    base: number,
    stride: number,
    dataBytes: number,
    pointerCount: number,
    length: number,
  ) {
    this.segment = segment;
    this.at = at;
    this.base = base;
    this.pointerBase = base + dataBytes;
    this.stride = stride;
    this.dataBytes = dataBytes;
    this.pointerCount = pointerCount;
    this.length = length;
  }
}
