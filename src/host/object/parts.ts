// Role: what all objects of one host have in common.
// State: none. Must not know: single objects.

import { invalidArgument, wrongArgument } from "../../base/checks.js";
import type { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { StubOptions, Terms } from "../../cap/dynamic/terms.js";
import type { Beside } from "../../hook/beside.js";
import type { Hook } from "../../hook/hook.js";
import { checkMost } from "../../transport/transport.js";
import type { Clock } from "../../vat/clock.js";
import type { Turns } from "../gates/turns.js";
import type { Waits } from "../gates/waits.js";
import type { LiveRoots } from "../collect/live-roots.js";
import type { ObjectReference, Reference } from "../references/reference.js";
import type { SocketTable } from "../sockets/socket-table.js";
import type { Store } from "../storage/store.js";
import type { ValueCodecs } from "../storage/values.js";
import type { ObjectClass } from "./durable-object.js";
import type { IdMaker, ObjectId } from "./ids.js";
import type { Finder } from "./object-hook.js";

/** Bounds of one host; times in milliseconds. */
export interface HostLimits {
  /** Without an event for so long, an object is evicted. */
  readonly idleTime: number;
  /** So long a `blockConcurrencyWhile` may take. */
  readonly sectionTime: number;
  /** Bytes that one value may have. */
  readonly valueBytes: number;
  /** Bytes that are cached for one object, and once more of what it wrote and the disk does not have. */
  readonly cacheBytes: number;
  /** Saved references that there may be: whoever can call an object can save it. */
  readonly savedReferences: number;
  /** WebSockets that one object may have accepted by `ctx.acceptWebSocket`. */
  readonly sockets: number;
  /** Bytes of what is attached to one of those. */
  readonly attachmentBytes: number;
  /** So long an object of a private namespace has to be unreachable before it is collected. */
  readonly collectGrace: number;
  /** So long a `[dispose]` hook may take. */
  readonly disposeTime: number;
}

export const DEFAULT_HOST_LIMITS: HostLimits = Object.freeze({
  idleTime: 10_000,
  sectionTime: 30_000,
  valueBytes: 2 * 1024 * 1024,
  cacheBytes: 1024 * 1024,
  savedReferences: 1_000_000,
  sockets: 32_768,
  attachmentBytes: 16 * 1024,
  collectGrace: 60_000,
  disposeTime: 30_000,
});

/**
 * The limits that `given` says. Infinity is the largest whole number, so that it gets to other processes as JSON.
 *
 * @throws RpcError invalid-argument, naming the limit, for one that is none, and for a value that is no number from 0 on.
 */
export function checkHostLimits(given: Partial<HostLimits> = {}): Partial<HostLimits> {
  if (typeof given !== "object" || given === null)
    throw wrongArgument("limits of a host must be an object", given);
  const limits: Record<string, number> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(DEFAULT_HOST_LIMITS, name)) {
      const message = `a host has no limit ${name}: there are ${Object.keys(DEFAULT_HOST_LIMITS).join(", ")}`;
      throw invalidArgument(message);
    }
    if (value !== undefined)
      limits[name] = Math.min(checkMost(`limits.${name}`, value, 0), Number.MAX_SAFE_INTEGER);
  }
  return limits;
}

/** One namespace, and how its objects are known. */
export interface NamespaceIds {
  readonly name: string;
  readonly ids: IdMaker;
}

/** One namespace with its class. */
export interface Definition extends NamespaceIds {
  readonly type: ObjectClass;
  /** The name as it is in keys. */
  readonly bytes: Uint8Array;
  /** Whether its objects are collected when nobody can reach them. */
  readonly collect: boolean;
}

/** Told of what nobody else hears of: a failed alarm, a rejected `waitUntil`. */
export type Reporter = (error: unknown, what: string) => void;

/** Where objects are, in a host of several processes. */
export interface Placement {
  /** The way to an object of another process; null for one of this. */
  elsewhere(reference: ObjectReference): Finder | null;
  /** Why an object of this process is not to be activated now, and until when, by the clock; null when it may be. */
  refusal(namespace: NamespaceIds, id: ObjectId): Refusal | null;
  /** What waits in this process; null where it is the only one. */
  readonly waits: Waits | null;
}

export interface Refusal {
  readonly error: RpcError;
  readonly until: number;
}

/** Of a host that is one process. */
export const ALL_HERE: Placement = { elsewhere: () => null, refusal: () => null, waits: null };

export interface HostParts {
  readonly store: Store;
  /** Milliseconds since the epoch, and timers. */
  readonly clock: Clock;
  readonly turns: Turns;
  readonly limits: HostLimits;
  readonly codecs: ValueCodecs;
  readonly terms: Terms;
  /** Of all stubs of objects. */
  readonly stubs: StubOptions;
  /** Those that outlive activations. */
  readonly sockets: SocketTable;
  /** Of whoever is outside of objects. */
  readonly scheduler: Scheduler;
  readonly report: Reporter;
  readonly placement: Placement;
  readonly references: Referrals;
  /** What is held here of objects that are collected. */
  readonly roots: LiveRoots;
  /** `env`, as an object sees it. @param wrap makes a stub's capability one of that object. */
  environment(activation: Wrapping): object;
}

/** From references to what they stand for, and to what they can be saved as. */
export interface Referrals {
  /** A new capability for an object, or a facet of one. It fails when it is called, if it leads to nothing. */
  hook(reference: ObjectReference): Hook;
  /** What stands for it in a value: a stub, or a namespace. @param inside whose it is. */
  value(reference: Reference, inside: Wrapping): object;
  /** Answers `Persistent.save` for what is found by it. */
  saver(reference: ObjectReference): Beside;
  /** A new capability that redeems saved references. */
  restorer(): Hook;
}

/** Takes capabilities into an object. */
export interface Wrapping {
  /** The capability as the object holds it: a new reference. Takes `hook` over. */
  take(hook: Hook): Hook;
}

/**
 * Something in `env` that leads out of the host. Each object has one of its own, so that what it does by it passes its boundary as
 * all else does: calls leave when what was written before is on the disk, answers come in by the gate.
 */
export abstract class Outlet {
  /** @param inside whose it is to be; null for code of no object. @returns what that code finds in `env`. */
  abstract within(inside: Wrapping | null): unknown;
}

/** `env` as the code of `inside` has it. */
export function envWithin(env: object, inside: Wrapping | null): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(env).map(([name, value]: [string, unknown]) => [
      name,
      value instanceof Outlet ? value.within(inside) : value,
    ]),
  );
}
