// Role: a value to bytes.
// State: none. Must not know: who sends them.

import type { ErrorPolicy } from "../../../base/errors.js";
import {
  DEFAULT_VALUE_LIMITS,
  type EncodeOptions,
  type ReferenceSink,
  type Span,
  spanOf,
  type ValueLimits,
} from "./contract.js";
import { overLimit } from "./failures.js";
import { EXTENDED } from "./kinds.js";
import { Lowering } from "./lower.js";
import { pack } from "./pack.js";
import { encodeSmall } from "./simple.js";
import { tellAgain } from "./tell.js";
import { Walk } from "./walk.js";

const NO_TAIL: readonly Uint8Array[] = [];

/**
 * A value as bytes that {@link decodeValue} makes the same value of, in this format: docs/js-values.md. Every property
 * is read once, and what was read is what is sent. Stacks of errors are left out, since they tell strangers of the code,
 * unless `options.errors` has them; for what a peer is told of errors there is {@link toldBytes}.
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
  const { bytes, from, to } = encodeSpan(value, refs, options);
  return from === 0 && to === bytes.length ? bytes : bytes.slice(from, to);
}

/** The same, perhaps borrowed: the bytes are to be copied before anything else is encoded. */
export function encodeSpan(value: unknown, refs: ReferenceSink, options?: EncodeOptions): Span {
  const limits = options?.limits ?? DEFAULT_VALUE_LIMITS;
  const walk = new Walk(refs, options);
  const copy = walk.run(value);
  let bytes: Uint8Array;
  if (walk.plain) {
    // What the walk copied has neither getters nor cycles.
    const short = limits === DEFAULT_VALUE_LIMITS ? encodeSmall(copy) : null;
    if (short !== null) return short;
    bytes = pack(-1, copy, NO_TAIL, 0);
    checkLength(bytes, limits);
  } else {
    const { hasErrors } = walk;
    const policy = options?.errors ?? null;
    const again = hasErrors && policy === null;
    bytes = lowered(copy, limits, policy, again);
    if (again) tellAgain(bytes, (policy) => lowered(copy, limits, policy, true));
  }
  return spanOf(bytes);
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
