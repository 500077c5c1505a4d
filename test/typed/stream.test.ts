// Stream methods: a promise that says when to send more, one call at a time at the object, poison after a failure.

import { describe, expect, it } from "vitest";
import type { CallRequest, FlowController } from "../../src/hook/hook.js";
import { LocalHook } from "../../src/hook/local.js";
import type { Results } from "../../src/hook/results.js";
import { StreamFlow } from "../../src/rpc/flow.js";
import { RpcError, whenStreamed } from "../../src/typed.js";
import { host, scheduler, settle } from "./kit.js";
import * as f from "./schemas/features.capnp.js";

/** A server that notes what comes and answers when told. */
class Sink {
  readonly chunks: Uint8Array[] = [];
  readonly events: string[] = [];
  running = 0;
  most = 0;
  fail: Error | null = null;

  async write({ chunk }: f.Everything_write$Params) {
    this.most = Math.max(this.most, ++this.running);
    await new Promise((resolve) => setImmediate(resolve));
    this.running--;
    if (this.fail !== null) throw this.fail;
    this.chunks.push(chunk.slice());
  }

  event({ name, point }: f.Everything_event$Params) {
    this.events.push(`${name} ${point.x}`);
  }

  shapes() {
    return { shape: { name: `after ${this.chunks.length}` } };
  }
}

const serveSink = (sink: Sink): f.Everything =>
  host(f.Everything, sink as unknown as f.Everything.Server);

describe("a stream method", () => {
  it("C-FLO-14: without a window resolves when the method is done", async () => {
    const sink = new Sink();
    const client = serveSink(sink);
    await client.write({ chunk: new Uint8Array([1, 2, 3]) });
    expect(sink.chunks.map((one) => [...one])).toEqual([[1, 2, 3]]);
    await client.event({ name: "e", point: { x: 4 } });
    expect(sink.events).toEqual(["e 4"]);
    expect(await client.write({ chunk: new Uint8Array() })).toBeUndefined();
  });

  it("the data arrives whole, whatever its size, and however it was given", async () => {
    const sink = new Sink();
    const client = serveSink(sink);
    const sizes = [0, 1, 7, 8, 9, 4095, 4096, 4097, 65_536, 100_003];
    const data = sizes.map((size) =>
      Uint8Array.from({ length: size }, (_, i) => (i * 7 + size) & 255),
    );
    for (const chunk of data) void client.write({ chunk });
    for (const chunk of data) void client.write((params) => (params.chunk = chunk));
    const padded = new Uint8Array(64).fill(9);
    void client.write({ chunk: padded.subarray(10, 15) });
    void client.write({});
    await client.shapes();
    const want = [...data, ...data, new Uint8Array(5).fill(9), new Uint8Array()];
    expect(sink.chunks.length).toBe(want.length);
    sink.chunks.forEach((chunk, i) =>
      expect(Buffer.compare(chunk, want[i]!), `chunk ${i}`).toBe(0),
    );
  });

  it("nothing of an earlier chunk travels in the padding of a later one", async () => {
    const contents: number[][] = [];
    const hook = new LocalHook(
      {
        dispatch(call) {
          contents.push([...call.params.content.bytes.subarray(16)]);
          call.returns();
        },
      },
      scheduler(),
    );
    const client = new f.Everything(hook);
    await client.write({ chunk: new Uint8Array(32).fill(0xee) });
    await client.write({ chunk: new Uint8Array([1, 2, 3]) });
    expect(contents[1]).toEqual([1, 2, 3, 0, 0, 0, 0, 0]);
  });

  it("the data that a method sees is bounded to its own bytes", async () => {
    let seen: Uint8Array | undefined;
    const client = host(f.Everything, {
      write: ({ chunk }: f.Everything_write$Params) => void (seen = chunk),
    } as unknown as f.Everything.Server);
    await client.write({ chunk: new Uint8Array([5, 6, 7]) });
    expect([...seen!]).toEqual([5, 6, 7]);
    expect(seen!.byteLength).toBe(3);
    expect(seen!.buffer.byteLength).toBe(24); // root, list pointer, one word of data: nothing else is within reach
  });

  it("C-FLO-09, 11: runs one at a time; a later call of any kind waits for all of them", async () => {
    const sink = new Sink();
    const client = serveSink(sink);
    for (let i = 0; i < 10; i++) void client.write({ chunk: new Uint8Array(i) });
    expect((await client.shapes()).shape.name).toBe("after 10");
    expect(sink.most).toBe(1);
  });

  it("C-FLO-10: a failure fails every later call on the object", async () => {
    const sink = new Sink();
    const client = serveSink(sink);
    await client.write({ chunk: new Uint8Array(1) });
    sink.fail = new Error("disk full");
    await expect(client.write({ chunk: new Uint8Array(1) })).rejects.toMatchObject({
      message: "disk full",
    });
    sink.fail = null;
    await expect(client.write({ chunk: new Uint8Array(1) })).rejects.toMatchObject({
      message: "disk full",
    });
    await expect(client.shapes()).rejects.toMatchObject({ message: "disk full" });
  });

  it("C-FLO-08: a failure that nobody awaits is no unhandled rejection", async () => {
    const seen: unknown[] = [];
    const listener = (reason: unknown): void => void seen.push(reason);
    process.on("unhandledRejection", listener);
    const sink = new Sink();
    sink.fail = new Error("lost");
    const client = serveSink(sink);
    void client.write({ chunk: new Uint8Array(1) });
    void client.write({ chunk: new Uint8Array(1) }, { signal: AbortSignal.abort() });
    await settle();
    process.off("unhandledRejection", listener);
    expect(seen).toEqual([]);
  });
});

/** A local object behind the narrowest window: one message. */
class WindowedHook extends LocalHook {
  readonly controller = new StreamFlow(null);
  readonly sizes: number[] = [];

  override get flow(): FlowController {
    return this.controller;
  }

  override call(request: CallRequest): Results {
    this.sizes.push(request.params.content.byteLength);
    return super.call(request);
  }
}

describe("a window", () => {
  function windowed() {
    const waiting: (() => void)[] = [];
    const failure: { error: RpcError | null } = { error: null };
    const hook = new WindowedHook(
      {
        dispatch(call) {
          waiting.push(() => (failure.error === null ? call.returns() : call.fails(failure.error)));
        },
      },
      scheduler(),
    );
    return { client: new f.Everything(hook), hook, waiting, failure };
  }

  it("C-FLO-02, 03: sending is never held back, only the promise", async () => {
    const { client, hook, waiting } = windowed();
    let done = 0;
    const writes = [1, 2, 3].map(() =>
      client.write({ chunk: new Uint8Array(40) }).then(() => done++),
    );
    void client.event({ name: "x".repeat(1000) });
    expect(hook.sizes.slice(0, 3)).toEqual([56, 56, 56]);
    expect(hook.sizes[3]).toBeGreaterThan(1000);
    expect(hook.controller.bytesInFlight).toBeGreaterThan(3 * 56 + 1000); // C-FLO-06
    await settle();
    expect(done).toBe(0);
    waiting.splice(0, 3).forEach((answer) => answer());
    await settle();
    expect(done).toBe(0);
    waiting.splice(0).forEach((answer) => answer());
    await Promise.all(writes);
    await whenStreamed(client);
    expect(hook.controller.bytesInFlight).toBe(0);
  });

  it("C-FLO-07: one failure rejects what waits and every later write", async () => {
    const { client, waiting, failure } = windowed();
    const blocked = client.write({ chunk: new Uint8Array(80) });
    const unhandled: unknown[] = [];
    const listener = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", listener);
    void client.write({ chunk: new Uint8Array(80) });
    await settle();
    failure.error = new RpcError("failed", "method-failed", "no");
    waiting.splice(0).forEach((answer) => answer());
    await expect(blocked).rejects.toMatchObject({ message: "no" });
    await expect(client.write({ chunk: new Uint8Array(1) })).rejects.toMatchObject({
      message: "no",
    });
    await expect(whenStreamed(client)).rejects.toMatchObject({ message: "no" });
    await settle();
    process.off("unhandledRejection", listener);
    expect(unhandled).toEqual([]);
  });
});
