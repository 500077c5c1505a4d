// Role: lets whoever awaited a value give back at once all references that came in it.
// State: none. Must not know: what a reference is.

/**
 * Adds `[Symbol.dispose]` to a value that is an object, for `using`: with references or without, since who writes `using`
 * does not know. Not to what has one of its own, as a stub has.
 *
 * @param held the references in it; null for none.
 */
export function giveWith(value: unknown, held: { dispose(): void } | null): unknown {
  if (typeof value === "object" && value !== null && !(Symbol.dispose in value))
    Object.defineProperty(
      value,
      Symbol.dispose,
      held === null ? NOTHING_HELD : hidden(() => held.dispose()),
    );
  return value;
}

function hidden(value: () => void): PropertyDescriptor {
  return { value, configurable: true, enumerable: false, writable: true };
}

const NOTHING_HELD = /* @__PURE__ */ hidden(() => {});
