// C-FLO-05, C-FLO-04: what windows make of a link, from 0.1 to 300 ms there and back and from 1 to 1000 MB/s: nine tenths
// of it and more after the start-up, a short queue, the same for each of four streams. Prints what it measured.

import { afterAll, describe, expect, it } from "vitest";
import { fits, type Path, queueBound, type Stream, StreamLab } from "../support/streams.js";

const ROUND_TRIPS = [0.1, 1, 10, 50, 100, 300];
const MB_PER_SECOND = [1, 10, 100, 1000];
const KIB = 1024;
const MIB = KIB * KIB;

/** Rounds after which the start-up must be over, and rounds that are measured. */
const START_UP = 60;
const MEASURED = 60;

interface Measured {
  /** Part of the link's bandwidth that carried chunks. */
  used: number;
  /** Bytes: the longest queue. */
  queue: number;
  /** The least and the most that a stream got, where one is its fair part. */
  least: number;
  most: number;
}

/** A round: there and back, or as long as it takes to carry the first windows. */
const roundOf = (path: Path, streams: number): number =>
  Math.max(path.roundTrip, (streams * 64 * KIB) / path.bandwidth);

function measure(lab: StreamLab, streams: Stream[], path: Path, ms: number): Measured {
  const { net } = lab;
  net.load(lab.first, "v1");
  const before = streams.map(({ consumer }) => consumer.received);
  net.advance(ms);
  const got = streams.map(({ consumer }, i) => consumer.received - before[i]!);
  const all = got.reduce((sum, bytes) => sum + bytes, 0);
  const part = (bytes: number): number => (bytes * streams.length) / all;
  return {
    used: all / ms / path.bandwidth,
    queue: net.load(lab.first, "v1").mostQueued,
    least: part(Math.min(...got)),
    most: part(Math.max(...got)),
  };
}

interface Run {
  chunk?: number;
  /** Rounds between the starts of two streams. */
  apart?: number;
  rounds?: number;
}

/** Streams at full speed over one link: starts them, lets the start-up go by, measures. */
function run(path: Path, count: number, { chunk, apart = 0, rounds = MEASURED }: Run = {}) {
  const lab = new StreamLab(path);
  const size = chunk ?? Math.min(64 * MIB, Math.max(KIB, Math.round(fits(path) / 32 / count)));
  const streams = Array.from({ length: count }, () => lab.open(size));
  const round = roundOf(path, count);
  for (const { producer } of streams) {
    producer.start();
    lab.net.advance(apart * round);
  }
  lab.net.advance(START_UP * round);
  const measured = measure(lab, streams, path, rounds * round);
  lab.end();
  expect(streams.every(({ producer }) => producer.flow.bytesInFlight === 0)).toBe(true);
  for (const { producer, consumer } of streams) expect(consumer.received).toBe(producer.sent);
  // What C-FLO-03 lets each stream send beyond its window.
  return { ...measured, bound: queueBound(path, count) + 2 * size * count };
}

const table: string[] = [];
const cell = (width: number, text: string | number): string => String(text).padStart(width);
const row = (...cells: (string | number)[]): string => cells.map((one) => cell(10, one)).join("");

afterAll(() => {
  const head = row(
    "ms",
    "MB/s",
    "used",
    "queue/BDP",
    "of bound",
    "4: used",
    "of bound",
    "least",
    "most",
  );
  console.log([head, ...table].join("\n"));
});

describe("C-FLO-05: over any link, one stream and four", () => {
  for (const roundTrip of ROUND_TRIPS)
    for (const mb of MB_PER_SECOND)
      it(`C-FLO-05: ${roundTrip} ms, ${mb} MB/s`, () => {
        const path = { roundTrip, bandwidth: mb * 1000 };
        const one = run(path, 1);
        const four = run(path, 4);
        table.push(
          row(
            roundTrip,
            mb,
            one.used.toFixed(3),
            (one.queue / fits(path)).toFixed(2),
            (one.queue / queueBound(path)).toFixed(2),
            four.used.toFixed(3),
            (four.queue / queueBound(path, 4)).toFixed(2),
            four.least.toFixed(2),
            four.most.toFixed(2),
          ),
        );
        for (const { used, queue, bound } of [one, four]) {
          expect(used).toBeGreaterThan(0.9);
          expect(queue).toBeLessThanOrEqual(bound);
        }
        expect(four.least).toBeGreaterThan(0.8);
        expect(four.most).toBeLessThan(1.2);
      });
});

it("C-FLO-05: one stream drains a little each time, and so need never stop to ask how long its path is", () => {
  const path = { roundTrip: 300, bandwidth: 10_000 };
  const lab = new StreamLab(path);
  const { producer } = lab.open(Math.round(fits(path) / 32));
  producer.start();
  lab.net.advance(START_UP * path.roundTrip);
  for (let i = 0; i < 200; i++) {
    lab.net.advance(path.roundTrip);
    expect(producer.window.bytes).toBeGreaterThan(0.8 * fits(path));
  }
  lab.end();
});

describe("C-FLO-05: four streams", () => {
  for (const [roundTrip, mb] of [
    [1, 1000],
    [10, 100],
    [100, 10],
    [300, 1000],
  ] as const)
    it(`C-FLO-05: that start one after the other share alike: ${roundTrip} ms, ${mb} MB/s`, () => {
      const four = run({ roundTrip, bandwidth: mb * 1000 }, 4, { apart: 20 });
      expect(four.used).toBeGreaterThan(0.9);
      expect(four.queue).toBeLessThanOrEqual(four.bound);
      expect(four.least).toBeGreaterThan(0.8);
      expect(four.most).toBeLessThan(1.2);
    });

  it("C-FLO-05: keep a short queue for minutes: none takes that of the others for distance", () => {
    const four = run({ roundTrip: 100, bandwidth: 10_000 }, 4, { apart: 5, rounds: 1800 });
    expect(four.used).toBeGreaterThan(0.9);
    expect(four.queue).toBeLessThanOrEqual(four.bound);
    expect([four.least, four.most].map((part) => Math.round(part * 10))).toEqual([10, 10]);
  });

  it("C-FLO-05: leave what one of them does not use to the others", () => {
    const path = { roundTrip: 20, bandwidth: 10_000 };
    const lab = new StreamLab(path);
    const streams = Array.from({ length: 4 }, () => lab.open(4 * KIB));
    const slow = streams[0]!;
    slow.consumer.pace = 40; // 4 KiB in 40 ms: a hundredth of the link
    for (const { producer } of streams) producer.start();
    lab.net.advance(4000);
    lab.net.load(lab.first, "v1");
    const all = measure(lab, streams, path, 4000);
    expect(all.used).toBeGreaterThan(0.9);
    expect(all.queue).toBeLessThan(queueBound(path, 4));
    // The slow one holds no more than it began with: it has no use for it.
    expect(slow.producer.flow.bytesInFlight).toBeLessThanOrEqual((64 + 2 * 4) * KIB);
    lab.end();
  });

  it("C-FLO-05: fill the link when one of them goes on to far away, and none starves", () => {
    const path = { roundTrip: 10, bandwidth: 10_000 };
    const lab = new StreamLab(path);
    const streams = Array.from({ length: 4 }, () => lab.open(4 * KIB));
    const far = 200;
    streams[3]!.consumer.distance = far;
    for (const { producer } of streams) producer.start();
    lab.net.advance(6000);
    lab.net.load(lab.first, "v1");
    const all = measure(lab, streams, path, 20_000);
    expect(all.used).toBeGreaterThan(0.9);
    // Its window is as long as its way: what of that queues here makes the others' way longer.
    expect(all.least).toBeGreaterThan(0.2);
    expect(all.queue).toBeLessThan(queueBound({ ...path, roundTrip: path.roundTrip + far }));
    lab.end();
  });

  it("C-FLO-05: one whose reader has stopped takes nothing from the others", () => {
    const path = { roundTrip: 10, bandwidth: 10_000 };
    const lab = new StreamLab(path);
    const streams = Array.from({ length: 4 }, () => lab.open(4 * KIB));
    const stopped = streams[3]!;
    stopped.consumer.held = true;
    for (const { producer } of streams) producer.start();
    lab.net.advance(1000);
    const all = measure(lab, streams.slice(0, 3), path, 20_000);
    expect(all.used).toBeGreaterThan(0.9);
    expect(all.least).toBeGreaterThan(0.8);
    expect(all.most).toBeLessThan(1.2);
    expect(stopped.producer.sent).toBeLessThanOrEqual((64 + 2 * 4) * KIB);
    lab.end();
  });
});

describe("C-FLO-03: chunks of any size", () => {
  for (const [roundTrip, mb] of [
    [300, 1],
    [10, 10],
    [0.1, 1],
  ] as const)
    it(`C-FLO-03: of one byte, all else real: ${roundTrip} ms, ${mb} MB/s`, () => {
      const path = { roundTrip, bandwidth: mb * 1000 };
      const lab = new StreamLab(path);
      const { producer } = lab.open(1, true);
      producer.start();
      const round = roundOf(path, 1);
      lab.net.advance(30 * round);
      const before = lab.net.load(lab.first, "v1").bytes;
      lab.net.advance(10 * round);
      const { bytes, mostQueued } = lab.net.load(lab.first, "v1");
      expect((bytes - before) / (10 * round) / path.bandwidth).toBeGreaterThan(0.9);
      // A message on the line is somewhat more than the window counts for it.
      expect(mostQueued).toBeLessThan(1.1 * queueBound(path));
      lab.end();
    });

  for (const [roundTrip, mb, messages] of [
    [300, 1000, 2],
    [100, 100, 6],
    [1, 1000, 6],
    [0.1, 1, 6],
  ] as const)
    // A message does not divide. Where two fill the link, which C-FLO-03 always lets go, what fits is those two.
    it(`C-FLO-03: of 64 MiB: ${roundTrip} ms, ${mb} MB/s`, () => {
      const path = { roundTrip, bandwidth: mb * 1000 };
      const chunk = 64 * MIB;
      const lab = new StreamLab(path);
      const stream = lab.open(chunk);
      stream.producer.start();
      const each = Math.max(roundTrip, chunk / path.bandwidth);
      lab.net.advance(60 * each);
      const { used, queue } = measure(lab, [stream], path, 60 * each);
      expect(used).toBeGreaterThan(0.9);
      expect(queue).toBeLessThanOrEqual(queueBound(path) + messages * chunk);
      lab.end();
    });

  it("C-FLO-03: a large one first leaves no long queue of small ones behind", () => {
    const path = { roundTrip: 10, bandwidth: 10_000 };
    const lab = new StreamLab(path);
    let size = 16 * MIB;
    const stream = lab.open(() => size);
    stream.producer.write(size);
    size = KIB;
    lab.net.advance(3000);
    stream.producer.start();
    lab.net.advance(600);
    const { used, queue } = measure(lab, [stream], path, 600);
    expect(used).toBeGreaterThan(0.9);
    expect(queue).toBeLessThanOrEqual(queueBound(path) + 2 * KIB);
    lab.end();
  });
});
