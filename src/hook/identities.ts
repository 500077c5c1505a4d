// Role: what vats that trust each other say beside the protocol, in words of their own: who a capability is, and who calls.
// State: none. Must not know: what is said, or what it is good for.
//
// A capability goes from vat to vat as it always does, and order, embargoes and lifetimes are those of any other. What is said
// beside is for the receiver alone: a host's process can store a reference to an object that runs in another one. It
// is said anew for each connection, by what the capability is there, so nothing of it gets past a membrane or to a stranger; and
// of a stranger nothing is taken.

import type { RpcError } from "../base/errors.js";
import type { Origin } from "../base/origin.js";
import type { Hook } from "./hook.js";

/** One for each connection between vats that trust each other. */
export interface Identities {
  /** What to say of `hook`, which is about to be described to the peer; null for nothing. Not to be changed. */
  of(hook: Hook): Uint8Array | null;
  /**
   * The peer says this of a capability that it hosts; the hook stays the connection's. Whatever comes of it, it does not throw.
   *
   * @returns called once, when nobody here holds the capability any more, also if its connection ended long before; what is said of
   *   the same capability until then is not told again. Null for nothing.
   */
  note(hook: Hook, identity: Uint8Array): (() => void) | null;
  /** What to say of who makes a call; null for nothing. It does not throw. */
  caller?(origin: Origin): Uint8Array | null;
  /** Who makes a call, by what the peer says of it; null for nobody known. It does not throw. */
  calledBy?(said: Uint8Array): Origin | null;
  /** What a failure that came from the peer is here. It does not throw. */
  heard?(error: RpcError): RpcError;
}
