// Role: a value to bytes.
// State: none. Must not know: who sends them.

import type { ErrorPolicy } from "../../../base/errors.js";
import type { EncodeOptions, ReferenceSink, Span, ValueLimits } from "./contract.js";
import { DEFAULT_VALUE_LIMITS } from "./contract.js";
import { overLimit } from "./failures.js";
import { EXTENDED } from "./kinds.js";
import { Lowering } from "./lower.js";
import { pack, packBorrowed } from "./pack.js";
import { tellAgain } from "./tell.js";
import { isWellFormed } from "./text.js";
import { Walk } from "./walk.js";

const NO_TAIL: readonly Uint8Array[] = [];

/**
 * A value as bytes that {@link decodeValue} makes the same value of, in this format: docs/js-values.md. Every property
 * is read once, and what was read is what is sent. Stacks of errors are left out, since they tell strangers of the code; for
 * what a peer is told of errors there is {@link toldBytes}.
 *
 * @param refs is asked for what goes by reference; it sees everything before this returns.
 * @returns bytes of their own; nobody writes to them later.
 * @throws RpcError `unsendable-value` with the path of what cannot be sent; `limit-exceeded` naming the limit; what `refs`
 *   throws, if that is an RpcError. After a throw, references that `refs` was asked for are in no value.
 * @example encodeValue([1, { when: new Date() }], refs, { root: "args" })
 */
export function encodeValue(
  value: unknown,
  refs: ReferenceSink,
  options?: EncodeOptions,
): Uint8Array {
  const limits = options?.limits ?? DEFAULT_VALUE_LIMITS;
  const walk = new Walk(refs, options);
  const copy = walk.run(value);
  let bytes: Uint8Array;
  if (walk.plain) {
    bytes = pack(-1, copy, NO_TAIL, 0);
    checkLength(bytes, limits);
  } else {
    const { hasErrors } = walk;
    bytes = lowered(copy, limits, null, hasErrors);
    if (hasErrors) tellAgain(bytes, (policy) => lowered(copy, limits, policy, true));
  }
  return bytes;
}

function lowered(
  copy: unknown,
  limits: ValueLimits,
  policy: ErrorPolicy | null,
  again: boolean,
): Uint8Array {
  const lowering = new Lowering(limits, policy, again);
  const tree = lowering.lower(copy);
  const bytes = pack(EXTENDED, tree, lowering.tail, lowering.tailBytes);
  checkLength(bytes, limits);
  return bytes;
}

function checkLength({ length }: Uint8Array, limits: ValueLimits): void {
  if (length > limits.bytes) throw overLimit("bytes", limits.bytes, "the value");
}

/** A text up to here is looked at at once; longer ones count towards the limits. */
const SHORT_TEXT = 1024;
/** So many arguments. */
const FEW = 16;

/**
 * The bytes that {@link encodeValue} makes of what most calls carry, by a short way; borrowed: they are to be copied before
 * anything else is encoded. @param value one that {@link isSimple}, or a list of such.
 */
export function encodeSimple(value: unknown): Span {
  return packBorrowed(value);
}

/** Whether `list`, arguments as the engine lists them, without properties of their own, is short and of simple values. */
export function isSimpleList(list: readonly unknown[]): boolean {
  if (list.length > FEW || Object.getPrototypeOf(list) !== Array.prototype) return false;
  for (let i = 0; i < list.length; i++) if (!isSimple(list[i])) return false;
  return true;
}

/** A number, a short text, a boolean, or null: no reference, and nothing that needs a second look. */
export function isSimple(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return value !== 0 || 1 / value > 0;
    case "string":
      return value.length <= SHORT_TEXT && isWellFormed(value);
    case "boolean":
      return true;
    default:
      return value === null;
  }
}
