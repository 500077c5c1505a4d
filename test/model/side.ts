// Role: one vat of a model's world, and what the program has there.
// State: that. Must not know: the rules.

import type { Membrane } from "../../src/hook/membrane.js";
import type { PromiseHook } from "../../src/hook/promise.js";
import type { MeshEnd, MeshVat } from "../../src/vat/mesh.js";
import type { Call, Ref } from "./shadow.js";

/** A promise made by the program. */
export interface OwnPromise {
  readonly id: number;
  readonly ref: Ref;
  readonly hook: PromiseHook;
}

/** One vat, and what the program has there. */
export class Side {
  readonly index: number;
  readonly vat: MeshVat;
  readonly ends: MeshEnd[] = [];
  /** References held. */
  readonly refs: Ref[] = [];
  /** Promises not resolved yet. */
  readonly promises: OwnPromise[] = [];
  /** Calls that arrived here and are not answered. */
  readonly pending: Call[] = [];
  /** Calls made here of whose results something is held. */
  readonly made: Call[] = [];
  membrane: Membrane | null = null;
  /** Operations were done and their jobs not run: their turn is not over. */
  midTurn = false;

  constructor(index: number, vat: MeshVat) {
    this.index = index;
    this.vat = vat;
  }
}
