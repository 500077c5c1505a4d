// Role: makes errors again: those of V8's own form, and workerd's.
// State: none. Must not know: other kinds.

import { AGGREGATE_ERROR, DOM_EXCEPTION } from "../../cap/dynamic/values/kinds.js";
import { HIDDEN, makeError } from "../../cap/dynamic/values/raise-errors.js";
import { define, type ValueReader } from "./reader.js";
import { ERROR_CLASSES, ERROR_KINDS, ErrorTag } from "./tags.js";

/** An error in V8's own form, behind its tag. */
export function readError(reader: ValueReader): Error {
  const number = reader.pend();
  let tag = reader.byte();
  const base = ERROR_CLASSES.get(tag) ?? "Error";
  if (base !== "Error") tag = reader.byte();
  let message: string | undefined;
  let error: Error | null = null;
  // A cause may lead back to the error, which is made with its message: V8 writes that first.
  const made = (): Error => (error ??= reader.settle(number, makeError(base, message)));
  for (; tag !== ErrorTag.end; tag = reader.byte()) {
    if (tag === ErrorTag.message && error === null) message = reader.string();
    else if (tag === ErrorTag.stack) define(made(), "stack", reader.string(), false);
    else if (tag === ErrorTag.cause) {
      const to = made();
      define(to, "cause", reader.value(), false);
    } else throw reader.invalid("an error has a part that none has, or in another order");
  }
  return made();
}

/** A native error of workerd's, behind its tag. */
export function readNativeError(reader: ValueReader, number: number): Error {
  const kind = reader.uint32();
  const name = kind === 0 ? reader.value() : undefined;
  const message = reader.value();
  if (typeof message !== "string") throw reader.invalid("the message of an error is no string");
  const base = ERROR_KINDS[kind] ?? "";
  // Whether an empty message is an own property cannot be told: mostly none was given.
  const error = makeError(base, message === "" ? undefined : message);
  reader.settle(number, error);
  if (kind === 0) define(error, "name", name, false);
  // A standard class that only the sender has.
  else if (error.name !== base && base !== "") define(error, "name", base, false);
  const own = reader.value();
  if (typeof own !== "object" || own === null) throw reader.invalid("an error has no properties");
  for (const key of Object.keys(own))
    define(error, key, (own as Record<string, unknown>)[key], !HIDDEN.has(key));
  if (base === AGGREGATE_ERROR && !Array.isArray((error as AggregateError).errors))
    throw reader.invalid("an AggregateError has no list of errors");
  return error;
}

/** Behind its tag: in the old form with an error for the stack, in which its message is. */
export function readDomException(reader: ValueReader, number: number, old: boolean): Error {
  const name = reader.utf8();
  let message: string;
  let stack = "";
  if (old) {
    const error = reader.value();
    if (!(error instanceof Error)) throw reader.invalid("a DOMException has no error in it");
    ({ message } = error);
  } else {
    message = reader.utf8();
    stack = reader.utf8();
  }
  const exception = reader.settle(number, makeError(DOM_EXCEPTION, message, name));
  if (stack !== "") define(exception, "stack", stack, false);
  return exception;
}
