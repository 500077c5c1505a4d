// Role: reads errors: their class, message, cause and properties. Their stacks are read when it is known that they leave: tell.ts.
// State: none. Must not know: bytes, paths.

import { AGGREGATE_ERROR, DOM_EXCEPTION, ERRORS } from "./kinds.js";
import { ErrorPart, type Part, type Walker } from "./parts.js";
import { TRACE, traceNameOf } from "./tell.js";

const NAMES = new Map<object, string>();
for (const [name, type] of ERRORS) NAMES.set(type.prototype as object, name);
NAMES.set(AggregateError.prototype, AGGREGATE_ERROR);
if (typeof DOMException !== "undefined") NAMES.set(DOMException.prototype, DOM_EXCEPTION);

/** Properties with a rule of their own. */
const HANDLED = new Set(["message", "name", "cause", "errors", "stack"]);

/** The name of the standard class that an error of this realm belongs to; undefined when it is no error. */
export function standardErrorOf(value: object): string | undefined {
  for (
    let at = Object.getPrototypeOf(value) as object | null;
    at !== null;
    at = Object.getPrototypeOf(at) as object | null
  ) {
    const name = NAMES.get(at);
    if (name !== undefined) return name;
  }
  return undefined;
}

/**
 * An error goes by value whatever its class. Those without a registered class arrive as the nearest standard one, with the name they
 * had as a property. The order is part of the format: a DOMException can only be made with its message and name.
 */
export function readError(walker: Walker, value: object, base: string): Part {
  const registered = walker.types.errorName(Object.getPrototypeOf(value) as object | null);
  const part = walker.remember(value, new ErrorPart(value, base, registered));
  walker.hasErrors = true;
  const { parts } = part;
  const error = value as Record<string, unknown>;
  const isDom = base === DOM_EXCEPTION;

  const message = walker.property(error, "message");
  if (isDom || message !== "" || Object.hasOwn(error, "message")) parts.push("message", message);
  const name = walker.property(error, "name");
  if (isDom || name !== base) parts.push("name", name);
  for (const hidden of ["cause", "errors"])
    if (Object.hasOwn(error, hidden)) parts.push(hidden, walker.property(error, hidden));
  const hasTrace = traceNameOf(value) === TRACE;
  for (const key of Object.keys(error)) {
    if (HANDLED.has(key)) continue;
    // The stack of some other vat is none of the properties.
    if (hasTrace && key === TRACE) parts.push(TRACE, "");
    else parts.push(walker.child(key, ""), walker.property(error, key));
  }
  walker.charge(parts.length);
  return part;
}
