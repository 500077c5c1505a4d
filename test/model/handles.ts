// Role: small questions about calls and references of the shadow, and the contents that calls carry.
// State: the contents made so far. Must not know: the world.

import type { Hook } from "../../src/hook/hook.js";
import type { Content } from "../../src/wire/content.js";
import { content } from "../support/objects.js";
import { type Call, mustFail, type Ref, waitsFor } from "./shadow.js";

/** `caps` without what would make the results of `call` wait for themselves. */
export function safeFor(call: Call, caps: readonly (Ref | null)[]): readonly (Ref | null)[] {
  return caps.map((cap) => (cap !== null && waitsFor(cap.node, call) ? null : cap));
}

export function hasSetPipeline(call: Call): boolean {
  return call.early !== null || (call.tail !== null && hasSetPipeline(call.tail));
}

/** Whether `call` has no outcome yet. One that was given up may fail, and yet go on for what is pipelined on it. */
export function isOpen(call: Call): boolean {
  const results = call.results!;
  return !results.settled || (results.error !== null && !mustFail(call));
}

/** What a call on `ref` goes to: by turns, when it is held in two ways. */
export function hookOf(ref: Ref): Hook {
  if (ref.taken === null) return ref.hook!;
  if (ref.hook === null) return ref.taken;
  return (ref.uses++ & 1) === 0 ? ref.taken : ref.hook;
}

const contents = new Map<number, Content>();

/** Contents are the same from seed to seed, and immutable. */
export function contentOf(value: number, caps: number): Content {
  const key = value * 4 + caps;
  let known = contents.get(key);
  if (known === undefined) contents.set(key, (known = content(value, caps)));
  return known;
}
