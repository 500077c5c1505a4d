// Received content is read where it is: a stream of 64 KiB chunks left twice as much to the garbage collector, and a process
// grew past its bound, when each was copied before its params were read.

import { expect, it } from "vitest";
import { readContent } from "../../src/cap/typed/runtime/segment.js";
import { Data } from "../../src/typed.js";
import { Content } from "../../src/wire/content.js";

/** A content whose root is a Data of `size` bytes, each 7, `offset` bytes into a buffer full of junk. */
function placed(offset: number, size: number): Uint8Array {
  const length = 8 + ((size + 7) & -8);
  const buffer = new Uint8Array(offset + length + 24).fill(0xee);
  const bytes = buffer.subarray(offset, offset + length);
  new DataView(bytes.buffer, offset).setUint32(0, 1, true);
  new DataView(bytes.buffer, offset).setUint32(4, (size << 3) | 2, true);
  return bytes.fill(7, 8);
}

it("content that is a part of its message's buffer is not copied", () => {
  const bytes = placed(72, 64 << 10);
  const segment = readContent(new Content(bytes), null);
  const data = Data._capnp.read(segment, segment.root);
  expect(data.buffer).toBe(bytes.buffer);
  expect(data.length).toBe(64 << 10);
  expect(data.every((byte) => byte === 7)).toBe(true);
});

it("C-VAL-02: what follows the content in that buffer is out of reach", () => {
  const bytes = placed(72, 16);
  new DataView(bytes.buffer, 72).setUint32(4, (24 << 3) | 2, true);
  const segment = readContent(new Content(bytes), null);
  expect(() => Data._capnp.read(segment, segment.root)).toThrow(/leaves its segment/);
});

it("borrowed content is copied: its memory is another's soon", () => {
  const bytes = placed(72, 16);
  const segment = readContent(new Content(bytes, null, true), null);
  bytes.fill(0);
  expect([...Data._capnp.read(segment, segment.root)]).toEqual(Array.from({ length: 16 }, () => 7));
});
