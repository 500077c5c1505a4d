// Role: the ids of durable objects in workerd, as idFromName makes them there.
// State: none. Must not know: connections.

import { createHash, createHmac } from "node:crypto";
import { RpcError } from "../base/errors.js";

/** Which object of a class: its id, or the name that its id is made from. */
export type WorkerdObjectId =
  | string
  | {
      readonly name: string;
      /** The `uniqueKey` of the class's namespace in the configuration of workerd. */
      readonly uniqueKey: string;
    };

/**
 * The id as 64 hexadecimal digits.
 *
 * @throws RpcError invalid-id: the debug port itself takes whatever has this length.
 * @example objectIdText({ name: "lobby", uniqueKey: "room-key-1" })
 * Source: workerd's ActorIdFactoryImpl, checked against a Worker's own idFromName.
 */
export function objectIdText(id: WorkerdObjectId): string {
  if (typeof id === "string") {
    if (/^[0-9a-fA-F]{64}$/.test(id)) return id.toLowerCase();
    throw new RpcError("failed", "invalid-id", "an id is written as 64 hexadecimal digits");
  }
  const { name, uniqueKey } = id;
  if (typeof name !== "string" || typeof uniqueKey !== "string")
    throw new RpcError("failed", "invalid-id", "a name and a uniqueKey are strings");
  const key = createHash("sha256").update(uniqueKey).digest();
  const half = (data: string | Buffer): Buffer =>
    createHmac("sha256", key).update(data).digest().subarray(0, 16);
  const base = half(name);
  return Buffer.concat([base, half(base)]).toString("hex");
}
