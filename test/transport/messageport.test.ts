// MessagePort: the suite on worker_threads ports, a peer that never says hello, the heartbeat, a worker that dies.

import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { describe, expect, it } from "vitest";
import { type MessagePortLike, MessagePortTransport } from "../../src/transport/messageport.js";
import type { TransportOptions } from "../../src/transport/transport.js";
import { limitsWith } from "../../src/base/limits.js";
import { listenTo, numbers, turn, Writer, until } from "../support/messages.js";
import { cleaningUp } from "../support/residue.js";
import { frameBytes, transportSuite } from "../suites/transport.js";

const like = (port: MessagePort): MessagePortLike => port as unknown as MessagePortLike;

/** What a test that speaks to a bare port sees. */
function bare(port: MessagePort): { bytes: number; units: number[]; said: string[] } {
  const seen = { bytes: 0, units: [] as number[], said: [] as string[] };
  port.on("message", (data: unknown) => {
    if (data instanceof ArrayBuffer) {
      seen.bytes += data.byteLength;
      seen.units.push(data.byteLength);
    } else seen.said.push((data as { capnp: string }).capnp);
  });
  return seen;
}

transportSuite({
  name: "messageport",
  stoppable: true,
  backlog: false,
  stream: false,
  halfClose: true,
  pair: async (options?: TransportOptions) => {
    const { port1, port2 } = new MessageChannel();
    return {
      a: new MessagePortTransport("port a", like(port1), options),
      b: new MessagePortTransport("port b", like(port2), options),
    };
  },
  raw: async (options?: TransportOptions) => {
    const { port1, port2 } = new MessageChannel();
    const transport = new MessagePortTransport("port", like(port1), options);
    const seen = bare(port2);
    return {
      transport,
      send: (unit) => port2.postMessage(unit.slice().buffer),
      end: () => port2.postMessage({ capnp: "end" }),
      received: () => seen.bytes,
      dispose: () => port2.close(),
    };
  },
});

describe("messageport", () => {
  const cleanup = cleaningUp();

  function withBarePeer(options?: TransportOptions) {
    const { port1, port2 } = new MessageChannel();
    const transport = new MessagePortTransport("port", like(port1), options);
    const seen = bare(port2);
    const listener = listenTo(transport);
    cleanup(() => {
      transport.close();
      port2.close();
    });
    return { transport, listener, port: port2, seen };
  }

  it("C-FRM-19: one message per unit until the peer's first message allows more", async () => {
    const { transport, port, seen } = withBarePeer();
    const writer = new Writer();
    transport.write(writer.batch([1, 2, 3]));
    await until(() => seen.units.length >= 3);
    expect(seen.units).toEqual([24, 24, 24]);
    expect(transport.batching).toBe(false);
    expect(seen.said).toEqual(["hello"]);
    port.postMessage({ capnp: "hello" });
    await until(() => transport.batching);
    transport.write(writer.batch([4, 5, 6]));
    await until(() => seen.units.length >= 4);
    expect(seen.units).toEqual([24, 24, 24, 72]);
  });

  it("gives the peer buffers of its own: a slab is not sent, what a user lent is not taken away", async () => {
    const { transport, seen } = withBarePeer();
    const writer = new Writer();
    writer.add(1, 16);
    writer.add(2, 16_384);
    const batch = writer.take();
    const lent = batch.chunks.map((chunk) => chunk.length);
    transport.write(batch);
    await until(() => seen.units.length >= 2);
    expect(seen.units).toEqual([24, 16_392]);
    expect(batch.chunks.map((chunk) => chunk.length)).toEqual(lent);
    expect(writer.pool.size).toBe(1);
  });

  it("a port message that is neither bytes nor control is a fault, as is an ack of nonsense", async () => {
    for (const garbage of [
      "hello",
      7,
      null,
      { capnp: "ack", bytes: "many" },
      { capnp: "mark" },
      { capnp: "__proto__" },
      [],
    ]) {
      const { listener, port } = withBarePeer();
      port.postMessage(new Uint8Array(frameBytes(1)));
      port.postMessage(garbage);
      await listener.faulted();
      expect(listener.log).toEqual(["message 1", "fault"]);
      expect(listener.faults[0]).toMatchObject({ code: "malformed-frame" });
    }
  });

  it("an ack of more than was sent, or less than before, changes nothing", async () => {
    const limits = limitsWith({ outgoingBytes: 1000 });
    const { transport, port, seen } = withBarePeer({ limits });
    port.postMessage({ capnp: "hello" });
    await until(() => transport.batching);
    transport.write(new Writer().batch(numbers(0, 10), 16_000));
    expect(transport.bufferedBytes).toBe(160_080 + 1024);
    for (const bytes of [1e9, 100_000, 50, -1, Number.NaN])
      port.postMessage({ capnp: "ack", bytes });
    for (let i = 0; i < 10; i++) await turn();
    expect(transport.bufferedBytes).toBe(60_080 + 1024);
    expect(seen.said).toEqual(["hello", "mark"]);
  });

  it("C-HOS-01: what comes during a pause is bounded", async () => {
    // Units of nothing but a message take memory as well.
    for (const [size, fit] of [
      [9000, 10],
      [16, 97],
    ] as const) {
      const limits = limitsWith({ withheldCallBytes: 102_400 });
      const { transport, listener, port } = withBarePeer({ limits });
      transport.pause();
      for (let i = 0; i < 200; i++) port.postMessage(frameBytes(i, size));
      await until(() => transport.receivedBytes === 200 * (size + 8));
      transport.resume();
      await listener.faulted();
      expect(listener.faults[0]).toMatchObject({ type: "overloaded", code: "queue-full" });
      // The one that was too much is there as well.
      expect(listener.numbers).toEqual(numbers(0, fit + 1));
    }
  });

  it("C-LIF-28: a peer whose loop stands still is reported within peerTimeout, a quiet one is not", async () => {
    const { port1, port2 } = new MessageChannel();
    // Answers pings for as long as it is not stopped.
    const worker = new Worker(
      `const { workerData: { port, stop } } = require("node:worker_threads");
       port.postMessage({ capnp: "hello" });
       port.on("message", (m) => { if (m.capnp === "ping") port.postMessage({ capnp: "pong" });
         if (m instanceof ArrayBuffer) Atomics.wait(stop, 0, 0); });`,
      {
        eval: true,
        workerData: { port: port2, stop: new Int32Array(new SharedArrayBuffer(4)) },
        transferList: [port2],
      },
    );
    cleanup(() => worker.terminate());
    const transport = new MessagePortTransport("worker", like(port1), { peerTimeout: 900 });
    const listener = listenTo(transport);
    await until(() => transport.batching);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(listener.log).toEqual([]);
    transport.write(new Writer().batch([1]));
    const stopped = performance.now();
    expect(await listener.ended()).toMatchObject({
      type: "disconnected",
      code: "peer-unresponsive",
    });
    const took = performance.now() - stopped;
    // Two thirds of it since the last sign of life, which may have come a third before; a busy machine may add some.
    expect(took).toBeGreaterThan(290);
    expect(took).toBeLessThan(5000);
  });

  it("C-DIS-08: a worker that dies is a lost connection", async () => {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(
      `const { workerData: { port } } = require("node:worker_threads");
       port.postMessage({ capnp: "hello" }); port.on("message", () => process.exit(1));`,
      { eval: true, workerData: { port: port2 }, transferList: [port2] },
    );
    cleanup(() => worker.terminate());
    const transport = new MessagePortTransport("worker", like(port1));
    const listener = listenTo(transport);
    await until(() => transport.batching);
    transport.write(new Writer().batch([1]));
    expect(await listener.ended()).toMatchObject({
      type: "disconnected",
      code: "connection-lost",
    });
  });
});
