// C-FLO: streams under pressure, in virtual time: small calls beside them, a reader that stops, a peer that is lost, proxies
// in between.

import { describe, expect, it } from "vitest";
import { fits, type Path, queueBound, StreamLab } from "../support/streams.js";

const KIB = 1024;

/** Bytes of a stream's window and the two messages that C-FLO-03 lets go beyond it. */
const most = (window: number, chunk: number): number => window + 2 * chunk;

describe("C-FLO-05: a small call beside a bulk stream", () => {
  for (const [roundTrip, mb, chunk] of [
    [0.1, 1000, 16 * KIB],
    [1, 1, KIB],
    [10, 100, 64 * KIB],
    [100, 1, 4 * KIB],
    [100, 100, 64 * KIB],
    [300, 10, 256 * KIB],
  ] as const)
    it(`C-FLO-05: waits no longer than its window takes: ${roundTrip} ms, ${mb} MB/s`, () => {
      const path = { roundTrip, bandwidth: mb * 1000 };
      const lab = new StreamLab(path);
      const { producer, consumer } = lab.open(chunk);
      producer.start();
      const round = Math.max(roundTrip, (64 * KIB) / path.bandwidth);
      lab.net.advance(40 * round);
      let slowest = 0;
      for (let i = 0; i < 40; i++) {
        const from = consumer.received;
        const start = lab.net.now;
        const window = Math.max(producer.window.bytes, producer.flow.bytesInFlight);
        const ping = lab.ping();
        while (ping.took < 0) lab.net.advance(round / 50);
        // Its own bytes and those of the answer are nothing beside a chunk.
        const allowed = most(window, chunk) / path.bandwidth;
        expect(ping.took - roundTrip).toBeLessThanOrEqual(allowed);
        slowest = Math.max(slowest, ping.took);
        expect(consumer.received - from).toBeLessThanOrEqual(
          (lab.net.now - start) * path.bandwidth + chunk,
        );
        lab.net.advance(0.37 * round);
      }
      // The stream was there all the time: calls did wait.
      expect(slowest).toBeGreaterThan(roundTrip);
      expect(slowest).toBeLessThan(
        roundTrip + (queueBound(path) + 2 * chunk + fits(path)) / path.bandwidth,
      );
      lab.end();
    });
});

describe("C-FLO-15: a reader that stops", () => {
  const path = { roundTrip: 20, bandwidth: 10_000 };
  const chunk = 8 * KIB;

  it("C-FLO-15: stops the sender within its window, for as long as it likes; then all goes on", () => {
    const lab = new StreamLab(path);
    const stream = lab.open(chunk);
    const { producer, consumer } = stream;
    producer.start();
    lab.net.advance(2000);
    consumer.held = true;
    const handled = consumer.received - producer.flow.bytesInFlight;
    lab.net.advance(200);
    expect(producer.blocked).toBe(true);
    const stopped = producer.sent;
    expect(producer.flow.bytesInFlight).toBeLessThanOrEqual(most(producer.window.bytes, chunk));
    expect(handled).toBeLessThan(stopped);
    lab.net.advance(60_000);
    expect(producer.sent).toBe(stopped);
    expect(lab.net.load(lab.first, "v1").queued).toBe(0);
    // One is being handled; the others wait at the object for their turn, in order.
    expect(lab.net.vats.get("v1")!.to("v0").stats().answers).toBe(lab.held()[0]!);
    expect(lab.held()[0]! * chunk).toBe(producer.flow.bytesInFlight);
    consumer.goOn();
    lab.net.advance(40 * path.roundTrip);
    const before = consumer.received;
    lab.net.load(lab.first, "v1");
    lab.net.advance(1000);
    expect((consumer.received - before) / 1000 / path.bandwidth).toBeGreaterThan(0.9);
    expect(lab.net.load(lab.first, "v1").mostQueued).toBeLessThanOrEqual(queueBound(path) + chunk);
    lab.end();
  });

  it("C-FLO-15: a window of nothing lets one message go at a time, until it has found its size", () => {
    const lab = new StreamLab(path, 1);
    const { producer, consumer } = lab.open(chunk);
    producer.start();
    expect(producer.sent).toBe(2 * chunk); // one, and while that is all that is under way the next
    consumer.held = true;
    lab.net.advance(1000);
    expect(producer.sent).toBe(2 * chunk);
    consumer.goOn();
    lab.net.advance(1000);
    const before = consumer.received;
    lab.net.advance(1000);
    expect((consumer.received - before) / 1000 / path.bandwidth).toBeGreaterThan(0.9);
    lab.end();
  });

  it("C-FLO-15: a reader that stops and goes on, over and over, gets a window that covers its pauses, and no more", () => {
    const pause = 90;
    const lab = new StreamLab(path);
    const { producer, consumer } = lab.open(chunk);
    producer.start();
    for (let i = 1; i < 600; i++) {
      consumer.held = true;
      lab.net.advance((i * 37) % pause);
      consumer.goOn();
      lab.net.advance((i * 53) % 70);
    }
    const covered = 2.25 * (path.roundTrip + pause) * path.bandwidth;
    expect(producer.most).toBeLessThan(most(covered, chunk));
    lab.end();
  });
});

describe("C-FLO-21: a peer that is lost in the middle", () => {
  for (const [name, when] of [
    ["at once", 0],
    ["in the start-up", 90],
    ["at full speed", 3000],
  ] as const)
    it(`C-FLO-21: ${name}: every sender hears of it, and nothing counts as under way`, () => {
      const path = { roundTrip: 50, bandwidth: 10_000 };
      const lab = new StreamLab(path);
      const streams = [1, 2, 3, 4].map((n) => lab.open(n * KIB));
      for (const { producer } of streams) producer.start();
      lab.net.advance(when);
      expect(streams.every(({ producer }) => producer.blocked)).toBe(true);
      const ping = lab.ping();
      lab.net.cut("v0", "v1");
      for (const { producer } of streams) {
        expect(producer.error).toMatchObject({ type: "disconnected", code: "connection-lost" });
        expect(producer.blocked).toBe(false);
        expect(producer.flow.bytesInFlight).toBe(0);
        expect(producer.flow.ready).toBe(false);
      }
      expect(ping.took).toBeGreaterThanOrEqual(0);
      expect(lab.held()).toEqual([0]);
      expect(lab.taken()).toEqual([0]);
      lab.end();
    });
});

describe("C-FLO-15: through a proxy", () => {
  const fast: Path = { roundTrip: 2, bandwidth: 100_000 };
  const slow: Path = { roundTrip: 40, bandwidth: 5000 };
  const equal: Path = { roundTrip: 20, bandwidth: 10_000 };
  const chunk = 4 * KIB;

  for (const [name, hops] of [
    ["that is slow to go on from", [fast, slow]],
    ["that is slow to reach", [slow, fast]],
    ["in the middle", [equal, equal]],
    ["and another", [fast, slow, fast]],
  ] as const)
    it(`C-FLO-15: ${name}: the whole way is filled, and no hop holds more than the window`, () => {
      const whole = {
        roundTrip: hops.reduce((sum, { roundTrip }) => sum + roundTrip, 0),
        bandwidth: Math.min(...hops.map(({ bandwidth }) => bandwidth)),
      };
      const lab = new StreamLab(hops);
      const stream = lab.open(chunk);
      stream.producer.start();
      lab.net.advance(60 * whole.roundTrip);
      for (const i of hops.keys()) lab.net.load(`v${i}`, `v${i + 1}`);
      const before = stream.consumer.received;
      for (let i = 0; i < 60; i++) {
        lab.net.advance(whole.roundTrip);
        const window = most(2.25 * 1.1 * fits(whole), chunk);
        expect(stream.producer.flow.bytesInFlight).toBeLessThanOrEqual(window);
        const held = lab.held();
        for (const bytes of held) expect(bytes * chunk).toBeLessThanOrEqual(window);
        // What a hop has taken it has passed on: it holds calls, never a queue of its own.
        expect(held).toEqual([...held].sort((a, b) => b - a));
      }
      const ms = 60 * whole.roundTrip;
      expect((stream.consumer.received - before) / ms / whole.bandwidth).toBeGreaterThan(0.9);
      const queues = [...hops.keys()].map((i) => lab.net.load(`v${i}`, `v${i + 1}`).mostQueued);
      for (const queue of queues) expect(queue).toBeLessThanOrEqual(queueBound(whole) + 2 * chunk);
      lab.end();
    });

  it("C-FLO-15: a reader that stops behind it stops the sender; each hop holds the same calls", () => {
    const lab = new StreamLab([fast, slow, fast]);
    const { producer, consumer } = lab.open(chunk);
    producer.start();
    lab.net.advance(3000);
    consumer.held = true;
    lab.net.advance(1000);
    const stopped = producer.sent;
    const under = producer.flow.bytesInFlight;
    expect(under).toBeLessThanOrEqual(most(producer.window.bytes, chunk));
    expect(lab.held().map((calls) => calls * chunk)).toEqual([under, under, under]);
    lab.net.advance(100_000);
    expect(producer.sent).toBe(stopped);
    consumer.goOn();
    lab.net.advance(100);
    expect(producer.sent).toBeGreaterThan(stopped);
    lab.end();
    expect(producer.flow.bytesInFlight).toBe(0);
  });

  it("C-FLO-21: a link lost behind it fails the stream, and no hop keeps anything", () => {
    const lab = new StreamLab([fast, slow]);
    const { producer } = lab.open(chunk);
    producer.start();
    lab.net.advance(1000);
    lab.net.cut("v1", "v2");
    lab.net.advance(1000);
    expect(producer.error).toMatchObject({ type: "disconnected" });
    expect(producer.flow.bytesInFlight).toBe(0);
    expect(lab.held()).toEqual([0, 0]);
    expect(lab.taken()).toEqual([0, 0]);
    lab.end();
  });
});
