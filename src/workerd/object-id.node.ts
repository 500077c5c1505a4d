// Role: the ids of durable objects in workerd, as idFromName makes them there.
// State: none. Must not know: connections.

import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
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
  if (typeof uniqueKey !== "string")
    throw new RpcError("failed", "invalid-id", "a uniqueKey is a string");
  return hexOf(new IdKey(uniqueKey).ofName(name));
}

/** What the ids of one namespace are made with. */
export class IdKey {
  private readonly key: Buffer;

  constructor(uniqueKey: string) {
    this.key = createHash("sha256").update(uniqueKey).digest();
  }

  /** @returns 32 bytes. @throws RpcError invalid-id for what is no string. */
  ofName(name: string): Uint8Array {
    if (typeof name !== "string")
      throw new RpcError("failed", "invalid-id", `a name is a string, not ${typeof name}`);
    return this.whole(this.half(name));
  }

  /** @returns 32 bytes. */
  random(): Uint8Array {
    return this.whole(randomBytes(16));
  }

  /** Whether an id is one of this namespace: its second half proves that. */
  hasMade(id: Uint8Array): boolean {
    return id.length === 32 && timingSafeEqual(id, this.whole(id.subarray(0, 16)));
  }

  private whole(base: Uint8Array): Uint8Array {
    return Buffer.concat([base, this.half(base)]);
  }

  private half(data: string | Uint8Array): Buffer {
    return createHmac("sha256", this.key).update(data).digest().subarray(0, 16);
  }
}

function hexOf(id: Uint8Array): string {
  return Buffer.from(id).toString("hex");
}
