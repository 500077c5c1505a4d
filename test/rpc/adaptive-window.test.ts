// C-FLO-05: the window that finds its own size, against a simulated path with a clock of its own.

import { describe, expect, it } from "vitest";
import { AdaptiveWindow, CEILING, FLOOR, type SentRecord } from "../../src/rpc/adaptive-window.js";

/** A pipe of `rate` bytes per millisecond and a round trip of `trip` ms, one queue, no loss. */
class Path {
  now = 0;
  rate: number;
  trip: number;
  readonly window: AdaptiveWindow;
  inFlight = 0;
  delivered = 0;
  private free = 0;
  private pending: { at: number; bytes: number; record: SentRecord }[] = [];

  constructor(rate: number, trip: number, start = FLOOR) {
    this.rate = rate;
    this.trip = trip;
    this.window = new AdaptiveWindow(start, () => this.now);
  }

  send(bytes: number): void {
    this.inFlight += bytes;
    const record = this.window.sent(bytes, this.inFlight);
    this.window.hasRoom(this.inFlight < this.window.bytes);
    this.free = Math.max(this.free, this.now) + bytes / this.rate;
    this.pending.push({ at: this.free + this.trip, bytes, record });
  }

  /** The next acknowledgement. False: nothing is in flight. */
  step(): boolean {
    const next = this.pending.shift();
    if (next === undefined) return false;
    this.now = next.at;
    this.inFlight -= next.bytes;
    this.delivered += next.bytes;
    this.window.acknowledged(next.record);
    this.window.hasRoom(this.inFlight < this.window.bytes);
    return true;
  }

  /** Sends all the window allows, for `ms`. */
  saturate(ms: number, bytes = 8192): void {
    const end = this.now + ms;
    while (this.now < end) {
      while (this.inFlight < this.window.bytes) this.send(bytes);
      this.step();
    }
  }

  /** Sends one message at a time, with `pause` ms in between. */
  trickle(ms: number, bytes: number, pause: number): void {
    const end = this.now + ms;
    while (this.now < end) {
      this.send(bytes);
      while (this.step());
      this.now += pause;
    }
  }

  /** Bytes that fit in the pipe. */
  get fits(): number {
    return this.rate * this.trip;
  }
}

describe("C-FLO-05: the adaptive window", () => {
  it("C-FLO-05: starts at what it is given and doubles once a round while the rate grows", () => {
    const path = new Path(100_000, 100);
    expect(path.window.bytes).toBe(65536);
    const sizes: number[] = [];
    for (let i = 0; i < 4; i++) {
      path.saturate(101);
      sizes.push(path.window.bytes / 65536);
    }
    expect(sizes).toEqual([2, 4, 8, 16]);
    expect(path.window.starting).toBe(true);
  });

  it("C-FLO-05: ends the startup when the rate grew by less than a quarter for three rounds", () => {
    const path = new Path(1000, 100); // 100,000 bytes fit
    path.saturate(100 * 30);
    expect(path.window.starting).toBe(false);
    expect(path.window.bytes).toBeLessThan(2 * path.fits);
  });

  for (const [rate, trip] of [
    [1000, 200],
    [10_000, 50],
    [100_000, 20],
    [1_000_000, 2],
  ] as const) {
    it(`C-FLO-05: converges on what fits in a path of ${rate} bytes/ms and ${trip} ms`, () => {
      const path = new Path(rate, trip);
      path.saturate(trip * 60);
      const sizes: number[] = [];
      const before = path.delivered;
      const from = path.now;
      for (let i = 0; i < 40; i++) {
        path.saturate(trip);
        sizes.push(path.window.bytes / path.fits);
      }
      expect(Math.min(...sizes)).toBeGreaterThan(0.8);
      expect(Math.max(...sizes)).toBeLessThan(2.7);
      expect((path.delivered - before) / (path.now - from) / rate).toBeGreaterThan(0.9);
    });
  }

  it("C-FLO-05: fits what a tenth of a millisecond carries on a path within one machine, which is shorter", () => {
    const path = new Path(5_000_000, 0.02);
    path.saturate(50, 65536);
    const carries = 0.1 * path.rate;
    const sizes: number[] = [];
    for (let i = 0; i < 40; i++) {
      path.saturate(0.1, 65536);
      sizes.push(path.window.bytes / carries);
    }
    expect(Math.min(...sizes)).toBeGreaterThan(0.8);
    expect(Math.max(...sizes)).toBeLessThan(2.7);
  });

  it("C-FLO-05: stays there for minutes: its own queue does not lengthen the round trip it measures", () => {
    const path = new Path(2000, 100);
    path.saturate(180_000);
    expect(path.window.bytes / path.fits).toBeLessThan(2.7);
  });

  it("C-FLO-05: shrinks when the path gets slower, and grows again with it", () => {
    const path = new Path(20_000, 50);
    path.saturate(4000);
    const fast = path.fits;
    path.rate = 4000;
    path.saturate(20_000);
    expect(path.window.bytes).toBeLessThan(2.7 * path.fits);
    expect(path.window.bytes).toBeLessThan(0.6 * fast);
    path.rate = 20_000;
    path.saturate(20_000);
    expect(path.window.bytes).toBeGreaterThan(0.8 * path.fits);
  });

  it("C-FLO-04: never grows beyond its ceiling, however much would fit", () => {
    let now = 0;
    const path = new AdaptiveWindow(65_536, () => now, 300_000);
    for (let round = 0; round < 50; round++) {
      const records = [];
      for (let sent = 0; sent < path.bytes; sent += 10_000)
        records.push(path.sent(10_000, sent + 10_000));
      path.hasRoom(false);
      now += 1000;
      for (const record of records) path.acknowledged(record);
      path.hasRoom(true);
      expect(path.bytes).toBeLessThanOrEqual(300_000);
    }
    expect(path.bytes).toBe(300_000);
  });

  it("C-FLO-05: a sender that pauses never shrinks it", () => {
    const path = new Path(10_000, 100);
    path.saturate(5000);
    while (path.step());
    path.trickle(1000, 100, 30);
    const before = path.window.bytes;
    path.trickle(60_000, 100, 30);
    expect(path.window.bytes).toBeGreaterThanOrEqual(before);
  });

  it("C-FLO-05: never gets smaller than 64 KiB, nor than a smaller start", () => {
    const slow = new Path(10, 5); // 50 bytes fit
    slow.saturate(600_000, 1000);
    expect(slow.window.bytes).toBe(FLOOR);
    const small = new Path(10, 5, 1000);
    small.saturate(600_000, 100);
    expect(small.window.bytes).toBe(1000);
  });

  it("C-FLO-05: never gets larger than 1 GiB", () => {
    const path = new Path(1e9, 1000);
    let largest = 0;
    for (let i = 0; i < 60; i++) {
      path.saturate(1000, 16 * 1024 * 1024);
      largest = Math.max(largest, path.window.bytes);
    }
    expect(largest).toBe(CEILING);
  });

  it("C-FLO-05: learns nothing from a clock that stands still", () => {
    const path = new Path(Infinity, 0);
    for (let i = 0; i < 1000; i++) {
      path.send(1000);
      path.step();
    }
    expect(path.window.bytes).toBe(FLOOR);
  });
});
