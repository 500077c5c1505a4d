// Role: the net under streams that are forgotten: when one is garbage, the other side is told that nobody will end it.
// State: the process's one registry. Must not know: what a stream is.

import type { Scheduler } from "../../base/scheduler.js";

interface Entry {
  readonly scheduler: Scheduler;
  readonly run: () => void;
}

const registry = /* @__PURE__ */ new FinalizationRegistry<Entry>(({ scheduler, run }) =>
  scheduler.post({ run }),
);

/**
 * Runs `run` as a job once `holder` is garbage. It has to be harmless after the end.
 * @param run nothing reachable from it may lead to `holder`.
 * Source: C-GCF-01, C-GCF-04.
 */
export function whenCollected(holder: object, scheduler: Scheduler, run: () => void): void {
  registry.register(holder, { scheduler, run });
}
