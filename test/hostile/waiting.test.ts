// Calls that wait (C-HOS-08): there may be as many as the limits let, but each costs the same, and none stays once it is finished.

import { expect, it } from "vitest";
import type { LocalCall } from "../../src/hook/local.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { payload } from "../support/objects.js";
import { attacked, calls, flood, MS, NO_CAPS, NULL } from "./flood.js";

it("C-HOS-08: calls on ever new paths into one answer cost the same each, before a pipeline is set and after", () => {
  for (const early of [false, true]) {
    const running: LocalCall[] = [];
    const victim = attacked({
      methods: {
        1: (c) => {
          running.push(c);
          if (early) c.setPipeline(payload(0, c.self.addRef()));
        },
      },
    });
    victim.send((w) => calls(w, 1, 1));
    const start = performance.now();
    for (let i = 0; i < 60_000; i++) {
      victim.feed(
        victim.encode((w) => w.call(2 + i, 1, 1, [i, 0], 0, 0x7e57, 0, 0, 0, NULL, NO_CAPS)),
      );
      if (i % 1000 === 999) victim.told();
    }
    expect(performance.now() - start).toBeLessThan(MS);
    expect(victim.connection.stats().answers).toBe(60_002);
    running[0]!.returns(payload(0, running[0]!.self.addRef()));
    victim.unharmed();
  }
});

it("C-HOS-08: calls that wait, for a promise or behind a stream call, leave nothing once they are finished", () => {
  for (const stream of [false, true]) {
    const victim = attacked({ methods: { 1: (c) => (stream ? c.streaming() : undefined) } });
    victim.send((w) => calls(w, 1, 1));
    const wait = (w: IntroductionWriter, id: number): void =>
      stream ? calls(w, id) : w.call(id, 1, 1, [0], 0, 0x7e57, 0, 0, 0, NULL, NO_CAPS);
    victim.send((w) => wait(w, 2));
    flood(victim, 120_000, (w, i) => (i % 2 === 0 ? wait(w, 3 + i) : w.finish(2 + i, true, false)));
    expect(victim.connection.stats().answers).toBe(3);
    const running = victim.server.calls.at(-1)!;
    running.returns(payload(0, running.self.addRef()));
    victim.mesh.drain();
    expect(victim.told().at(-1)).toMatch(/^return 2 results/);
    victim.unharmed();
  }
});

it("C-HOS-08: calls on ever new paths into one answer leave nothing once they are finished", () => {
  for (const early of [false, true]) {
    const running: LocalCall[] = [];
    const victim = attacked({
      methods: {
        1: (c) => {
          running.push(c);
          if (early) c.setPipeline(payload(0, c.self.addRef()));
        },
      },
    });
    victim.send((w) => calls(w, 1, 1));
    victim.send((w) => w.call(2, 1, 1, [0], 0, 0x7e57, 0, 0, 0, NULL, NO_CAPS));
    flood(victim, 120_000, (w, i) => {
      const id = 3 + (i >> 1);
      if (i % 2 === 1) w.finish(id, true, false);
      else w.call(id, 1, 1, [i & 0xffff, i >> 16], 0, 0x7e57, 0, 0, 0, NULL, NO_CAPS);
    });
    // The one that waits is not forgotten.
    running[0]!.returns(payload(0, running[0]!.self.addRef()));
    victim.mesh.drain();
    expect(victim.server.calls.at(-1)).not.toBe(running[0]);
    victim.unharmed();
  }
});
