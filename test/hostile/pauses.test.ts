// A peer that sends while we do not read (C-HOS-01): what waits takes no more than a limit of bytes says, however small its
// pieces are.

import { expect, it } from "vitest";
import { DEFAULT_LIMITS, limitsWith, WAITING_EACH } from "../../src/base/limits.js";
import { Framing, Inlet, type InletOwner } from "../../src/transport/inlet.js";
import { Framer } from "../../src/wire/framer.js";
import { frameBytes } from "../suites/transport.js";
import { live, MB } from "./memory.js";

const MESSAGE = frameBytes(1);
const MESSAGES = 200_000;

/** Reads one message of all that comes, and pauses. */
function paused(framing: Framing, limits = DEFAULT_LIMITS) {
  const seen = { messages: 0, faults: [] as string[] };
  const owner: InletOwner = {
    arriving() {},
    message() {
      seen.messages++;
      if (seen.messages === 1) inlet.pause();
    },
    faulted: (error) => void seen.faults.push(error.message),
    ended() {},
  };
  const framer = framing === Framing.stream ? new Framer(limits) : null;
  const inlet: Inlet = new Inlet(framing, limits, owner, framer);
  return { inlet, seen };
}

it("C-HOS-01: a pause in the midst of a unit keeps the rest of it as it came", async () => {
  for (const lent of [false, true]) {
    const { inlet, seen } = paused(Framing.batch);
    const before = live();
    const unit = new Uint8Array(MESSAGES * MESSAGE.length);
    for (let i = 0; i < MESSAGES; i++) unit.set(MESSAGE, i * MESSAGE.length);
    if (lent) {
      inlet.acceptUnit(unit, new DataView(unit.buffer), 0, unit.length, null);
      unit.fill(0xff);
    } else inlet.accept(unit);
    expect(seen.messages).toBe(1);
    // The unit, and a copy of it where it was lent; an array for each message would be 100 MB.
    expect(live() - before).toBeLessThan(2 * unit.length + 4 * MB);
    inlet.resume();
    await Promise.resolve();
    expect(seen).toEqual({ messages: MESSAGES, faults: [] });
  }
});

it("C-HOS-01: an owner that closes in the midst of a unit is told of no message after", () => {
  const told: string[] = [];
  const inlet: Inlet = new Inlet(Framing.batch, DEFAULT_LIMITS, {
    arriving() {},
    message() {
      told.push("message");
      inlet.kill();
    },
    faulted: () => void told.push("fault"),
    ended: () => void told.push("end"),
  });
  // What follows the second message is none.
  inlet.accept(new Uint8Array([...MESSAGE, ...MESSAGE, 0xff]));
  inlet.accept(MESSAGE);
  expect(told).toEqual(["message"]);
});

it("C-HOS-01: a queue that is never quite empty keeps nothing that has left it", async () => {
  const seen = { messages: 0 };
  const inlet: Inlet = new Inlet(Framing.single, DEFAULT_LIMITS, {
    arriving() {},
    message() {
      seen.messages++;
      inlet.pause();
    },
    faulted() {},
    ended() {},
  });
  const large = frameBytes(1, 40_000);
  const before = live();
  for (let i = 0; i < 3; i++) inlet.accept(large.slice());
  for (let i = 0; i < 1000; i++) {
    inlet.accept(large.slice());
    inlet.resume();
    await Promise.resolve();
  }
  expect(seen.messages).toBe(1001);
  // 40 MB went through.
  expect(live() - before).toBeLessThan(10 * MB);
});

it("C-HOS-01: the rest of one read of a carrier that has stopped is bounded by that read, whatever the limit", async () => {
  const limits = limitsWith({ withheldCallBytes: 10_000 });
  for (const framing of [Framing.single, Framing.stream]) {
    const { inlet, seen } = paused(framing, limits);
    const memory = MESSAGE.slice();
    const view = new DataView(memory.buffer);
    for (let i = 0; i < 2000; i++)
      if (framing === Framing.stream) inlet.acceptFrom(memory, view, memory.length);
      else inlet.acceptUnit(memory, view, 0, memory.length, null);
    inlet.resume();
    await Promise.resolve();
    expect(seen).toEqual({ messages: 2000, faults: [] });
  }
});

it("C-HOS-01: units of a message each that come during a pause are charged for themselves, too", async () => {
  const limits = limitsWith({ withheldCallBytes: 10 * MB });
  const { inlet, seen } = paused(Framing.single, limits);
  const before = live();
  let sent = 0;
  inlet.accept(MESSAGE.slice());
  const most = limits.withheldCallBytes / (MESSAGE.length + WAITING_EACH);
  for (; sent < 2 * most; sent++) inlet.accept(MESSAGE.slice());
  expect(live() - before).toBeLessThan(limits.withheldCallBytes);
  inlet.resume();
  await Promise.resolve();
  expect(seen.messages).toBe(Math.ceil(most) + 1);
  expect(seen.faults).toEqual([expect.stringContaining("the limit withheldCallBytes is")]);
});
