// Role: where the objects of a host of several processes are, as one of its processes sees it.
// State: a way to each slot that was needed. Must not know: sockets, activations.

import { RpcError } from "../../base/errors.js";
import type { ObjectId } from "../object/ids.js";
import type { Finder } from "../object/object-hook.js";
import type { Waits } from "../gates/waits.js";
import type { NamespaceIds, Placement, Refusal } from "../object/parts.js";
import type { Session } from "../../vat/session.js";
import type { ObjectReference } from "../references/reference.js";
import { SlotLink, type SlotOptions } from "./slot-link.js";
import { slotOf } from "./slots.js";

export interface SlotPlacementOptions {
  /** How many slots there are. */
  readonly slots: number;
  /** The slot of this process; null for one that has no objects. */
  readonly own: number | null;
  /** What waits in this process. */
  readonly waits?: Waits | null;
  /** How another slot is reached. */
  slot(slot: number): SlotOptions;
}

export class SlotPlacement implements Placement {
  readonly waits: Waits | null;
  private readonly options: SlotPlacementOptions;
  private readonly links = new Map<number, SlotLink>();
  private readonly refusals = new Map<string, Refusal>();

  constructor(options: SlotPlacementOptions) {
    this.options = options;
    this.waits = options.waits ?? null;
  }

  elsewhere(reference: ObjectReference): Finder | null {
    const { slots, own } = this.options;
    const slot = slotOf(reference.id, slots);
    return slot === own ? null : this.link(slot).finder(reference);
  }

  refusal({ name }: NamespaceIds, id: ObjectId): Refusal | null {
    return this.refusals.get(`${name}/${id.toString()}`) ?? null;
  }

  /** Has an object not activated for a while. @param id as text. @returns ends that. */
  refuse(namespace: string, id: string, refusal: Refusal): () => void {
    const key = `${namespace}/${id}`;
    this.refusals.set(key, refusal);
    return () => {
      if (this.refusals.get(key) === refusal) this.refusals.delete(key);
    };
  }

  /** The connections of this process to others that something may still come by. */
  *sessions(): Generator<Session> {
    for (const link of this.links.values()) yield* link.sessions();
  }

  /** For good: what was reached elsewhere is broken. @param timeout milliseconds that calls under way may take. */
  async close(timeout = 0): Promise<void> {
    const error = new RpcError("disconnected", "object-closed", "the host is closed");
    await Promise.all(Array.from(this.links.values(), (link) => link.close(error, timeout)));
  }

  private link(slot: number): SlotLink {
    let link = this.links.get(slot);
    if (link === undefined) {
      link = new SlotLink(this.options.slot(slot));
      this.links.set(slot, link);
    }
    return link;
  }
}
