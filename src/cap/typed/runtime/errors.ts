// Role: the errors of the typed layer, each with its stable code.
// State: none. Must not know: schemas, connections.

import { RpcError } from "../../../base/errors.js";

/** A value that the schema's type cannot hold. */
export { invalidArgument } from "../../../base/checks.js";

/** What a peer sent does not fit the schema (C-VAL): only the reader of that field fails. */
export function invalidPayload(message: string): RpcError {
  return new RpcError("failed", "invalid-payload", message);
}

/** Something used after its end, or in a way its present state forbids. */
export function invalidState(message: string): RpcError {
  return new RpcError("failed", "invalid-state", message);
}
