// Role: the fallback for whoever forgets to dispose: when a holder of a capability is garbage, its reference is released.
// State: the process's one registry. Must not know: who holds, or what a release means.
//
// Disposing is the rule, this the exception: when, and whether at all, a holder is collected is the host's affair, so
// nothing may depend on it (C-GCF-04). The registry holds the hook, never the holder, and the release is a job of the
// hook's own scheduler: never in the middle of a message, and harmless after the connection is gone.

import type { Hook } from "./hook.js";

let listener: ((hook: Hook) => void) | null = null;

const registry = /* @__PURE__ */ new FinalizationRegistry<Hook>((hook) => {
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
  registry.register(holder, hook, holder);
}

/** The holder has given its reference back, or away, as it should. */
export function disposed(holder: object): void {
  registry.unregister(holder);
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
