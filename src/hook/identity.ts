// Role: whether two references stand for one object.
// State: none. Must not know: the wire; each kind of hook vouches for its own kind by its brand.

import type { Hook } from "./hook.js";

export type Identity = "same" | "different" | "unknown";

/**
 * Compares two capabilities by what is known here, without a message.
 *
 * @returns `same` for one object; `different` for two settled references that one authority vouches for (two objects of
 * this vat, two exports of one peer); `unknown` for promises, broken and null references, and references that come from
 * different places: one of them may be a proxy for the other.
 * @example identity(a, b) === "same"
 * Source: C-JOI-08, C-JOI-11.
 */
export function identity(a: Hook, b: Hook): Identity {
  const x = a.resolved();
  const y = b.resolved();
  if (x.brokenBy !== null || y.brokenBy !== null) return "unknown";
  if (x === y) return "same";
  if (!x.isSettled || !y.isSettled) return "unknown";
  return x.brand === y.brand ? "different" : "unknown";
}
