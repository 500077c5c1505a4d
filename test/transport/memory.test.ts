// The in-memory pair: the suite, and the order of delivery that a test may choose.

import { describe, expect, it } from "vitest";
import { memoryPair } from "../../src/transport/memory.js";
import { Batch } from "../../src/wire/outbox.js";
import { listenTo, numbers, turn, Writer } from "../support/messages.js";
import { transportSuite } from "../suites/transport.js";

transportSuite({
  name: "memory",
  stoppable: true,
  backlog: true,
  stream: false,
  halfClose: true,
  pair: async (options) => {
    const [a, b] = memoryPair(options);
    return { a, b };
  },
  raw: async (options) => {
    const [peer, transport] = memoryPair(options);
    listenTo(peer);
    return {
      transport,
      send: (unit) => peer.write(new Batch([unit], unit.length, [unit.length], [])),
      end: () => peer.end(),
      received: () => peer.receivedBytes,
      dispose: () => peer.close(),
    };
  },
});

describe("memory", () => {
  it("keeps the order of one side whichever deferred step runs first", async () => {
    const steps: (() => void)[] = [];
    const [a, b] = memoryPair({ defer: (step) => steps.push(step) });
    const writer = new Writer();
    const atA = listenTo(a);
    const atB = listenTo(b);
    for (let i = 0; i < 20; i++) {
      a.write(writer.batch([i]));
      b.write(writer.batch([i]));
    }
    a.end();
    // Last in, first out: the worst order there is.
    while (steps.length > 0) {
      steps.pop()!();
      await turn();
    }
    expect(atB.numbers).toEqual(numbers(0, 20));
    expect(atA.numbers).toEqual(numbers(0, 20));
    expect([atA.ends, atB.ends]).toEqual([[null], [null]]);
    expect(writer.unreleased).toBe(0);
  });

  it("gives slabs back as soon as the bytes are handed over", async () => {
    const [a, b] = memoryPair();
    const writer = new Writer();
    listenTo(a);
    const atB = listenTo(b);
    a.write(writer.batch(numbers(0, 3)));
    // And what the batch itself takes.
    expect([a.bufferedBytes, writer.pool.size]).toEqual([72 + 1024, 0]);
    await atB.messages(3);
    expect([a.bufferedBytes, writer.pool.size]).toEqual([0, 1]);
    a.close();
    await atB.ended();
  });
});
