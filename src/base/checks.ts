// Role: checks of what users hand over, where the types cannot: most programs in JavaScript have none.
// State: none. Must not know: what an option means.

import { RpcError } from "./errors.js";

/** The error of an argument that is not what the API takes. */
export function invalidArgument(message: string): RpcError {
  return new RpcError("failed", "invalid-argument", message);
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
    throw invalidArgument(`the options must be an object, not ${String(options)}`);
}

/** The option `signal`. @throws RpcError invalid-argument */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal !== undefined && typeof signal?.addEventListener !== "function")
    throw invalidArgument("the option signal must be an AbortSignal");
}
