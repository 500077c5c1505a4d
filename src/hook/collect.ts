// Role: the fallback for whoever forgets to dispose: when a holder of a capability is garbage, its reference is released.
// State: the process's one registry, and the young holders that it does not have yet.
// Must not know: who holds, or what a release means.
//
// Disposing is the rule, this the exception: when, and whether at all, a holder is collected is the host's affair, so
// nothing may depend on it (C-GCF-04). The registry holds the hook, never the holder, and the release is a job of the
// hook's own scheduler: never in the middle of a message, and harmless after the connection is gone.

import type { Hook } from "./hook.js";

/** Whoever owns one reference: null once it was given back or away. */
export interface Holder {
  readonly _hook: Hook | null;
}

/**
 * Holders that are not registered yet. Most are disposed within a round trip, and registering costs ten times what all else
 * about a holder does. They are kept alive by this list, so it is short, and it ends with the next garbage collection.
 */
const young: Holder[] = [];
const MOST_YOUNG = 512;

let listener: ((hook: Hook) => void) | null = null;

/** Null stands for an object that nobody holds: its end says that the collector runs. */
const registry = /* @__PURE__ */ new FinalizationRegistry<Hook | null>((hook) => {
  if (hook === null) {
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
 * Releases the holder's reference once the holder is garbage, unless {@link disposed} comes first.
 *
 * @param holder what the user holds; nothing reachable from its hook may lead to it.
 * @example releaseWhenCollected(client)
 * Source: C-GCF-01, C-GCF-02.
 */
export function releaseWhenCollected(holder: Holder): void {
  if (young.length === 0) registry.register({}, null);
  young.push(holder);
  if (young.length === MOST_YOUNG) registerYoung();
}

function registerYoung(): void {
  for (const holder of young)
    if (holder._hook !== null) registry.register(holder, holder._hook, holder);
  young.length = 0;
}

/** The holder has given its reference back, or away, as it should. */
export function disposed(holder: Holder): void {
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
