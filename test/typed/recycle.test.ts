// The memory of large params: private and kept as long as a view on it by default, used again where a method says that
// nothing of it is used any more.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { connect, listen, type Listener, type Session } from "../../src/node.js";
import { type CallContext, serve, type StreamContext, whenStreamed } from "../../src/typed.js";
import { expectNoResidue, resources } from "../support/residue.js";
import * as f from "./schemas/features.capnp.js";

let before: Map<string, number>;
let folder: string;

beforeEach(() => {
  before = resources();
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
});

afterEach(async () => {
  fs.rmSync(folder, { recursive: true });
  await expectNoResidue(before);
});

type Write = (params: f.Everything_write$Params, context: StreamContext) => unknown;

/** Streams `count` chunks of `size` bytes, each filled with its number, to `write` in another session. */
async function stream(count: number, size: number, write: Write): Promise<void> {
  const object = serve(f.Everything, { write } as unknown as f.Everything.Server);
  const listener: Listener = await listen(`unix:${folder}/s`, { bootstrap: object });
  const session: Session = await connect(listener.url);
  try {
    using remote = session.bootstrap(f.Everything);
    for (let i = 0; i < count; i++)
      await remote.write({ chunk: new Uint8Array(size).fill(i & 0xff) });
    await whenStreamed(remote);
  } finally {
    await session.close();
    await listener.close();
    object[Symbol.dispose]();
  }
}

it("C-FRM-21: chunks that a method keeps stay what they were", async () => {
  const kept: Uint8Array[] = [];
  await stream(60, 64 * 1024, ({ chunk }) => void kept.push(chunk));
  expect(kept.length).toBe(60);
  kept.forEach((chunk, i) => expect(chunk.every((byte) => byte === i)).toBe(true));
  expect(new Set(kept.map((chunk) => chunk.buffer)).size).toBe(60);
});

it("recycled memory serves later chunks, which arrive whole", async () => {
  const buffers = new Set<ArrayBufferLike>();
  let count = 0;
  await stream(200, 64 * 1024, ({ chunk }, context) => {
    expect(chunk.length).toBe(64 * 1024);
    expect(chunk.every((byte) => byte === count % 256)).toBe(true);
    buffers.add(chunk.buffer);
    count++;
    context.recycle();
  });
  expect(count).toBe(200);
  expect(buffers.size).toBeLessThan(40);
});

it("memory that cannot serve again takes no room from memory that can", async () => {
  const collect = (buffers: Set<ArrayBufferLike>, transfers: boolean): Write => {
    return ({ chunk }, context) => {
      buffers.add(chunk.buffer);
      if (transfers) structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] });
      context.recycle();
    };
  };
  for (const [size, transfers] of [
    [10_000, false],
    [20_000, true],
  ] as const) {
    const [before, after] = [new Set<ArrayBufferLike>(), new Set<ArrayBufferLike>()];
    await stream(20, 64 * 1024, collect(before, false));
    await stream(200, size, collect(new Set(), transfers));
    await stream(20, 64 * 1024, collect(after, false));
    expect([...after].some((buffer) => before.has(buffer))).toBe(true);
  }
});

it("what was copied before the memory went back stays, whatever comes after", async () => {
  const kept: Uint8Array[] = [];
  await stream(60, 40_000, async ({ chunk }, context) => {
    await Promise.resolve();
    kept.push(chunk.slice());
    context.recycle();
  });
  kept.forEach((chunk, i) => expect(chunk.every((byte) => byte === i)).toBe(true));
});

it("C-FRM-21: a chunk that was passed on before recycle() arrives as it was, however late it leaves", async () => {
  const right: boolean[] = [];
  using far = serve(f.Everything, {
    write: ({ chunk }: f.Everything_write$Params) => {
      const number = right.length;
      right.push(chunk.length === 64 * 1024 && chunk.every((byte) => byte === number));
    },
  } as unknown as f.Everything.Server);
  const listener = await listen(`unix:${folder}/far`, { bootstrap: far });
  const session = await connect(listener.url);
  {
    using next = session.bootstrap(f.Everything);
    await stream(120, 64 * 1024, async ({ chunk }, context) => {
      await next.write({ chunk });
      context.recycle();
    });
    await whenStreamed(next);
  }
  await session.close();
  await listener.close();
  expect(right).toEqual(Array.from({ length: 120 }, () => true));
});

it("a chunk's memory may be transferred to another thread while the next chunk lies behind it", async () => {
  const kept: Uint8Array[] = [];
  await stream(60, 64 * 1024, ({ chunk }) => {
    kept.push(structuredClone(chunk, { transfer: [chunk.buffer as ArrayBuffer] }));
  });
  kept.forEach((chunk, i) => expect(chunk.every((byte) => byte === i)).toBe(true));
  expect(kept.length).toBe(60);
});

it("after recycle() the params cannot be read any more, large or small, local or not", async () => {
  const seen: unknown[] = [];
  const look = (params: f.Everything_write$Params, context: StreamContext): void => {
    context.recycle();
    context.recycle();
    for (const read of [() => params.chunk, () => params.hasChunk()])
      try {
        seen.push(read());
      } catch (error) {
        seen.push((error as { code?: string; message: string }).code);
      }
  };
  await stream(2, 64 * 1024, look);
  await stream(1, 8, look);
  using local = serve(f.Everything, { write: look } as unknown as f.Everything.Server);
  await local.write({ chunk: new Uint8Array(3) });
  expect(seen).toEqual(Array.from({ length: 8 }, () => "invalid-state"));
});

it("recycle() lets the capabilities in the params go too", async () => {
  const lent: f.Counter[] = [];
  using object = serve(f.Everything, {
    callback: (
      { target }: f.Everything_callback$Params,
      context: CallContext<f.Everything_callback$Results, f.Everything_callback$Results.Init>,
    ) => {
      lent.push(target);
      context.recycle();
      return { sum: 1 };
    },
  } as unknown as f.Everything.Server);
  using target = serve(f.Counter, { next: () => ({ value: 1 }) } as unknown as f.Counter.Server);
  expect((await object.callback({ target })).sum).toBe(1);
  expect(lent[0]!._hook).toBeNull();
  expect((await target.next()).value).toBe(1);
});
