// The power fails at random moments of random runs, on a disk that commits and flushes when it likes: what was answered is there,
// in order, and nothing is in half. This is what kill -9 cannot show.

import { expect, it } from "vitest";
import { createHost } from "../../src/host.node.js";
import { FaultyStore } from "../../src/host/storage/faulty-store.js";
import { settle } from "./kit.js";
import { faultOf, Writer } from "./writer.js";

const RUNS = 60;
const FAILURES = 4;
const OBJECTS = ["a", "b", "c"];

function random(seed: number): (below: number) => number {
  let state = seed * 7919 + 1;
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    return Math.floor((state / 0x8000_0000) * below);
  };
}

async function run(seed: number): Promise<number> {
  const chance = random(seed);
  const acknowledged = new Map<string, number>();
  let store = new FaultyStore();
  let answers = 0;
  for (let failure = 0; failure <= FAILURES; failure++) {
    const host = await createHost({ store, classes: { WRITERS: Writer }, report: () => {} });
    const stubs = OBJECTS.map((name) => host.env.WRITERS.getByName(name));
    for (const [i, name] of OBJECTS.entries())
      expect(faultOf(await stubs[i]!.state(), acknowledged.get(name) ?? 0), `seed ${seed}`).toBe(
        undefined,
      );
    store.hold = { commits: true, flushes: true };
    let over = false;
    for (let step = 3 + chance(25); step > 0; step--) {
      const which = chance(OBJECTS.length);
      const name = OBJECTS[which]!;
      const answered = (count: number): void => {
        // What arrives after the power has failed was never said.
        if (over) return;
        answers++;
        acknowledged.set(name, Math.max(count, acknowledged.get(name) ?? 0));
      };
      void stubs[which]!.step().then(answered, () => {});
      if (chance(3) === 0) await settle(chance(6));
      if (chance(2) === 0) store.commit(chance(3));
      if (chance(2) === 0) store.flush(chance(3));
    }
    await settle(4);
    over = true;
    const next = store.crash(chance(3));
    // The one whose power has failed has no more to say.
    store.hold = {};
    store.commit();
    await host.close();
    store = next;
  }
  return answers;
}

it(`${RUNS} runs with ${FAILURES} failures of power each`, async () => {
  let answers = 0;
  for (let seed = 1; seed <= RUNS; seed++) answers += await run(seed);
  expect(answers).toBeGreaterThan(RUNS * FAILURES);
});
