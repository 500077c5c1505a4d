// Role: the facets of one activation: views of the object, made from their parameters by its own `[restore]` when they are first used.
// State: the facets that were used, by their parameters. Must not know: how a facet is made, gates, stores.
//
// A facet is nothing but its parameters: the same ones give the same facet as long as the activation remembers it, and after
// that another that is as good. So a stub of one outlives activations as a stub of the object does.

import { RpcError } from "../../base/errors.js";
import type { Origin } from "../../base/origin.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { CallRequest, Hook } from "../../hook/hook.js";
import type { Membrane } from "../../hook/membrane.js";
import { PromiseHook } from "../../hook/promise.js";
import type { Results } from "../../hook/results.js";
import type { Bytes } from "../storage/store.js";
import type { Callee, ObjectHook } from "./object-hook.js";

/** The key of the method by which a class makes a facet from its parameters again. */
export const restore: unique symbol = Symbol.for("capstan.restore") as never;

/** What a class has whose objects make facets. */
export interface Restores {
  /**
   * Makes the facet of these parameters: an object of a class that extends RpcTarget, a function, or a stub, which is given away.
   * It runs as an event of the object, before the first call on the facet. What it throws, that call fails with; the next one
   * asks again.
   *
   * @param params a copy of what `ctx.facet` was given.
   */
  [restore](params: never): unknown;
}

/** Bytes that the parameters of a facet may have: they go along with every reference to it. */
export const FACET_BYTES = 16 * 1024;

/** What is around the facets of one activation. */
export interface FacetSurroundings {
  readonly membrane: Membrane;
  /** The object's. */
  readonly scheduler: Scheduler;
  /** Told of every call. */
  used(): void;
  /** @returns lets go of whom the parameters hold; null for nobody. */
  holdParams(params: Bytes): (() => void) | null;
  /** Has the object make a facet. @param origin who needs it. @returns a reference to it, as the object holds it. */
  make(params: Bytes, origin: Origin | null): Promise<Hook>;
}

/** With so many, those that nobody calls any more are looked for. */
const FEW = 64;

export class Facets {
  private readonly around: FacetSurroundings;
  private readonly made = new Map<string, Facet>();
  private sweepAt = FEW;

  constructor(around: FacetSurroundings) {
    this.around = around;
  }

  /** Runs no code of the object. */
  get(params: Bytes): Callee {
    const name = String.fromCharCode(...params);
    let facet = this.made.get(name);
    if (facet === undefined) {
      if (this.made.size >= this.sweepAt) this.sweep();
      const failed = (): void => {
        if (this.made.get(name) === facet) this.made.delete(name);
      };
      facet = new Facet(params, this.around, failed);
      this.made.set(name, facet);
    }
    return facet;
  }

  /** The activation is over. */
  end(): void {
    for (const facet of this.made.values()) facet.letGo();
  }

  /** All who have called a facet. */
  *callers(): Generator<ObjectHook> {
    for (const { callers } of this.made.values()) yield* callers;
  }

  private sweep(): void {
    for (const [name, facet] of this.made) {
      if (facet.callers.size > 0) continue;
      this.made.delete(name);
      facet.release();
    }
    this.sweepAt = Math.max(FEW, 2 * this.made.size);
  }
}

class Facet implements Callee {
  private readonly calledBy = new Set<ObjectHook>();
  private readonly params: Bytes;
  private readonly around: FacetSurroundings;
  private readonly failed: () => void;
  private inner: PromiseHook | null = null;
  private readonly roots: (() => void) | null;

  constructor(params: Bytes, around: FacetSurroundings, failed: () => void) {
    this.params = params;
    this.around = around;
    this.failed = failed;
    this.roots = around.holdParams(params);
  }

  get callers(): ReadonlySet<ObjectHook> {
    return this.calledBy;
  }

  attach(caller: ObjectHook): void {
    this.calledBy.add(caller);
  }

  detach(caller: ObjectHook): void {
    this.calledBy.delete(caller);
  }

  call(request: CallRequest): Results {
    const { around } = this;
    around.used();
    const inner = (this.inner ??= this.make(request.origin));
    // Held for this call alone: an object whose facets are only known is idle.
    const face = around.membrane.wrap(inner);
    const results = face.call(request);
    face.release();
    return results;
  }

  release(): void {
    this.inner?.release();
    this.letGo();
  }

  letGo(): void {
    this.roots?.();
  }

  private make(origin: Origin | null): PromiseHook {
    const promise = new PromiseHook(this.around.scheduler);
    this.around.make(this.params, origin).then(
      (hook) => promise.resolve(hook),
      (thrown: unknown) => {
        this.failed();
        this.letGo();
        promise.reject(RpcError.from(thrown));
      },
    );
    return promise;
  }
}
