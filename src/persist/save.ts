// Role: asks a capability for a reference of it that can be stored. State: none. Must not know: who made the object, or where it is.

import { invalidArgument, wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { CallOptions } from "../cap/call-options.js";
import { Hook } from "../hook/hook.js";
import { HOLD, type Holder, holderOf } from "../hook/holder.js";
import { Content } from "../wire/content.js";
import { ask } from "./ask.js";
import { KEY_BYTES } from "./keys.js";
import {
  METHOD_SAVE,
  ownerOf,
  PERSISTENT_HI,
  PERSISTENT_LO,
  readSaveResults,
  saveParams,
} from "./protocol.js";
import type { SturdyRef } from "./sturdy-ref.js";

/** For whom a reference is saved: a public key, for realms of Capstan's; or what the object's own realm calls an owner. */
export type SealFor = Uint8Array | Content;

/** Options of {@link save}. */
export interface SaveOptions extends CallOptions {
  /** Who alone may restore it. Default: whoever has it may. */
  readonly sealFor?: SealFor | undefined;
}

/**
 * Saves what a stub or a client stands for: asks the object, wherever it is, for a reference to store, by which a later
 * connection finds it again (`Persistent.save`).
 *
 * @param of stays the caller's; any kind of stub or client, typed with whatever interface, also a promise of one; or a hook.
 * @throws RpcError not-persistent when the object cannot be saved; invalid-payload when what it answers is no reference;
 *   whatever the call fails with; as rejections all.
 * @example const text = (await save(room)).toText();
 * Source: C-PER-01, C-PER-02, C-PER-04.
 */
export async function save(of: Holder | Hook, options: SaveOptions = {}): Promise<SturdyRef> {
  const owner = ownerContent(options.sealFor);
  const hook = hookOf(of);
  try {
    const params = saveParams(owner);
    const payload = await ask(hook, PERSISTENT_HI, PERSISTENT_LO, METHOD_SAVE, params, options);
    payload.release();
    return readSaveResults(payload.content);
  } catch (error) {
    throw notPersistent(error);
  } finally {
    hook.release();
  }
}

/** @throws RpcError invalid-argument for what is no public key, and no owner of another realm's. */
export function ownerContent(sealFor: SealFor | null | undefined): Content | null {
  if (sealFor === undefined || sealFor === null) return null;
  if (sealFor instanceof Content) return sealFor;
  if (!(sealFor instanceof Uint8Array))
    throw wrongArgument("sealFor must be the public key of an owner (keys.publicKey)", sealFor);
  if (sealFor.length === KEY_BYTES) return ownerOf(sealFor);
  const message = `sealFor is a public key of ${KEY_BYTES} bytes, not of ${sealFor.length}`;
  throw invalidArgument(message);
}

function hookOf(of: Holder | Hook): Hook {
  if (of instanceof Hook) return of.addRef();
  const holder = holderOf(of);
  if (holder !== undefined) return holder[HOLD](false);
  throw invalidArgument("only a stub, a client or a hook can be saved");
}

function notPersistent(error: unknown): unknown {
  if (!RpcError.is(error) || error.type !== "unimplemented") return error;
  return new RpcError(
    "unimplemented",
    "not-persistent",
    "this cannot be saved: its object does not implement Persistent, or may not be saved from here",
    { cause: error, delivery: error.delivery },
  );
}
