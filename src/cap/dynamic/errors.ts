// Role: errors of registered classes across a call: thrown there, of the same class here, with what is known of the call.
// State: none. Must not know: who calls whom.
//
// Such an error travels as any failure does, an Exception with its message, and is in a detail of that as a value. So a peer or
// a proxy that does not know the class has the failure all the same, and passes the rest on untouched (C-DIS-14).

import { type ErrorDetail, RpcError, standsFor, withStackOf } from "../../base/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../../base/limits.js";
import type { Terms } from "./terms.js";
import {
  decodeValue,
  encodeValue,
  type ReferenceSink,
  type ReferenceSource,
  type ValueLimits,
  type ValueTypes,
} from "./values/index.js";

/** The id of the detail (errorDetailId in schema/js.capnp). */
export const ERROR_DETAIL = 0xb7086d75de45c5b7n;

/** An error outlives the call, so nothing in it can be lent or given. */
const NO_SINK: ReferenceSink = { reference: () => undefined };
export const NO_SOURCE: ReferenceSource = {
  revive() {
    throw new RpcError("failed", "invalid-payload", "an error holds no references");
  },
};

/** The budget of one error. Its nesting is small, since what it is nested in is nobody's business. */
export function budget({ errorBytes }: Limits): ValueLimits {
  return { depth: 32, nodes: errorBytes, bytes: errorBytes };
}

/** What a call fails with when its method threw `thrown`. Never throws, whatever that is (C-HOS-19). */
export function failureOf(thrown: unknown, { types, limits }: Terms): RpcError {
  const error = RpcError.from(thrown);
  if (error === thrown) return error;
  const detail = errorDetail(thrown, types, limits);
  if (detail === undefined) return error;
  return new RpcError(error.type, error.code, error.message, { cause: thrown, details: [detail] });
}

/**
 * The detail of an exception in which an error of a registered class travels: its message, cause and own enumerable
 * properties, without its stack. What cannot be sent, or does not fit into `limits.errorBytes`, is left out. For an
 * {@link ErrorRedactor} that sends another error than the one that was thrown.
 *
 * @param types where its class is registered. @param limits those of the object; default: the default ones.
 * @returns undefined when its class is not registered, or not even its message fits. Never throws.
 * @example redactError: ({ cause }) => (cause instanceof SqlError ? { details: [errorDetail(cause.public(), types)!] } : {})
 */
export function errorDetail(
  thrown: unknown,
  types: ValueTypes,
  limits: Limits = DEFAULT_LIMITS,
): ErrorDetail | undefined {
  try {
    if (typeof thrown !== "object" || thrown === null) return undefined;
    const prototype = Object.getPrototypeOf(thrown) as object | null;
    if (types.errorName(prototype) === "") return undefined;
    const options = { root: "error", types, limits: budget(limits) };
    return { id: ERROR_DETAIL, data: errorBytes(thrown, prototype, options) };
  } catch {
    // A getter of its class, perhaps, or a message that is too long: the failure goes without it.
    return undefined;
  }
}

type Options = { root: string; types: ValueTypes; limits: ValueLimits };

/**
 * An error as a value, or what of it can be sent and fits.
 *
 * @throws RpcError, or what its getters throw, when not even its message fits.
 */
export function errorBytes(error: object, prototype: object | null, options: Options): Uint8Array {
  try {
    return encodeValue(error, NO_SINK, options);
  } catch {
    return encodeValue(whatFits(error, prototype, options), NO_SINK, options);
  }
}

/** A copy with those properties that can be sent and fit together. */
function whatFits(error: object, prototype: object | null, options: Options): object {
  const copy = Object.create(prototype) as object;
  const from = error as Record<string, unknown>;
  put(copy, "message", String(from["message"]));
  let left = options.limits.bytes - 256 - encodeValue(from["message"], NO_SINK, options).length;
  for (const name of ["name", "cause", "errors", ...Object.keys(error)]) {
    if (!Object.hasOwn(error, name) || name === "message" || name === "stack") continue;
    const limits = { ...options.limits, bytes: left, nodes: left };
    let value: unknown;
    let size: number;
    try {
      value = from[name];
      size = encodeValue([name, value], NO_SINK, { ...options, limits }).length * 2;
    } catch {
      continue;
    }
    if (size > left) continue;
    left -= size;
    put(copy, name, value);
  }
  return copy;
}

function put(object: object, name: string, value: unknown): void {
  const enumerable = name !== "message" && name !== "cause" && name !== "errors" && name !== "name";
  Object.defineProperty(object, name, { value, enumerable, writable: true, configurable: true });
}

/**
 * What a user is given of `error`: an error of the class that it was thrown with, where that is registered here, and else
 * `error` itself. {@link RpcError.of} leads from the one to the other.
 *
 * @param site where the call was made, if that was noted.
 */
export function shownError(error: RpcError, { types, limits }: Terms, site: Error | null): Error {
  const facts = site === null ? error : error.calledAt(site);
  const detail = error.details.find(({ id }) => id === ERROR_DETAIL);
  if (detail === undefined) return facts;
  let made: unknown;
  try {
    made = decodeValue(detail.data, NO_SOURCE, budget(limits), { types });
  } catch {
    // What is malformed is not told of: the failure of the call is.
    return facts;
  }
  if (!(made instanceof Error)) return facts;
  if (types.errorName(Object.getPrototypeOf(made) as object) === "") return facts;
  return standsFor(site === null ? made : withStackOf(made, site), facts);
}
