// What is streamed to turns out to be somewhere else than was thought: a promise that becomes something, an object that comes
// home. Nothing is overtaken, and no second window is filled behind a full one.

import { afterEach, beforeEach, expect, it } from "vitest";
import {
  type RpcStub,
  RpcTarget,
  serveWritable,
  targetOf,
  writableOf,
} from "../../../src/cap/dynamic/index.js";
import type { Holder } from "../../../src/hook/holder.js";
import type { Hook } from "../../../src/hook/hook.js";
import { TestVats } from "../../../src/testing.js";
import { castAs, serve } from "../../../src/typed.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import * as f from "../../typed/schemas/features.capnp.js";
import { ByteStream, ByteStream_SubstreamCallback } from "../foreign/byte-stream.capnp.js";
import { Pair } from "../kit.js";
import { Consumer } from "./kit.js";

/** Eight of these are a window. */
const CHUNK = 8192;
const WINDOW = 8;

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

/** The guest writes to what the host promised it; there is a sink at the host, and one at a third vat. */
class Promised {
  readonly net = new TestVats();
  /** Of the sink that the promise becomes. */
  readonly consumer = new Consumer(true);
  /** Chunks that the writer got rid of. */
  written = 0;
  /** Keeps the promise. */
  private keep: () => void = () => {};
  private over = false;
  private readonly writing: Promise<void>;
  private readonly writer: WritableStreamDefaultWriter;
  private readonly clients: Disposable[] = [];

  /** @param elsewhere the promise becomes the third vat's sink, which the guest has, too; otherwise the host's. */
  constructor(elsewhere: boolean) {
    const { net } = this;
    const sinkOf = (vat: string, { stream } = this.consumer): Hook =>
      serveWritable(stream, { scheduler: net.vats.get(vat)!.scheduler });
    const other = elsewhere ? this.consumer : new Consumer();
    net.vat("third", { bootstrap: () => sinkOf("third", other) });
    const host = net.vat("host", {
      bootstrap: () =>
        serve(
          ByteStream,
          {
            getSubstream: async ({ callback }) => {
              const substream = elsewhere
                ? callback.castAs(ByteStream)
                : new ByteStream(sinkOf("host"));
              await new Promise<void>((resolve) => (this.keep = resolve));
              return { substream };
            },
          } as Partial<ByteStream.Server> as ByteStream.Server,
          { scheduler: host.scheduler },
        )._hook!,
    });
    net.vat("guest");
    net.link("guest", "host", { delay: 20 });
    net.link("guest", "third", { delay: 20 });
    const api = net.bootstrap("guest", "host", ByteStream);
    const third = net.bootstrap("guest", "third", ByteStream);
    net.advance(100);
    const callback = third.castAs(ByteStream_SubstreamCallback);
    const asked = api.getSubstream({ callback });
    this.writer = writableOf(asked.substream._hook!.addRef()).getWriter();
    this.clients.push(asked as unknown as Disposable, callback, third, api);
    this.writing = this.write();
  }

  private async write(): Promise<void> {
    while (!this.over) {
      await this.writer.write(new Uint8Array(CHUNK).fill(this.written));
      this.written++;
    }
  }

  async rest(): Promise<void> {
    for (let i = 0; i < 20; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(50);
    }
  }

  /** The promise becomes what it is for, and everything comes to rest. */
  async kept(): Promise<void> {
    this.keep();
    await this.rest();
  }

  /** Takes whatever comes until the writer has ended; all of it must be in order. */
  async done(): Promise<void> {
    this.over = true;
    const ended = this.writing.then(() => this.writer.close());
    while (!this.consumer.closed) {
      this.consumer.take();
      await this.rest();
    }
    await ended;
    const { chunks } = this.consumer;
    expect(chunks.map((chunk) => (chunk as Uint8Array)[0])).toEqual(
      Array.from({ length: this.written }, (_, i) => i),
    );
    for (const one of this.clients) one[Symbol.dispose]();
    await this.rest();
    this.net.assertEmpty();
  }
}

it.each([
  ["on the same connection its window goes on", false],
  ["on another the old window is emptied first", true],
])("C-FLO-12: a promise that is written to becomes a stream: %s", async (_, elsewhere) => {
  const lab = new Promised(elsewhere);
  await lab.rest();
  expect(lab.written).toBe(WINDOW);
  await lab.kept();
  expect(lab.consumer.chunks).toHaveLength(1);
  expect(lab.written).toBe(WINDOW);
  for (let taken = 1; taken <= 4; taken++) {
    lab.consumer.take();
    await lab.rest();
    expect(lab.consumer.chunks).toHaveLength(taken + 1);
  }
  // One for each that was taken; or the one that there was room for in the old window, and no more before that is empty.
  if (elsewhere) expect(lab.written).toBeLessThanOrEqual(WINDOW + 1);
  else expect(lab.written).toBeGreaterThanOrEqual(WINDOW + 4);
  await lab.done();
});

class Borrower extends RpcTarget {
  /** Writes to an object of its caller's, and gives it back while that is under way. */
  use(theirs: RpcStub<RpcTarget>, chunks: readonly number[]): RpcStub<RpcTarget> {
    using client = castAs(theirs as unknown as Holder, f.Everything);
    for (const chunk of chunks) void client.write({ chunk: Uint8Array.of(chunk) });
    return theirs;
  }
}

it("C-FLO-16: an object that comes home in the middle of a stream is reached behind it", async () => {
  const pair = new Pair(new Borrower());
  const log: unknown[] = [];
  const waiting: (() => void)[] = [];
  const served = {
    write({ chunk }: f.Everything_write$Params): Promise<void> {
      log.push(chunk[0]);
      return new Promise((resolve) => waiting.push(resolve));
    },
    next({ by }: f.Counter_next$Params) {
      log.push(`next ${by}`);
      return { value: by };
    },
  } as unknown as f.Everything.Server;
  const { scheduler } = pair.guest;
  using mine = serve(f.Everything, served, { scheduler });
  const home = await pair.run(pair.api.use(mine as never, [1, 2, 3]));
  await pair.rest();
  pair.heard();
  expect(log).toEqual([1]);
  // Nothing shows the object itself while it is busy; a call on it waits for its turn.
  expect(targetOf(home)).toBeUndefined();
  const client = castAs(home as unknown as Holder, f.Everything);
  const asked = client.next({ by: 4 });
  for (const done of [1, 2, 3]) {
    await pair.rest();
    expect(log).toEqual([1, 2, 3].slice(0, done));
    waiting.shift()!();
  }
  expect((await pair.run(asked)).value).toBe(4);
  expect(log).toEqual([1, 2, 3, "next 4"]);
  // It was ours: only what the borrower wrote is answered over the wire.
  expect(pair.heard().filter((line) => line === "guest call")).toEqual([]);
  client[Symbol.dispose]();
  (home as unknown as Disposable)[Symbol.dispose]();
  mine[Symbol.dispose]();
  await pair.done();
});
