// Role: the outbox: one batch a turn, messages merged in order, slabs borrowed and given back.

import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors, EMPTY_PATH, NO_DESCRIPTORS } from "../../src/wire/descriptors.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { MessageWriter } from "../../src/wire/message-writer.js";
import { type Batch, Outbox, SLAB_BYTES, SlabPool } from "../../src/wire/outbox.js";
import { concat, frameOf, readBack, toHex, words, list } from "./help.js";

function setUp(most = 2): { pool: SlabPool; outbox: Outbox; writer: MessageWriter } {
  const pool = new SlabPool(most);
  const outbox = new Outbox(pool);
  return { pool, outbox, writer: new MessageWriter(outbox, DEFAULT_LIMITS) };
}

const data = (n: number, borrowed = false): Content => {
  const bytes = new Uint8Array(8 + ((n + 7) & -8)).fill(n & 0xff, 8, 8 + n);
  bytes.set(words(list(0, 2, n)));
  return new Content(bytes, null, borrowed);
};
const tailed = (n: number): Content =>
  new Content(words(list(0, 2, n)), new Uint8Array(n).fill(n & 0xff));
const send = (w: MessageWriter, id: number, content: Content): void =>
  w.call(id, 0, 2, EMPTY_PATH, 0, 1, 0, 0, 0, content, NO_DESCRIPTORS);

function ids(batch: Batch): number[] {
  const found: number[] = [];
  const framer = new Framer(DEFAULT_LIMITS);
  const reader = new MessageReader(DEFAULT_LIMITS);
  for (const chunk of batch.chunks)
    framer.push(chunk, (frame) => {
      reader.read(frame);
      found.push(reader.questionId);
    });
  expect(framer.end()).toBeNull();
  return found;
}

describe("Outbox", () => {
  it("C-FRM-17: the messages of a turn are one chunk, in order", () => {
    const { outbox, writer } = setUp();
    for (let i = 0; i < 100; i++) writer.finish(i, true, false);
    expect([outbox.count, outbox.bytes]).toEqual([100, 100 * 40]);
    const batch = outbox.take()!;
    expect([batch.chunks.length, batch.count, batch.bytes]).toEqual([1, 100, 4000]);
    expect(ids(batch)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect([outbox.count, outbox.bytes, outbox.take()]).toEqual([0, 0, null]);
  });

  it("wakes its owner once for each batch", () => {
    const { outbox, writer } = setUp();
    let woken = 0;
    outbox.wake = () => woken++;
    writer.bootstrap(1);
    writer.bootstrap(2);
    expect(woken).toBe(1);
    outbox.take()!.release();
    expect(woken).toBe(1);
    writer.bootstrap(3);
    expect(woken).toBe(2);
  });

  it("says while what was written can wait, and asks again for the first that cannot", () => {
    const { outbox, writer } = setUp();
    const asked: boolean[] = [];
    outbox.wake = (canWait) => asked.push(canWait);
    const acknowledge = (): void =>
      writer.returnResults(1, false, true, Content.EMPTY_STRUCT, new Descriptors(), true);
    acknowledge();
    acknowledge();
    expect(asked).toEqual([true]);
    writer.bootstrap(1);
    writer.bootstrap(2);
    acknowledge();
    expect(asked).toEqual([true, false]);
    expect(outbox.take()!.count).toBe(5);
    acknowledge();
    expect(asked).toEqual([true, false, true]);
  });

  it("C-FRM-17: offers many small messages before the turn ends, whole and in order, and large ones not", () => {
    const { outbox, writer } = setUp();
    const early: number[] = [];
    let woken = 0;
    outbox.wake = () => woken++;
    outbox.full = () => {
      const batch = outbox.take()!;
      expect(batch.bytes).toBeGreaterThanOrEqual(32 * 1024);
      early.push(...ids(batch));
      batch.release();
    };
    const many = 1000;
    for (let i = 0; i < many; i++) writer.finish(i, true, false);
    expect(early.length).toBe(820);
    expect(woken, "what is left needs an end of the turn").toBe(2);
    expect([...early, ...ids(outbox.take()!)]).toEqual(Array.from({ length: many }, (_, i) => i));
    early.length = 0;
    for (let i = 0; i < 4; i++) send(writer, i, tailed(SLAB_BYTES));
    expect([early, ids(outbox.take()!)]).toEqual([[], [0, 1, 2, 3]]);
  });

  it("takes a slab at the first message of a turn and gives it back at release, once", () => {
    const { pool, outbox, writer } = setUp();
    expect(pool.size).toBe(0);
    writer.bootstrap(1);
    const first = outbox.take()!;
    writer.bootstrap(2);
    const second = outbox.take()!;
    expect(second.chunks[0]!.buffer).not.toBe(first.chunks[0]!.buffer);
    first.release();
    first.release();
    expect(pool.size).toBe(1);
    writer.bootstrap(3);
    expect(pool.size).toBe(0);
    const third = outbox.take()!;
    expect(third.chunks[0]!.buffer).toBe(first.chunks[0]!.buffer);
    expect(toHex(third.chunks[0]!)).toContain("03000000");
    second.release();
    third.release();
    expect(pool.size).toBe(2);
  });

  it("C-FLO-20: a small batch that is shrunk gives its slab back and stays whole, a large one is left as it is", () => {
    const { pool, outbox, writer } = setUp();
    writer.bootstrap(1);
    send(writer, 2, tailed(8000));
    writer.bootstrap(3);
    const small = outbox.take()!;
    const [parts, bytes] = [small.chunks.length, small.bytes];
    expect(parts).toBeGreaterThan(1);
    small.shrink();
    expect([small.chunks.length, small.chunks[0]!.buffer.byteLength]).toEqual([1, bytes]);
    expect(pool.size).toBe(1);
    expect(ids(small)).toEqual([1, 2, 3]);
    small.release();
    expect(pool.size).toBe(1);
    send(writer, 4, tailed(SLAB_BYTES));
    const large = outbox.take()!;
    const { chunks } = large;
    large.shrink();
    expect([large.chunks === chunks, pool.size]).toEqual([true, 0]);
    large.release();
    expect(pool.size).toBe(1);
  });

  it("keeps only so many idle slabs, and none that is larger", () => {
    const { pool, outbox, writer } = setUp(1);
    for (let i = 0; i < 3; i++) send(writer, i, data(30_000, true));
    send(writer, 4, data(200_000, true));
    const batch = outbox.take()!;
    expect(ids(batch)).toEqual([0, 1, 2, 4]);
    expect(new Set(batch.chunks.map((chunk) => chunk.buffer)).size).toBe(3);
    expect(batch.chunks[2]!.buffer.byteLength).toBeGreaterThan(200_000);
    batch.release();
    expect(pool.size).toBe(1);
    writer.bootstrap(1);
    outbox.drop();
    expect([pool.size, outbox.count]).toEqual([1, 0]);
  });

  it("fills a slab to its last word", () => {
    const { outbox, writer } = setUp();
    const n = Math.floor(SLAB_BYTES / 40);
    for (let i = 0; i < 3 * n; i++) writer.finish(i, true, true);
    const batch = outbox.take()!;
    expect(batch.chunks.map((chunk) => chunk.length)).toEqual([n * 40, n * 40, n * 40]);
    expect(ids(batch).length).toBe(3 * n);
  });

  it("C-FRM-17: large contents and tails are referenced, between the messages around them", () => {
    const { outbox, writer } = setUp();
    const large = data(20_001);
    const tail = tailed(50_003);
    const small = tailed(5);
    writer.finish(0, true, true);
    send(writer, 1, large);
    writer.finish(2, true, true);
    send(writer, 3, tail);
    send(writer, 4, small);
    writer.finish(5, true, true);
    const batch = outbox.take()!;
    expect(batch.chunks).toContain(large.bytes);
    expect(batch.chunks).toContain(tail.tail);
    expect(ids(batch)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(batch.bytes).toBe(concat(batch.chunks).length);
    const apart = [...batch.messages()].map(concat);
    expect(toHex(concat(apart))).toBe(toHex(concat(batch.chunks)));
    expect(apart.map((bytes) => readBack(bytes).questionId)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(apart.map((bytes) => frameOf(bytes).segments)).toEqual([1, 2, 1, 2, 2, 1]);
    const contents = [1, 3, 4].map((i) => toHex(readBack(apart[i]!).takeContent().bytes));
    expect(contents).toEqual([large, tail, small].map((content) => toHex(content.flat().bytes)));
  });

  it("scratch is copied, since it will be gone", () => {
    const { outbox, writer } = setUp();
    const scratch = data(20_000, true);
    send(writer, 1, scratch);
    const tail = tailed(20_000);
    const both = new Content(tail.bytes, tail.tail, true);
    send(writer, 2, both);
    scratch.bytes.fill(0xff);
    const want = toHex(both.flat().bytes);
    both.bytes.fill(0xff);
    const [one, two] = [...outbox.take()!.messages()].map((parts) => readBack(concat(parts)));
    expect(one!.takeContent().bytes).toEqual(data(20_000).bytes);
    expect(toHex(two!.takeContent().bytes)).toBe(want);
  });

  it("an idle outbox holds no slab", () => {
    const { outbox, writer } = setUp();
    writer.bootstrap(1);
    outbox.take()!.release();
    expect([outbox.u8.length, outbox.i32.length]).toEqual([0, 0]);
  });
});
