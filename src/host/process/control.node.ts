// Role: the control socket of a host: what whoever manages it may ask of the running processes. Mode 0600: it is the owner's alone.
// State: none. Must not know: who asks, what is stored.

import { serve } from "../../cap/dynamic/stub.js";
import { RpcTarget } from "../../cap/dynamic/target.js";
import type { Listener } from "../../vat/listen.node.js";
import { listen } from "../../vat/listen.node.js";
import type { ActiveObject, Eviction, Question } from "./messages.js";
import { controlAddress } from "./paths.node.js";

/** Process ids; null where there is no process now. */
export interface Processes {
  /** By slot. */
  readonly objects: readonly (number | null)[];
  readonly front: number | null;
}

/** What a control socket is in front of. */
export interface Controlled {
  processes(): Processes;
  /** The slot of an object. @throws RpcError invalid-id. */
  slotOf(namespace: string, id: string): number;
  ask(slot: number, question: Question): Promise<unknown>;
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
  evict(namespace: string, id: string): Promise<Eviction> {
    return this.#ask("evict", namespace, id) as Promise<Eviction>;
  }

  /** Breaks an object that is active: calls under way fail. @returns whether it was. */
  break(namespace: string, id: string): Promise<boolean> {
    return this.#ask("break", namespace, id) as Promise<boolean>;
  }

  /** Deletes an object with all that is stored of it; if it is active it breaks. @returns whether it was. */
  delete(namespace: string, id: string): Promise<boolean> {
    return this.#ask("delete", namespace, id) as Promise<boolean>;
  }

  /** Has the program loaded anew, as on SIGHUP. */
  reload(): Promise<void> {
    return this.#host.reload();
  }

  async #ask(what: "evict" | "break" | "delete", namespace: string, id: string): Promise<unknown> {
    return this.#host.ask(this.#host.slotOf(namespace, id), { what, namespace, id });
  }
}

/** @throws RpcError listen-failed (as a rejection). */
export function listenForControl(directory: string, host: Controlled): Promise<Listener> {
  return listen(controlAddress(directory), { bootstrap: serve(new Control(host)) });
}
