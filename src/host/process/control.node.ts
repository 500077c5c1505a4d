// Role: the control socket of a host: what whoever manages it may ask of the running processes. Mode 0600: it is the owner's alone.
// State: none. Must not know: who asks, what is stored.

import { serve } from "../../cap/dynamic/stub.js";
import { RpcTarget } from "../../cap/dynamic/target.js";
import type { CollectionReport } from "../collect/collector.js";
import type { Listener } from "../../vat/listen.node.js";
import { listen } from "../../vat/listen.node.js";
import type { ActiveObject, CollectorQuestion, Eviction, Question } from "./messages.js";
import { controlAddress } from "./paths.node.js";

/** A question about objects. */
export type ObjectQuestion = Exclude<Question, CollectorQuestion>;

/** Process ids; null where there is no process now. */
export interface Processes {
  /** By slot. */
  readonly objects: readonly (number | null)[];
  readonly front: number | null;
}

/** What a control socket is in front of. */
export interface Controlled {
  processes(): Processes;
  /** Whether the program has a namespace: objects of another may be stored, but none is active. */
  has(namespace: string): boolean;
  /** The slot of an object. @throws RpcError invalid-id. */
  slotOf(namespace: string, id: string): number;
  ask(slot: number, question: ObjectQuestion): Promise<unknown>;
  collect(dryRun: boolean): Promise<CollectionReport>;
  /** Removes what is stored of an object, for good or not. @returns whether it was active. @throws RpcError invalid-id (as a rejection). */
  remove(namespace: string, id: string, forGood: boolean): Promise<boolean>;
  reload(): Promise<void>;
}

/** The bootstrap capability of the control socket. Ids are the 64 digits that `id.toString()` gives. */
export class Control extends RpcTarget {
  readonly #host: Controlled;

  constructor(host: Controlled) {
    super();
    this.#host = host;
  }

  processes(): Processes {
    return this.#host.processes();
  }

  /** The objects that are active. @throws RpcError process-lost when a process is not there (as a rejection). */
  async active(): Promise<ActiveObject[]> {
    const { objects } = this.#host.processes();
    const all = objects.map((_, slot) => this.#host.ask(slot, { what: "active" }));
    return (await Promise.all(all)).flat() as ActiveObject[];
  }

  /** Lets go of an object that is idle. */
  async evict(namespace: string, id: string): Promise<Eviction> {
    return ((await this.#ask("evict", namespace, id)) as Eviction | null) ?? "inactive";
  }

  /** Breaks an object that is active: calls under way fail. @returns whether it was. */
  async break(namespace: string, id: string): Promise<boolean> {
    return (await this.#ask("break", namespace, id)) === true;
  }

  /** Removes all that is stored of an object; if it is active it breaks. Who calls it next finds it new. @returns whether it was. */
  clear(namespace: string, id: string): Promise<boolean> {
    return this.#host.remove(namespace, id, false);
  }

  /** The same for good: who calls it is told `object-deleted`. @returns whether it was active. */
  delete(namespace: string, id: string): Promise<boolean> {
    return this.#host.remove(namespace, id, true);
  }

  /**
   * Collects the objects of private namespaces that nobody has been able to reach for the grace period, or only says which there are.
   *
   * @throws RpcError process-lost, what the store fails with (as rejections).
   */
  collect(dryRun: boolean): Promise<CollectionReport> {
    return this.#host.collect(dryRun);
  }

  /** Has the program loaded anew, as on SIGHUP. */
  reload(): Promise<void> {
    return this.#host.reload();
  }

  async #ask(what: "evict" | "break", namespace: string, id: string): Promise<unknown> {
    if (!this.#host.has(namespace)) return null;
    return this.#host.ask(this.#host.slotOf(namespace, id), { what, namespace, id });
  }
}

/** @throws RpcError listen-failed (as a rejection). */
export function listenForControl(directory: string, host: Controlled): Promise<Listener> {
  return listen(controlAddress(directory), { bootstrap: serve(new Control(host)) });
}
