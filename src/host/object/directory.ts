// Role: finds the one activation of each object, and makes it when there is none.
// State: the activations there are, and those that the store has not done with. Must not know: what an activation does.

import { RpcError } from "../../base/errors.js";
import { clearing, deletion } from "../references/holdings.js";
import type { Release } from "../collect/live-roots.js";
import { collectedError } from "../collect/participant.js";
import { nodeOf, ObjectKeys } from "../storage/keys.js";
import type { Disposes } from "./durable-object.js";
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
  private readonly roots = new Map<Activation, Release>();
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
    if (this.parts.roots.isDoomed(nodeOf(definition.bytes, id._bytes)))
      throw collectedError(`${definition.name}/${id.toString().slice(0, 8)}`);
    return this.make(key, definition, id, false);
  }

  /**
   * Activates an object for the last time, and runs its `[dispose]` hook.
   *
   * @returns resolves when the store has done with what it wrote. @throws RpcError what the hook fails with, or kept it from running.
   */
  async dispose(definition: Definition, id: ObjectId): Promise<void> {
    await this.settled(definition, id);
    if (this.closedBy !== null) throw this.closedBy;
    const activation = this.make(keyOf(definition, id), definition, id, true);
    const { clock, limits } = this.parts;
    const stopTimer = clock.after(limits.disposeTime, () => {
      const message = `the [dispose] hook of ${activation.name} took longer than ${limits.disposeTime} ms`;
      activation.break(new RpcError("failed", "deadline-exceeded", message));
    });
    try {
      await activation.deliver({
        kind: "dispose",
        run: (instance: Disposes) => disposeOf(instance),
      });
      await activation.flushed();
    } finally {
      stopTimer();
      activation.break(collectedError(activation.name));
      await this.settled(definition, id);
    }
  }

  private make(key: string, definition: Definition, id: ObjectId, isLast: boolean): Activation {
    const after = this.leaving.get(key) ?? null;
    const made = new Activation(this.parts, this, definition, id, after, isLast);
    // What cannot even be read is broken before it is there.
    if (made.brokenBy !== null) return made;
    this.active.set(key, made);
    // Whatever it comes to do, nobody else need hold it meanwhile.
    const root = this.parts.roots.hold([nodeOf(definition.bytes, id._bytes)]);
    if (root !== null) this.roots.set(made, root);
    return made;
  }

  ended(
    activation: Activation,
    settled: Promise<void> | null,
    revoked: Promise<void> | null,
  ): void {
    const key = keyOf(activation.definition, activation.id);
    if (this.active.get(key) === activation) this.active.delete(key);
    const root = this.roots.get(activation);
    this.roots.delete(activation);
    if (settled !== null) this.leave(key, settled);
    if (root === undefined) return;
    if (settled === null && revoked === null) root();
    else void Promise.all([settled, revoked]).then(root);
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
    return this.remove(definition, id, clearing);
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

function disposeOf(instance: Disposes): unknown {
  return instance[Symbol.asyncDispose]?.() ?? instance[Symbol.dispose]?.();
}

function keyOf(definition: Definition, id: ObjectId): string {
  return `${definition.name}/${id.toString()}`;
}
