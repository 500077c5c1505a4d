import { expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { MessageWriter } from "../../src/wire/message-writer.js";
import { Outbox } from "../../src/wire/outbox.js";

/** A content of one Data of `size` bytes, each `fill`. */
function data(size: number, fill: number): Content {
  const bytes = new Uint8Array(16 + ((size + 7) & -8));
  const view = new DataView(bytes.buffer);
  view.setUint32(4, 1 << 16, true);
  view.setUint32(8, 1, true);
  view.setUint32(12, (size << 3) | 2, true);
  bytes.fill(fill, 16, 16 + size);
  return new Content(bytes);
}

/** Frames of calls with these contents, in one buffer. */
function frames(...contents: Content[]): Uint8Array {
  const outbox = new Outbox();
  const writer = new MessageWriter(outbox, DEFAULT_LIMITS);
  contents.forEach((content, i) =>
    writer.call(i, 0, 0, [], 1, 2, 3, 0, 0, content, new Descriptors()),
  );
  const batch = outbox.take()!;
  return Uint8Array.from(batch.chunks.flatMap((chunk) => [...chunk]));
}

/** Contents received from `bytes` cut at `cut`, taken as each message comes. */
function receive(bytes: Uint8Array, cut: number): Content[] {
  const framer = new Framer(DEFAULT_LIMITS);
  const reader = new MessageReader(DEFAULT_LIMITS);
  const taken: Content[] = [];
  for (const part of [bytes.slice(0, cut), bytes.slice(cut)])
    framer.push(part, (frame) => {
      reader.read(frame);
      taken.push(reader.takeContent());
    });
  return taken;
}

it("C-FRM-21: a large content of a message that was put together stays in its buffer, and stays what it was", () => {
  const sent = [data(20_000, 1), data(20_000, 2), data(20_000, 3)];
  const bytes = frames(...sent);
  const taken = receive(bytes, 30_000); // inside the second
  expect(taken.map((content) => [...content.flat().bytes])).toEqual(
    sent.map((content) => [...content.bytes]),
  );
  // The second shares the buffer it was assembled in; the whole ones in a chunk were copied out of it.
  expect(taken[1]!.bytes.byteLength).toBeLessThan(taken[1]!.bytes.buffer.byteLength);
  expect(taken[2]!.bytes.byteLength).toBe(taken[2]!.bytes.buffer.byteLength);
});

it("C-VAL-13: in place or not, what is reached twice is charged twice", () => {
  const small = { ...DEFAULT_LIMITS, traversalWords: 2000 };
  const framer = new Framer(DEFAULT_LIMITS);
  const reader = new MessageReader(small);
  const bytes = frames(data(20_000, 1));
  const taken: unknown[] = [];
  for (const part of [bytes.slice(0, 100), bytes.slice(100)])
    framer.push(part, (frame) => {
      reader.read(frame);
      try {
        reader.takeContent();
      } catch (error) {
        taken.push(error);
      }
    });
  expect(taken).toMatchObject([{ code: "invalid-payload" }]);
});
