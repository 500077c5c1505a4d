// Role: the capabilities of one message as the typed layer sees them: hooks by index, clients made when asked for.
// State: the references it owns, and the clients it handed out. Must not know: what a client can do.
//
// Ownership follows the rule of design.md, "params are lent, results are given". Of results, a reference passes to the
// client that is first read from them; disposing the results disposes these clients too. Of params, each client has a
// reference of its own that ends with the call.

import { RpcError } from "../../../base/errors.js";
import type { Scheduler } from "../../../base/scheduler.js";
import { brokenHook, nullHook } from "../../../hook/results.js";
import type { Hook } from "../../../hook/hook.js";
import { NO_CAPS, type Payload } from "../../../hook/payload.js";
import type { CapTable } from "./segment.js";

/** What a client is to this file. */
export interface Holder {
  _hook: Hook | null;
  [Symbol.dispose](): void;
}

/** A client that was handed out, and the index it was asked for by; -1 for one that only ends with the others. */
interface Handed {
  readonly index: number;
  readonly client: Holder;
}

/** The capability table of one message; one of the three kinds below. */
export abstract class Caps implements CapTable {
  scheduler: Scheduler;
  private handed: Handed[] | null = null;
  private closed = false;

  constructor(scheduler: Scheduler) {
    this.scheduler = scheduler;
  }

  /** A new reference to capability `index`, null for a null one. `first`: no client of it exists yet. */
  protected abstract refer(index: number, first: boolean): Hook | null;

  /** Releases what the table itself owns. */
  protected abstract letGo(): void;

  /** The client of capability `index`: the same object each time, until the table is closed. */
  client<C extends Holder>(index: number, type: new (hook: Hook) => C): C {
    if (this.closed) return new type(brokenHook(disposed(), this.scheduler));
    let first = true;
    if (this.handed !== null)
      for (const one of this.handed) {
        if (one.index !== index) continue;
        first = false;
        if (one.client instanceof type) return one.client;
      }
    const client = new type(
      (first ? this.refer(index, true) : this.share(index)) ?? nullHook(this.scheduler),
    );
    (this.handed ??= []).push({ index, client });
    return client;
  }

  /** A new reference to capability `index`, null for a null one; the caller owns it. */
  share(index: number): Hook | null {
    if (this.closed) return brokenHook(disposed(), this.scheduler);
    const known = this.handed?.find((one) => one.index === index);
    if (known === undefined) return this.refer(index, false);
    return known.client._hook?.addRef() ?? brokenHook(disposed(), this.scheduler);
  }

  /** Adds a reference, which is taken over. @returns its index. @throws for a table that was received. */
  add(_hook: Hook): number {
    throw new RpcError(
      "failed",
      "invalid-state",
      "capabilities cannot be added to a message that was received",
    );
  }

  /** Whether the table of a message being built has an entry. */
  get holds(): boolean {
    return false;
  }

  /** Empties an entry of a message being built. The others keep their index. */
  remove(_index: number): void {}

  /** Ends `client` together with this table. */
  closeWith(client: Holder): void {
    (this.handed ??= []).push({ index: -1, client });
  }

  /** Ends every client and every reference of this table. Idempotent. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.endClients();
    this.letGo();
  }

  protected endClients(): void {
    const handed = this.handed;
    this.handed = null;
    if (handed !== null) for (const { client } of handed) client[Symbol.dispose]();
  }

  protected pick(hooks: readonly (Hook | null)[], index: number): Hook | null {
    if (index < hooks.length) return hooks[index]!;
    return brokenHook(noCapability(index, hooks.length), this.scheduler);
  }
}

/** The error of a capability beyond the table (C-VAL-22). */
export function noCapability(index: number, count: number): RpcError {
  const message = `a pointer names capability ${index}, but only ${count} came with the message`;
  return new RpcError("failed", "invalid-capability", message);
}

function disposed(): RpcError {
  return new RpcError(
    "failed",
    "capability-disposed",
    "the message that holds this capability was disposed",
  );
}

/** The table of params: owned by the call, which may release it at any time. */
export class LentCaps extends Caps {
  private readonly payload: Payload;
  private readonly count: number;

  constructor(scheduler: Scheduler, payload: Payload) {
    super(scheduler);
    this.payload = payload;
    this.count = payload.caps.length;
  }

  protected refer(index: number): Hook | null {
    if (this.payload.caps.length < this.count) return brokenHook(disposed(), this.scheduler);
    const hook = this.pick(this.payload.caps, index);
    return index < this.count ? (hook?.addRef() ?? null) : hook;
  }

  protected letGo(): void {}
}

/** The table of results: owned by whoever awaited them. */
export class GivenCaps extends Caps {
  private hooks: (Hook | null)[];

  constructor(scheduler: Scheduler, payload: Payload) {
    super(scheduler);
    this.hooks = payload.caps.slice();
    payload.caps = NO_CAPS;
  }

  protected refer(index: number, first: boolean): Hook | null {
    const hook = this.pick(this.hooks, index);
    if (index >= this.hooks.length) return hook;
    if (!first) return hook?.addRef() ?? null;
    this.hooks[index] = null;
    return hook;
  }

  protected letGo(): void {
    for (const hook of this.hooks) hook?.release();
    this.hooks = [];
  }
}

/** The table of a message being built. */
export class BuildCaps extends Caps {
  /** Whether clients put into this message are given away with it (results) or lent (params). */
  giving = false;
  private hooks: (Hook | null)[] = [];

  /** Makes the table ready for the next message. */
  begin(scheduler: Scheduler, giving: boolean): void {
    this.scheduler = scheduler;
    this.giving = giving;
  }

  /** Ends the message. What was not taken is released. */
  end(): void {
    this.endClients();
    if (this.hooks.length > 0) this.letGo();
  }

  override add(hook: Hook): number {
    return this.hooks.push(hook) - 1;
  }

  override get holds(): boolean {
    return this.hooks.length > 0;
  }

  override remove(index: number): void {
    this.hooks[index]?.release();
    this.hooks[index] = null;
  }

  /** The references, which pass to the caller. */
  take(): readonly (Hook | null)[] {
    const hooks = this.hooks;
    if (hooks.length === 0) return NO_CAPS;
    this.hooks = [];
    return hooks;
  }

  protected refer(index: number): Hook | null {
    const hook = this.pick(this.hooks, index);
    return index < this.hooks.length ? (hook?.addRef() ?? null) : hook;
  }

  protected letGo(): void {
    for (const hook of this.hooks) hook?.release();
    this.hooks = [];
  }
}
