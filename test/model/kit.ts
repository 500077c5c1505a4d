// Role: short ways to write programs of the model down. State: none. Must not know: what they show.

import type { Ground, Op } from "./ops.js";

/** Three vats, each linked to both others. */
export const three: Ground = {
  vats: 3,
  links: [
    [0, 1],
    [1, 2],
    [0, 2],
  ],
  tailCalls: "always",
};

export const call = (
  id: number,
  on: number,
  method = 0,
  args: number[] = [],
  child = 0,
  hint?: "noPipeline" | "pipelineOnly",
): Op => ({
  op: "call",
  id,
  on,
  method,
  args,
  child,
  then: 0,
  ...(hint === undefined ? {} : { hint }),
});
