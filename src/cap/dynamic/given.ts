// Role: lets whoever awaited a value give back at once all references that came in it.
// State: none. Must not know: what a reference is.

import { isTarget } from "./target.js";

/**
 * Adds `[Symbol.dispose]` to a value that is an object, for `using`: with references or without, since who writes `using`
 * does not know. Not to what has one of its own, as a stub has; nor to an object of this vat that came home.
 *
 * @param held the references in it; null for none.
 */
export function giveWith(value: unknown, held: { dispose(): void } | null): unknown {
  if (typeof value === "object" && value !== null && !(Symbol.dispose in value) && !isTarget(value))
    Object.defineProperty(value, Symbol.dispose, {
      value: () => held?.dispose(),
      configurable: true,
      enumerable: false,
      writable: true,
    });
  return value;
}
