// Role: makes errors again.
// State: none. Must not know: bytes.

import { invalidValue } from "./failures.js";
import { AGGREGATE_ERROR, DOM_EXCEPTION, ERRORS } from "./kinds.js";
import type { Node, Raiser } from "./raise.js";

/** Not listed by Object.keys on an error that was thrown, so not here either. */
export const HIDDEN: ReadonlySet<string> = new Set(["message", "name", "cause", "errors", "stack"]);

const STACKS = Error as ErrorConstructor & { stackTraceLimit?: number | undefined };

export function raiseError(raiser: Raiser, node: Node): Error {
  const [, base, type] = node;
  if (typeof base !== "string" || typeof type !== "string" || node.length % 2 === 0)
    throw invalidValue("an error has no class");
  const first = node[3] === "message" ? node[4] : undefined;
  const message = typeof first === "string" ? first : undefined;
  const domName = typeof node[6] === "string" ? node[6] : undefined;
  const error = raiser.number(makeError(base, message, domName));
  const prototype = raiser.types.errorPrototype(type);
  if (prototype !== undefined) Object.setPrototypeOf(error, prototype);
  const isDom = base === DOM_EXCEPTION;
  for (let i = 3; i < node.length; i += 2) {
    const name = raiser.raise(node[i]);
    if (typeof name !== "string") throw invalidValue("a property of an error has no name");
    const value = raiser.raise(node[i + 1]);
    // A DOMException was made with these, and hides them from its instances.
    if (isDom && (name === "message" || name === "name")) continue;
    Object.defineProperty(error, name, {
      value,
      enumerable: !HIDDEN.has(name),
      writable: true,
      configurable: true,
    });
  }
  return error;
}

/**
 * An error of the standard class `base`, with a name of its own where that is DOMException. The stack would be that of this
 * decoder, and dear: none is captured.
 */
export function makeError(base: string, message: string | undefined, domName = "Error"): Error {
  const limit = STACKS.stackTraceLimit;
  STACKS.stackTraceLimit = 0;
  try {
    if (base === AGGREGATE_ERROR) return new AggregateError([], message);
    if (base === DOM_EXCEPTION && typeof DOMException !== "undefined")
      return new DOMException(message, domName);
    // A standard class that only the sender has is an Error to us.
    return new (ERRORS.get(base) ?? Error)(message);
  } finally {
    STACKS.stackTraceLimit = limit;
  }
}
