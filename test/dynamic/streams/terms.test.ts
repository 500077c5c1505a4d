// Chunks and reasons of streams under the terms of what the stream goes through; and what goes by reference beside streams.

import { describe, expect, it } from "vitest";
import {
  RpcTarget,
  serveWritable,
  ValueTypes,
  writableOf,
} from "../../../src/cap/dynamic/index.js";
import { RpcError } from "../../../src/base/errors.js";
import { castAs, serve } from "../../../src/typed.js";
import { Census, CounterServer } from "../../typed/kit.js";
import * as f from "../../typed/schemas/features.capnp.js";
import { Money, OutOfStock, TYPES } from "../classes.js";
import { failure, Pair } from "../kit.js";
import { all, Consumer, Producer, streamOf } from "./kit.js";

class Shop extends RpcTarget {
  consumer = new Consumer();
  prices(): ReadableStream<Money> {
    return streamOf(new Money(1n), new Money(2n));
  }
  failing(): ReadableStream {
    return new Producer(1, new OutOfStock("tea")).stream;
  }
  async sum(prices: ReadableStream<Money>): Promise<bigint> {
    let cents = 0n;
    for (const one of await all(prices)) cents += (one as Money).cents;
    return cents;
  }
  till(): WritableStream {
    return this.consumer.stream;
  }
  /** Refuses what it is given. */
  closed(): WritableStream {
    return new WritableStream({
      write() {
        throw new OutOfStock("room");
      },
    });
  }
  /** Refuses to end. */
  endless(): WritableStream {
    return new WritableStream({
      close() {
        throw new OutOfStock("time");
      },
    });
  }
  hang(_prices: ReadableStream): never {
    throw new OutOfStock("till");
  }
}

function pairOf(guest = TYPES, host = TYPES): Pair<Shop> {
  return new Pair(new Shop(), { guest: { types: guest }, serve: { types: host } });
}

describe("a stream", () => {
  it("has chunks of registered classes, in results and in arguments", async () => {
    const pair = pairOf();
    const prices = await pair.run(pair.api.prices());
    const got = await pair.run(all(prices));
    expect(got).toEqual([new Money(1n), new Money(2n)]);
    expect(got[0]).toBeInstanceOf(Money);
    expect(await pair.run(pair.api.sum(streamOf(new Money(3n), new Money(4n))))).toBe(7n);
    await pair.done();
  });

  it("of results takes them, too", async () => {
    const pair = pairOf();
    const writer = (await pair.run(pair.api.till())).getWriter();
    await pair.run(writer.write(new Money(5n)));
    await pair.run(writer.close());
    expect(pair.target.consumer.chunks).toEqual([new Money(5n)]);
    expect(pair.target.consumer.chunks[0]).toBeInstanceOf(Money);
    await pair.done();
  });

  it("fails at the other side with the class it failed with", async () => {
    const pair = pairOf();
    const error = await failure(pair.run(all(await pair.run(pair.api.failing()))));
    expect(error).toBeInstanceOf(OutOfStock);
    expect(error).toMatchObject({ item: "tea" });
    await pair.done();
  });

  it("that is written to fails with the class, in a write and at the end", async () => {
    const pair = pairOf();
    const writer = (await pair.run(pair.api.closed())).getWriter();
    writer.closed.catch(() => {});
    await writer.write(1);
    const closed = await failure(pair.run(writer.close()));
    expect(closed).toBeInstanceOf(OutOfStock);
    expect(closed).toMatchObject({ item: "room" });
    const endless = (await pair.run(pair.api.endless())).getWriter();
    endless.closed.catch(() => {});
    const end = await failure(pair.run(endless.close()));
    expect(end).toBeInstanceOf(OutOfStock);
    expect(end).toMatchObject({ item: "time" });
    await pair.done();
  });

  it("that was lent to a method that fails is dropped, and the failure has its class", async () => {
    const pair = pairOf();
    const producer = new Producer(5);
    const error = await failure(pair.run(pair.api.hang(producer.stream)));
    expect(error).toBeInstanceOf(OutOfStock);
    expect(RpcError.of(error)).toMatchObject({ type: "failed", method: "hang" });
    await pair.rest();
    expect(producer.canceled).toMatchObject({ code: "stream-dropped" });
    await pair.done();
  });

  it("breaks where a class is not registered", async () => {
    const pair = pairOf(new ValueTypes({}));
    const prices = await pair.run(pair.api.prices());
    expect(await failure(pair.run(all(prices)))).toMatchObject({ code: "invalid-payload" });
    await pair.done();
  });

  it("served as a ByteStream has the terms it was served and is used with", async () => {
    const consumer = new Consumer();
    const writer = writableOf(serveWritable(consumer.stream, { types: TYPES }), {
      types: TYPES,
    }).getWriter();
    await writer.write(new Money(9n));
    await writer.close();
    expect(consumer.chunks).toEqual([new Money(9n)]);
    expect(consumer.chunks[0]).toBeInstanceOf(Money);
  });
});

describe("a value with a stream and a typed client", () => {
  class Both extends RpcTarget {
    readonly census = new Census();
    pair!: Pair<Both>;
    get counter(): f.Counter {
      return serve(f.Counter, new CounterServer(10, this.census), {
        scheduler: this.pair.host.scheduler,
      });
    }
    both(): { counter: f.Counter; stream: ReadableStream } {
      return { counter: this.counter, stream: streamOf(1) };
    }
    counters(): ReadableStream<f.Counter> {
      return streamOf(this.counter);
    }
  }

  it("goes by reference, each in its way, also in a chunk", async () => {
    const pair = new Pair(new Both());
    pair.target.pair = pair;
    const both = await pair.run(pair.api.both());
    const counter = castAs(both.counter, f.Counter);
    expect((await pair.run(counter.next({ by: 1 }))).value).toBe(11);
    expect(await pair.run(all(both.stream))).toEqual([1]);
    counter[Symbol.dispose]();
    both[Symbol.dispose]();
    const [chunk] = await pair.run(all(await pair.run(pair.api.counters())));
    const second = castAs(chunk as Disposable & f.Counter, f.Counter);
    expect((await pair.run(second.next({ by: 2 }))).value).toBe(12);
    second[Symbol.dispose]();
    (chunk as Disposable)[Symbol.dispose]();
    await pair.done();
  });
});
