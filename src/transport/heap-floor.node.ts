// Role: keeps a small heap from being marked over and over while large messages come.
// State: what is allocated in between two looks; an array that only takes room. Must not know: messages.
//
// A large message is handed on for good, so each is a buffer that becomes garbage. V8 frees such buffers by looking through
// the young generation alone, but not before there are 32 MB of them, and until then counts them as growth of the heap. When a
// heap has grown past its limit, at most four times what the last marking left of it, V8 marks all of it. So a heap of some
// 12 MB and more need not come to that, and one of less does each time, unless it has less than 8 MB, when V8 marks nothing at
// all. In between, a 64 KiB message costs twice to three times the processor time, and programs that do little else are in
// between. Where the limit is lower, because V8 has seen much garbage made or little time spent on it, this changes nothing.
// So it is with V8 up to 12, which Node 20 and 22 have; that of Node 24 marks as often with it as without, so there it is not made.

import v8 from "node:v8";

const MEBIBYTE = 1024 * 1024;
/** Below this V8 does not mark; some room for the heap to grow. */
const UNMARKED_BYTES = 7 * MEBIBYTE;
/** From here on 32 MB of buffers are within the limit, also when it is only three times as much. */
const ENOUGH_BYTES = 16 * MEBIBYTE;
/** A heap of so many bytes is past it for good. */
const OUTGROWN_BYTES = 20 * MEBIBYTE;
/** With a smaller limit for the whole heap V8 lets it grow by less than four times, and no such heap would be small. */
const LEAST_HEAP_LIMIT = 2048 * MEBIBYTE;
/** Bytes of buffers between two looks. */
const LOOK_BYTES = 32 * MEBIBYTE;

/** The last V8 that this is known to help. */
const LAST_V8 = 12;

/** Whether the V8 of this process is one for which a {@link HeapFloor} changes anything. */
export const FLOOR_HELPS: boolean = Number.parseInt(process.versions.v8) <= LAST_V8;

/** What V8 says of its heap, in bytes. */
export interface HeapSize {
  /** What lives in it, or did at the last marking, without the young generation. */
  readonly old: number;
  /** What it may grow to. */
  readonly limit: number;
}

/**
 * Takes room in the heap where that makes it cheaper to collect.
 *
 * @example
 * const floor = new HeapFloor(heapSize);
 * floor.allocated(65_536); // with each buffer that others get for good
 */
export class HeapFloor {
  private readonly measure: () => HeapSize;
  private sinceLook = 0;
  /** Numbers, since nothing in it has to be marked. */
  private room: number[] | null = null;

  /** @param measure is called once for each 32 MiB. */
  constructor(measure: () => HeapSize) {
    this.measure = measure;
  }

  /** Bytes that are taken. */
  get bytes(): number {
    return this.room === null ? 0 : this.room.length * 8;
  }

  /** A buffer of `bytes` bytes was made that will not be used again. */
  allocated(bytes: number): void {
    this.sinceLook += bytes;
    if (this.sinceLook < LOOK_BYTES) return;
    this.sinceLook = 0;
    this.look();
  }

  private look(): void {
    const { old, limit } = this.measure();
    const others = old - this.bytes;
    if (others > OUTGROWN_BYTES) this.room = null;
    if (limit < LEAST_HEAP_LIMIT || others < UNMARKED_BYTES) return;
    // Some of the others may have been dead before: what is taken only grows. What it takes the place of is garbage, too.
    const missing = ENOUGH_BYTES - others;
    if (missing >= this.bytes + MEBIBYTE)
      this.room = new Array<number>(Math.ceil(missing / 8)).fill(0.5);
  }
}

/** Of this isolate. */
export function heapSize(): HeapSize {
  let old = 0;
  for (const { space_name: name, space_used_size: used } of v8.getHeapSpaceStatistics())
    if (!name.startsWith("new_") && name !== "read_only_space") old += used;
  return { old, limit: v8.getHeapStatistics().heap_size_limit };
}
