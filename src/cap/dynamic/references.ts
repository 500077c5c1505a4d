// Role: what the two ways of a value with references have in common: what can be put into a payload, and the layers above
// that things are made of.
// State: none. Must not know: how a value is encoded, who calls whom.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import type { Payload } from "../../hook/payload.js";
import type { Sent } from "../stream/sent.js";
import type { Asker } from "./debug.js";
import type { Root } from "./place.js";
import type { Terms } from "./terms.js";

/** A root that can be put into a payload. */
export interface Referable extends Root {
  /** A promise is replaced by its value where it arrives. */
  readonly kind: number;
  /** What it stands for; stays its own. @throws RpcError capability-disposed */
  readonly live: Hook;
  /** What is put into the table: a new reference. Makes the call first that it is the result of. */
  refer(): Hook;
  /** It goes into a payload that is not sent yet: {@link refer}, or itself while there is nothing to refer to. */
  lent(): Hook | Referable;
}

/** The layers above this one, which it makes things of. Filled in by stub.ts. */
export const above: {
  /** A new stub for `hook`, which it takes over. @param asker the call that it is a result of. */
  stub: (
    hook: Hook,
    terms: Terms,
    asker?: Asker,
  ) => { readonly root: Root; readonly proxy: object };
  /** A new reference to the capability of a target or a function of this vat. */
  serve: (target: object, scheduler: Scheduler, terms: Terms) => Hook;
  /** A new reference to a capability that stands for `value`, a result that came here. The value's references stay its owner's. */
  hold: (value: unknown, scheduler: Scheduler, terms: Terms) => Hook;
  /** The function that stands for a signal. */
  functionOf: (signal: AbortSignal) => object;
  /** A signal that follows the one behind `hook`, which it takes over, until `root` is disposed. */
  follow: (hook: Hook, terms: Terms) => { readonly root: Root; readonly signal: AbortSignal };
  /** A stream or Blob as a reference; undefined for anything else. @throws RpcError unsendable-value. */
  sendStream: (
    value: object,
    path: string,
    scheduler: Scheduler,
    terms: Terms,
    gives: boolean,
  ) => { readonly kind: number; readonly sent: Sent } | undefined;
  /** The stream behind `hook`, which it takes over. */
  receiveStream: (kind: number, hook: Hook, terms: Terms) => ReceivedStream;
  /** Fetches the Blob behind `hook`, which it takes over. @returns gives it up. */
  receiveBlob: (
    hook: Hook,
    terms: Terms,
    received: (blob: Blob) => void,
    failed: (error: RpcError) => void,
  ) => () => void;
} = {
  stub: notReady,
  serve: notReady,
  hold: notReady,
  functionOf: notReady,
  follow: notReady,
  sendStream: notReady,
  receiveStream: notReady,
  receiveBlob: notReady,
};

/** A stream that came by reference. */
export interface ReceivedStream {
  readonly stream: object;
  /** Breaks it at both sides, unless it has ended. */
  readonly dispose: () => void;
  /** Whether somebody reads it or writes to it. */
  readonly isUsed: () => boolean;
}

function notReady(): never {
  throw new RpcError("failed", "internal-error", "the dynamic layer is not loaded");
}

/** An object of this vat behind the interface Object. */
export abstract class LocalObject implements Server {
  abstract dispatch(call: LocalCall): void;

  /** The target or function; null where it is a result. */
  abstract readonly self: object | null;

  /** The value of a result, given; only where `self` is null. */
  abstract share(): Payload;
}

/** The object of this vat behind `hook`, as far as is known now. Not while a stream call runs: it must not be overtaken. */
export function localObject(hook: Hook): LocalObject | null {
  const end = hook.resolved();
  return end instanceof LocalHook && end.server instanceof LocalObject && !end.streamBusy
    ? end.server
    : null;
}
