// Which objects are refused because they have ended their processes, and for how long.

import { expect, it } from "vitest";
import { Blames } from "../../../src/host/process/blames.js";

const BLAME = { namespace: "A", id: "0".repeat(64), name: "a", deed: "it called process.exit()" };
const HOUR = 3_600_000;

it("an object is refused from its second time on, for twice as long each time, and forgotten when it was good for long", () => {
  const blames = new Blames();
  const refusals = [0, 1, 2, 3].map((minute) => blames.note(BLAME, minute * 60_000).refusal);
  expect(refusals).toEqual([0, 1000, 2000, 4000]);
  expect(blames.refused(180_000)).toMatchObject([{ namespace: "A", until: 184_000 }]);
  expect(blames.refused(184_000)).toEqual([]);
  expect(blames.note(BLAME, HOUR)).toEqual({ times: 1, refusal: 0 });
});

it("a clock that is set back has nobody refused until it is where it was", () => {
  const blames = new Blames();
  for (const at of [0, 1, 2]) blames.note(BLAME, 24 * HOUR + at);
  expect(blames.refused(24 * HOUR + 3)).toHaveLength(1);
  expect(blames.refused(3)).toEqual([]);
});
