// Role: the fallback for whoever forgets to dispose: when a holder of a capability is garbage, its reference is released.
// State: the process's one registry, and the young holders that it does not have yet.
// Must not know: who holds, or what a release means.
//
// Disposing is the rule, this the exception: when, and whether at all, a holder is collected is the host's affair, so
// nothing may depend on it (C-GCF-04). The registry holds the hook, never the holder, and the release is a job of the
// hook's own scheduler: never in the middle of a message, and harmless after the connection is gone.

import type { Hook } from "./hook.js";

/**
 * Holders that are not registered yet. Most are disposed within a round trip, and registering one costs more than all else
 * about it. Those in here cannot be collected, so they are few, and go on to the registry with the next collection.
 */
const young = /* @__PURE__ */ new Map<object, Hook>();
const MOST_YOUNG = 512;
/** Whether an object of which nobody knows waits for the collector. */
let waiting = false;

let listener: ((hook: Hook) => void) | null = null;

/** Null stands for that object: its end says that the collector runs. */
const registry = /* @__PURE__ */ new FinalizationRegistry<Hook | null>((hook) => {
  if (hook === null) {
    waiting = false;
    registerYoung();
    return;
  }
  hook.scheduler.post({
    run() {
      hook.release();
      listener?.(hook);
    },
  });
});

/**
 * Releases `hook` once `holder` is garbage, unless {@link disposed} comes first.
 *
 * @param holder what the user holds; nothing reachable from `hook` may lead to it.
 * @param hook the reference that the holder owns.
 * @example releaseWhenCollected(client, hook)
 * Source: C-GCF-01, C-GCF-02.
 */
export function releaseWhenCollected(holder: object, hook: Hook): void {
  if (!waiting) registry.register({}, null);
  waiting = true;
  young.set(holder, hook);
  if (young.size === MOST_YOUNG) registerYoung();
}

function registerYoung(): void {
  for (const [holder, hook] of young) registry.register(holder, hook, holder);
  young.clear();
}

/** The holder has given its reference back, or away, as it should. */
export function disposed(holder: object): void {
  if (!young.delete(holder)) registry.unregister(holder);
}

/**
 * Reports each capability whose holder was collected instead of disposed: for finding what forgets to, while debugging.
 *
 * @param listen null to stop.
 * @example reportCollected((hook) => console.warn("not disposed", hook.constructor.name));
 */
export function reportCollected(listen: ((hook: Hook) => void) | null): void {
  listener = listen;
}
