// Cap'n Proto's ByteStream: peers that know nothing of values write to our streams, and are written to.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { serveWritable, writableOf } from "../../src/cap/dynamic/index.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_LO,
  BYTES_SUBSTREAM,
  BYTES_WRITE,
  bytesParams,
  CALLBACK_HI,
  CALLBACK_REACHED_LIMIT,
  ONE_CAPABILITY,
  readBytes,
} from "../../src/cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { emptyPayload, Payload } from "../../src/hook/payload.js";
import { TestVats } from "../../src/testing.js";
import { Content } from "../../src/wire/content.js";
import { StructReader } from "../../src/wire/struct-reader.js";
import { failure } from "../dynamic/kit.js";
import { Consumer, streamOf } from "../dynamic/streams/kit.js";

/** The hook of a bootstrap capability as it is. */
class Raw {
  readonly hook: Hook;
  constructor(hook: Hook) {
    this.hook = hook;
  }
}

/** A ByteStream as another implementation has it: no more than bytes and an end. */
class Foreign {
  readonly writes: number[] = [];
  ended = 0;
  drops = 0;
  readonly dispatch = (call: LocalCall): void => {
    if (call.interfaceHi !== BYTES_HI || call.methodId > BYTES_END)
      return call.fails(new RpcError("unimplemented", "method-unimplemented", "no such method"));
    if (call.methodId === BYTES_WRITE) {
      call.streaming();
      this.writes.push(readBytes(call.params.content).length);
    } else this.ended++;
    call.returns();
  };
  dropped(): void {
    this.drops++;
  }
}

class Two {
  readonly net = new TestVats();
  readonly hook: Hook;
  constructor(bootstrap: (net: TestVats) => Hook) {
    const { net } = this;
    net.vat("host", { bootstrap: () => bootstrap(net) });
    net.vat("guest");
    net.link("guest", "host", { delay: 10 });
    this.hook = net.bootstrap("guest", "host", Raw).hook;
    net.advance(100);
  }
  async rest(): Promise<void> {
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(100);
    }
  }
  call(method: number, content?: Content, caps: Hook[] = [], on = this.hook): Promise<Payload> {
    const params = content === undefined ? emptyPayload() : new Payload(content, caps);
    const results = on.call(new CallRequest(BYTES_HI, BYTES_LO, method, params));
    return new Promise((resolve, reject) => {
      results.observe({
        immediate: false,
        resultsSettled() {
          results.dropPipeline();
          if (results.error === null) resolve(results.takePayload());
          else reject(results.error);
        },
      });
    });
  }
}

const schedulerOf = (net: TestVats) => ({ scheduler: net.vats.get("host")!.scheduler });

it("C-FLO-22: bytes that a peer writes come out of a stream of ours, and its end closes it", async () => {
  const consumer = new Consumer();
  const two = new Two((net) => serveWritable(consumer.stream, schedulerOf(net)));
  const written = [two.call(BYTES_WRITE, bytesParams(Uint8Array.of(1, 2)))];
  written.push(two.call(BYTES_WRITE, bytesParams(new Uint8Array(70_000))));
  await two.net.run(Promise.all(written));
  await two.net.run(two.call(BYTES_END));
  expect(consumer.chunks).toEqual([Uint8Array.of(1, 2), new Uint8Array(70_000)]);
  expect(consumer.closed).toBe(true);
  expect(
    await failure(two.net.run(two.call(BYTES_WRITE, bytesParams(Uint8Array.of(3))))),
  ).toMatchObject({
    message: expect.stringContaining("the stream has ended") as unknown,
  });
  two.hook.release();
  await two.rest();
  two.net.assertEmpty();
});

it("C-FLO-22: a peer that drops a stream without an end has not ended it", async () => {
  const consumer = new Consumer();
  const two = new Two((net) => serveWritable(consumer.stream, schedulerOf(net)));
  await two.net.run(two.call(BYTES_WRITE, bytesParams(Uint8Array.of(1))));
  two.hook.release();
  await two.rest();
  expect(consumer.closed).toBe(false);
  expect(consumer.aborted).toMatchObject({ code: "stream-dropped", type: "disconnected" });
  two.net.assertEmpty();
});

it("writes to a ByteStream of another in pieces of at most 64 KiB, and ends it", async () => {
  const foreign = new Foreign();
  const two = new Two((net) => new LocalHook(foreign, schedulerOf(net).scheduler));
  await two.net.run(
    streamOf(new Uint8Array(5), new Uint8Array(100_000)).pipeTo(writableOf(two.hook)),
  );
  expect(foreign).toMatchObject({ writes: [5, 65_536, 34_464], ended: 1 });
  await two.rest();
  two.net.assertEmpty();
});

it("drops a ByteStream of another to abort it, and refuses it what is no bytes", async () => {
  const foreign = new Foreign();
  const two = new Two((net) => new LocalHook(foreign, schedulerOf(net).scheduler));
  const writer = writableOf(two.hook).getWriter();
  writer.closed.catch(() => {});
  await two.net.run(writer.write(new Uint8Array(5)));
  await two.net.run(writer.abort("enough"));
  await two.rest();
  expect(foreign.ended).toBe(0);
  two.net.assertEmpty();
});

/** What a peer that shortens a path brings along. */
class Callback {
  count = -1n;
  drops = 0;
  reached = 0;
  readonly next: Hook | null;
  constructor(next: Hook | null) {
    this.next = next;
  }
  readonly dispatch = (call: LocalCall): void => {
    expect(call.interfaceHi).toBe(CALLBACK_HI);
    if (call.methodId === CALLBACK_REACHED_LIMIT) {
      this.reached++;
      return call.returns(new Payload(ONE_CAPABILITY, [this.next!.addRef()]));
    }
    this.count = StructReader.of(call.params.content).u64(0);
    call.returns();
  };
  dropped(): void {
    this.drops++;
    this.next?.release();
  }
}

function substreamParams(limit?: bigint): Content {
  const bytes = new Uint8Array(24);
  bytes[4] = 1;
  bytes[6] = 1;
  if (limit !== undefined)
    new DataView(bytes.buffer).setBigUint64(8, limit ^ (2n ** 64n - 1n), true);
  bytes[16] = 3;
  return new Content(bytes);
}

it("C-FLO-22: getSubstream passes bytes through, tells of their end, and does not end the stream", async () => {
  const consumer = new Consumer();
  const two = new Two((net) => serveWritable(consumer.stream, schedulerOf(net)));
  const callback = new Callback(null);
  const { scheduler } = two.net.vats.get("guest")!;
  const results = await two.net.run(
    two.call(BYTES_SUBSTREAM, substreamParams(), [new LocalHook(callback, scheduler)]),
  );
  const sub = results.caps[0]!;
  for (let i = 1; i < 4; i++)
    await two.net.run(two.call(BYTES_WRITE, bytesParams(new Uint8Array(i)), [], sub));
  await two.net.run(two.call(BYTES_END, undefined, [], sub));
  await two.rest();
  expect(callback).toMatchObject({ count: 6n, drops: 1, reached: 0 });
  expect(consumer.closed).toBe(false);
  expect(consumer.chunks).toHaveLength(3);
  results.release();
  await two.net.run(two.call(BYTES_END));
  expect(consumer.closed).toBe(true);
  two.hook.release();
  await two.rest();
  two.net.assertEmpty();
});

it("C-FLO-22: past its limit a substream goes on into the next stream, with the rest of a write", async () => {
  const consumer = new Consumer();
  const two = new Two((net) => serveWritable(consumer.stream, schedulerOf(net)));
  const { scheduler } = two.net.vats.get("guest")!;
  const next = new Foreign();
  const callback = new Callback(new LocalHook(next, scheduler));
  const results = await two.net.run(
    two.call(BYTES_SUBSTREAM, substreamParams(10n), [new LocalHook(callback, scheduler)]),
  );
  const sub = results.caps[0]!;
  for (const size of [6, 6, 6])
    await two.net.run(two.call(BYTES_WRITE, bytesParams(new Uint8Array(size)), [], sub));
  await two.net.run(two.call(BYTES_END, undefined, [], sub));
  expect((consumer.chunks as Uint8Array[]).map((chunk) => chunk.length)).toEqual([6, 4]);
  expect(next).toMatchObject({ writes: [2, 6], ended: 1 });
  expect(callback).toMatchObject({ reached: 1, count: -1n });
  results.release();
  two.hook.release();
  await two.rest();
  expect(callback.drops).toBe(1);
  expect(next.drops).toBe(1);
  two.net.assertEmpty();
});
