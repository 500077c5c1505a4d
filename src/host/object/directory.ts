// Role: finds the one activation of each object, and makes it when there is none.
// State: the activations there are, and those that the store has not done with. Must not know: what an activation does.

import type { RpcError } from "../../base/errors.js";
import { deletion, erasure } from "../references/holdings.js";
import { ObjectKeys } from "../storage/keys.js";
import type { Write } from "../storage/store.js";
import { Activation, type ActivationOwner, deletedError } from "./activation.js";
import type { ObjectId } from "./ids.js";
import type { Definition, HostParts } from "./parts.js";

/** Told of alarms. */
export interface AlarmListener {
  alarmChanged(time: number | null): void;
}

/**
 * The activations of one host. An object that is not active has no place here: a million of them cost nothing but disk.
 */
export class Directory implements ActivationOwner {
  private readonly parts: HostParts;
  private readonly alarms: AlarmListener;
  private readonly active = new Map<string, Activation>();
  /** The ends of activations whose last writes the store still has in its hands. */
  private readonly leaving = new Map<string, Promise<void>>();
  private closedBy: RpcError | null = null;

  constructor(parts: HostParts, alarms: AlarmListener) {
    this.parts = parts;
    this.alarms = alarms;
  }

  get size(): number {
    return this.active.size;
  }

  /** The activation of an object, if there is one. */
  find(definition: Definition, id: ObjectId): Activation | undefined {
    return this.active.get(keyOf(definition, id));
  }

  /** All activations there are. */
  get activations(): Iterable<Activation> {
    return this.active.values();
  }

  /** The activation of an object. Runs no user code. @throws RpcError object-closed when the host is; what refuses the object. */
  activate(definition: Definition, id: ObjectId): Activation {
    const key = keyOf(definition, id);
    const known = this.active.get(key);
    if (known !== undefined) return known;
    if (this.closedBy !== null) throw this.closedBy;
    const refusal = this.parts.placement.refusal(definition, id);
    if (refusal !== null) throw refusal.error;
    const made = new Activation(this.parts, this, definition, id, this.leaving.get(key) ?? null);
    // What cannot even be read is broken before it is there.
    if (made.brokenBy === null) this.active.set(key, made);
    return made;
  }

  ended(activation: Activation, settled: Promise<void> | null): void {
    const key = keyOf(activation.definition, activation.id);
    if (this.active.get(key) === activation) this.active.delete(key);
    if (settled !== null) this.leave(key, settled);
  }

  private leave(key: string, settled: Promise<void>): void {
    const before = this.leaving.get(key);
    const left = Promise.all([before, settled]).then(() => {
      if (this.leaving.get(key) === left) this.leaving.delete(key);
    });
    this.leaving.set(key, left);
  }

  alarmChanged(time: number | null): void {
    this.alarms.alarmChanged(time);
  }

  /**
   * Removes an object for good: what is active of it breaks, and so does all that is activated later.
   *
   * @returns resolves when that is on the disk. @throws RpcError what the store fails with (as a rejection).
   */
  delete(definition: Definition, id: ObjectId): Promise<void> {
    const active = this.find(definition, id);
    active?.break(deletedError(active.name));
    return this.remove(definition, id, deletion);
  }

  /** The same, but that whoever calls it next finds it as if it had never stored anything. */
  clear(definition: Definition, id: ObjectId): Promise<void> {
    this.find(definition, id)?.break(new Error("what it had stored was cleared"));
    return this.remove(definition, id, erasure);
  }

  private async remove(
    definition: Definition,
    id: ObjectId,
    write: (keys: ObjectKeys) => Write,
  ): Promise<void> {
    const key = keyOf(definition, id);
    // Who calls it meanwhile waits until it is gone.
    const gone = this.settled(definition, id).then(() => {
      const keys = new ObjectKeys(definition.bytes, id._bytes);
      return this.parts.store.write([write(keys)]).flushed;
    });
    this.leave(
      key,
      gone.catch(() => {}),
    );
    await gone;
  }

  /** Resolves when the store has nothing of the object in its hands but what an activation has given it. */
  async settled(definition: Definition, id: ObjectId): Promise<void> {
    await this.leaving.get(keyOf(definition, id));
  }

  /** For good: what is active breaks with `error`, when its writes are handed over; nothing is activated any more. */
  async close(error: RpcError): Promise<void> {
    this.closedBy = error;
    await Promise.all(Array.from(this.active.values(), (one) => one.flushed().catch(() => {})));
    for (const activation of this.active.values()) activation.break(error, "object-closed");
    await Promise.all(this.leaving.values());
  }
}

function keyOf(definition: Definition, id: ObjectId): string {
  return `${definition.name}/${id.toString()}`;
}
