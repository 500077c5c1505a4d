// Role: the errors of the value codec, and the paths that they name.
// State: none. Must not know: the format.

import { RpcError } from "../../../base/errors.js";
import type { Refusal } from "./contract.js";

/** One step into a value: an index, the name of a property, or a step with a text of its own, such as `.keys()[2]`. */
export type Step = number | string | { readonly text: string };

const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u;

/** The path as one would write it in code: `args[0].user["first name"]`. */
export function pathOf(root: string, steps: readonly Step[], length: number): string {
  let path = root;
  for (let i = 0; i < length; i++) {
    const step = steps[i]!;
    if (typeof step === "number") path += `[${step}]`;
    else if (typeof step !== "string") path += step.text;
    else path += IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(step)}]`;
  }
  return path;
}

/** Of a value that is sent. */
export const SENT: Refusal = {
  purpose: "sent",
  code: "unsendable-value",
  why(value, name) {
    if (typeof value === "function")
      return "functions do not go by reference here: send what it gives";
    if (value instanceof Promise)
      return "it is a promise that does not go by reference here: await it first";
    return (
      `it is ${name}: extend RpcTarget to pass it by reference, register a codec for its class, ` +
      `or send a plain object with what the peer needs`
    );
  },
};

/** A value that cannot go: `why` says what it is and what to do. */
export function unsendable(
  path: string,
  why: string,
  cause?: unknown,
  { purpose, code } = SENT,
): RpcError {
  const message = `${path} cannot be ${purpose}: ${why}`;
  return cause === undefined
    ? new RpcError("failed", code, message)
    : new RpcError("failed", code, message, { cause });
}

/** A limit of ValueLimits was reached. */
export function overLimit(name: string, most: number, what: string): RpcError {
  return new RpcError(
    "overloaded",
    "limit-exceeded",
    `${what} is over its limit: ${name} is ${most}`,
  );
}

/** What a peer sent is of a class that is not registered here. */
export function unknownClass(name: string): RpcError {
  const message =
    `no codec is registered here for ${JSON.stringify(name.slice(0, 100))}: both sides need one of that name ` +
    "in the ValueTypes of their session, served object or stub";
  return new RpcError("failed", "invalid-payload", message);
}

/** What a peer sent is no value. */
export function invalidValue(why: string, cause?: unknown): RpcError {
  const message = `the value is malformed: ${why}`;
  return cause === undefined
    ? new RpcError("failed", "invalid-payload", message)
    : new RpcError("failed", "invalid-payload", message, { cause });
}
