// Role: checks of what users hand over, where the types cannot: most programs in JavaScript have none.
// State: none. Must not know: what an option means.

import { RpcError } from "./errors.js";

/** The error of an argument that is not what the API takes. */
export function invalidArgument(message: string): RpcError {
  return new RpcError("failed", "invalid-argument", message);
}

/**
 * The error for an argument, or an option, of the wrong kind. Of what was given only the kind is told: a text may be a secret.
 *
 * @param wanted its name, and what it has to be.
 * @example throw wrongArgument("restore must be a function", restore)
 */
export function wrongArgument(wanted: string, given: unknown): RpcError {
  return invalidArgument(`${wanted}, not ${kindOf(given)}`);
}

function kindOf(given: unknown): string {
  if (given === undefined || given === null) return String(given);
  if (typeof given === "number" || typeof given === "boolean") return String(given);
  return typeof given === "object" ? "an object of another kind" : `a ${typeof given}`;
}

/** What has to be a function, a class among them. @throws RpcError invalid-argument, naming it. */
export function checkFunction<F>(name: string, value: F): F {
  if (typeof value === "function") return value;
  throw invalidArgument(`${name} is no function`);
}

/** What may be missing, and is a function else. @throws RpcError invalid-argument, naming it. */
export function checkOptional<F>(name: string, value: F): F {
  return value === undefined || value === null ? value : checkFunction(name, value);
}

/** A record of options. @throws RpcError invalid-argument */
export function checkOptions(options: unknown): void {
  if (typeof options !== "object" || options === null)
    throw wrongArgument("the options must be an object", options);
}

/** The option `signal`. @throws RpcError invalid-argument */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && typeof signal?.addEventListener !== "function")
    throw invalidArgument("the option signal must be an AbortSignal");
}
