// Alarms: when they are due, what is shown of them, retries, restarts, faults; all in virtual time.

import { describe, expect, it } from "vitest";
import { type AlarmInfo, createHost, DurableObject } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { crash, VirtualClock } from "../../../src/host/testing.js";
import { later, reports, testHost } from "../kit.js";

const START = 1_800_000_000_000;
const heard: string[] = [];
let fails: (info: AlarmInfo) => unknown = () => {};

class Clock extends DurableObject {
  async set(time: number): Promise<number | null> {
    void this.ctx.storage.setAlarm(time);
    return this.ctx.storage.getAlarm();
  }
  get(): Promise<number | null> {
    return this.ctx.storage.getAlarm();
  }
  async putOff(time: number): Promise<void> {
    await this.ctx.storage.get("something");
    void this.ctx.storage.setAlarm(time);
  }
  clear(): Promise<void> {
    return this.ctx.storage.deleteAlarm();
  }
  async alarm(info: AlarmInfo): Promise<void> {
    heard.push(`${this.ctx.id.toString().slice(0, 4)} retry ${info.retryCount}`);
    void this.ctx.storage.put("rung", heard.length);
    await fails.call(this, info);
  }
  rung(): Promise<number | undefined> {
    return this.ctx.storage.get<number>("rung");
  }
}

async function start(store = new FaultyStore()): Promise<{
  clock: VirtualClock;
  store: FaultyStore;
  host: Awaited<ReturnType<typeof testHost<{ CLOCKS: typeof Clock }>>>;
}> {
  heard.length = 0;
  fails = () => {};
  const clock = new VirtualClock(START);
  return { clock, store, host: await testHost({ CLOCKS: Clock }, { clock, store }) };
}

describe("an alarm", () => {
  it("rings once when it is due, also of an object that is not active", async () => {
    const { clock, host } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    expect(await stub.set(START + 60_000)).toBe(START + 60_000);
    await clock.advance(59_999);
    expect([heard, host.activeObjects]).toEqual([[], 0]);
    await clock.advance(1);
    expect(heard).toHaveLength(1);
    expect(await stub.get()).toBeNull();
    await clock.advance(1e7);
    expect(heard).toHaveLength(1);
  });

  it("is one: another takes its place, and it can be deleted", async () => {
    const { clock, host } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    await stub.set(START + 1000);
    await stub.set(START + 5000);
    await clock.advance(4999);
    expect(heard).toEqual([]);
    await clock.advance(1);
    expect(heard).toHaveLength(1);
    await stub.set(START + 10_000);
    await stub.clear();
    expect(await stub.get()).toBeNull();
    await clock.advance(1e6);
    expect(heard).toHaveLength(1);
  });

  it("that is due in the past rings at once, many of them in any order", async () => {
    const { clock, host } = await start();
    for (let i = 0; i < 20; i++) await host.env.CLOCKS.getByName(`${i}`).set(START - i * 1000);
    await clock.advance(1);
    expect(new Set(heard).size).toBe(20);
  });

  it("is not shown while it runs, and one that is set meanwhile stays", async () => {
    const { clock, host } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    const shown: unknown[] = [];
    fails = async function (this: Clock) {
      shown.push(await this.get());
      if (heard.length < 3) shown.push(await this.set(clock.now + 1000));
    } as never;
    await stub.set(START + 1000);
    await clock.advance(3000);
    expect(heard).toHaveLength(3);
    expect(shown).toEqual([null, START + 2000, null, START + 3000, null]);
    expect(await stub.get()).toBeNull();
  });

  it("that fails is tried again after 2, 4, 8 and so on seconds, six times", async () => {
    const { clock, host } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    fails = () => {
      throw new Error("not yet");
    };
    await stub.set(START + 1000);
    await clock.advance(1000);
    let wait = 2000;
    for (let retry = 1; retry <= 6; retry++, wait *= 2) {
      await clock.advance(wait - 1);
      expect(heard).toHaveLength(retry);
      await clock.advance(1);
      expect(heard.at(-1)).toContain(`retry ${retry}`);
    }
    await clock.advance(1e8);
    expect(heard).toHaveLength(7);
    expect(await stub.get()).toBeNull();
    expect(reports.splice(0)).toHaveLength(7);
  });

  it("that fails and then does not rings no more", async () => {
    const { clock, host } = await start();
    fails = ({ isRetry }) => {
      if (!isRetry) throw new Error("not yet");
    };
    await host.env.CLOCKS.getByName("a").set(START);
    await clock.advance(1e6);
    expect(heard.map((text) => text.slice(5))).toEqual(["retry 0", "retry 1"]);
    expect(reports.splice(0)).toEqual([expect.stringContaining("alarm: not yet") as never]);
  });

  it("of an object that breaks while it rings is tried again, with its count kept over a restart", async () => {
    const { clock, host, store } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    const ringing = later();
    fails = async () => {
      ringing.resolve();
      await new Promise(() => {});
    };
    await stub.set(START + 1000);
    await clock.advance(1000);
    await ringing.promise;
    fails = () => {};
    crash(stub, new Error("a fault"));
    await clock.advance(1);
    expect(reports.splice(0)).toEqual([expect.stringContaining("a fault") as never]);
    await host.close();
    const next = await createHost({ store: store.crash(), clock, classes: { CLOCKS: Clock } });
    await clock.advance(1998);
    expect(heard).toHaveLength(1);
    await clock.advance(1);
    expect(heard.at(-1)).toContain("retry 1");
    await next.close();
  });

  it("rings after a restart: at once, when it was due meanwhile", async () => {
    const { clock, host, store } = await start();
    await host.env.CLOCKS.getByName("a").set(START + 1000);
    await host.env.CLOCKS.getByName("b").set(START + 100_000);
    await host.close();
    clock.jump(START + 50_000);
    const next = await createHost({ store: store.crash(), clock, classes: { CLOCKS: Clock } });
    await clock.advance(0);
    expect(heard).toHaveLength(1);
    await clock.advance(50_000);
    expect(heard).toHaveLength(2);
    await next.close();
  });

  it("rings again when its success was not on the disk before the power failed", async () => {
    const { clock, host, store } = await start();
    await host.env.CLOCKS.getByName("a").set(START + 1000);
    store.hold = { flushes: true };
    await clock.advance(1000);
    expect(heard).toHaveLength(1);
    const crashed = store.crash();
    const next = await createHost({ store: crashed, clock, classes: { CLOCKS: Clock } });
    await clock.advance(0);
    expect(heard).toHaveLength(2);
    expect(await next.env.CLOCKS.getByName("a").rung()).toBe(2);
    await next.close();
    store.hold = {};
    store.flush();
  });

  it("is late by a minute at most when the clock of the machine jumps ahead", async () => {
    const { clock, host } = await start();
    await host.env.CLOCKS.getByName("a").set(START + 86_400_000);
    await clock.advance(1000);
    clock.jump(START + 86_400_000);
    await clock.advance(60_000);
    expect(heard).toHaveLength(1);
  });

  it("rings by the clock of the machine when that is set back, once", async () => {
    const { clock, host } = await start();
    await host.env.CLOCKS.getByName("a").set(START + 60_000);
    await host.env.CLOCKS.getByName("b").set(START + 2000);
    await clock.advance(5000);
    expect(heard).toHaveLength(1);
    clock.jump(START - 86_400_000);
    await clock.advance(86_400_000 + 59_999);
    expect(heard).toHaveLength(1);
    await clock.advance(1);
    expect(heard).toHaveLength(2);
    await clock.advance(1e7);
    expect(heard).toHaveLength(2);
  });

  it("that is put off while it waits to be let in does not ring before its new time", async () => {
    const { clock, host, store } = await start();
    const stub = host.env.CLOCKS.getByName("a");
    await stub.set(START + 1000);
    store.hold = { reads: true };
    const later = stub.putOff(START + 50_000);
    await clock.advance(1000);
    store.hold = {};
    store.releaseReads();
    await later;
    await clock.advance(48_999);
    expect(heard).toEqual([]);
    await clock.advance(1);
    expect(heard).toHaveLength(1);
  });

  it("waits for a critical section, as every event does", async () => {
    class Busy extends DurableObject {
      static done = later();
      log: string[] = [];
      async block(): Promise<void> {
        void this.ctx.storage.setAlarm(START);
        await this.ctx.storage.sync();
        await this.ctx.blockConcurrencyWhile(async () => {
          await Busy.done.promise;
          this.log.push("section");
        });
      }
      alarm(): void {
        this.log.push("alarm");
      }
      read(): string[] {
        return this.log;
      }
    }
    const clock = new VirtualClock(START);
    const host = await testHost({ BUSY: Busy }, { clock });
    const stub = host.env.BUSY.getByName("a");
    const blocking = stub.block();
    await clock.advance(1000);
    Busy.done.resolve();
    await blocking;
    await clock.advance(1);
    expect(await stub.read()).toEqual(["section", "alarm"]);
  });

  it("of a class without an alarm method is given up, and told of", async () => {
    class Deaf extends DurableObject {
      set(): void {
        void this.ctx.storage.setAlarm(START);
      }
    }
    const clock = new VirtualClock(START);
    const host = await testHost({ DEAF: Deaf }, { clock });
    await host.env.DEAF.getByName("a").set();
    await clock.advance(1e6);
    expect(reports.splice(0)).toHaveLength(7);
  });
});
