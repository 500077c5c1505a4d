// Role: the references in stored values: who may be kept, and what stands for them when the value is read.
// State: per value that is being stored, the references in it. Must not know: how anything is found; stores.

import { RpcError } from "../../base/errors.js";
import type { ReferenceSource, ReferenceSlot } from "../../cap/dynamic/values/index.js";
import { isPending } from "../../cap/dynamic/stub.js";
import { isTarget } from "../../cap/dynamic/target.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import type { Bytes } from "../storage/store.js";
import type { StoredReferences, Storing } from "../storage/values.js";
import { referenceOf, selfOf } from "./identity.js";
import { readReference, type Reference } from "./reference.js";
import { joined, split } from "./table.js";

/** Says what stands for a reference when it is read: a stub, or a namespace. It does not fail, and asks nobody. */
export type Revive = (reference: Reference) => object;

/** What stands for itself without a capability: the object itself, a namespace; null for anything else. */
export type Own = (value: object) => Reference | null;

/** The references in the values of one object. */
export class ObjectReferences implements StoredReferences {
  private readonly revive: Revive;
  private readonly own: Own;

  constructor(revive: Revive, own: Own) {
    this.revive = revive;
    this.own = own;
  }

  storing(): Storing {
    return new Table(this.own);
  }

  reading(bytes: Bytes): { readonly value: Bytes; readonly source: ReferenceSource } {
    const { value, references } = split(bytes);
    const source: ReferenceSource = {
      revive: (kind, index) => {
        const reference = kind === KIND_STORED ? references?.[index] : undefined;
        if (reference !== undefined) return this.revive(readReference(reference));
        const message = `a stored value names reference ${index} of kind ${kind}, which is not with it`;
        throw new RpcError("failed", "storage-corrupt", message);
      },
    };
    return { value, source };
  }
}

/** There is one kind: what it is for says the reference. */
const KIND_STORED = 0;

class Table implements Storing {
  private readonly references: Reference[] = [];
  private readonly own: Own;

  constructor(own: Own) {
    this.own = own;
  }

  /** @throws RpcError unstorable-value; capability-disposed. */
  reference(value: object, path: string): ReferenceSlot | undefined {
    const reference = isPending(value) ? null : this.found(value);
    if (reference === null) {
      const why = whyNot(value);
      if (why === undefined) return undefined;
      throw new RpcError("failed", "unstorable-value", `${path} cannot be stored: ${why}`);
    }
    return { kind: KIND_STORED, index: this.references.push(reference) - 1 };
  }

  private found(value: object): Reference | null {
    const own = this.own(value) ?? referenceOf(value);
    if (own !== null) return own;
    const hook = holderOf(value)?.[HOLD](false);
    if (hook === undefined) return null;
    const self = selfOf(hook);
    const reference = referenceOf(hook) ?? (self && this.own(self));
    hook.release();
    return reference;
  }

  finish(value: Bytes): Bytes {
    return this.references.length === 0 ? value : joined(this.references, value);
  }
}

/** Why what lives only as long as somebody holds it is refused, and what to do; undefined for what is said of any value. */
function whyNot(value: object): string | undefined {
  if (isPending(value) || value instanceof Promise) return "it is a promise: await it first";
  const hook = holderOf(value)?.[HOLD](false);
  if (hook !== undefined) {
    const { isPromise, brokenBy } = hook.resolved();
    hook.release();
    if (isPromise) return "it is not known yet what it stands for: await a call on it first";
    if (brokenBy !== null) return `it is broken: ${brokenBy.message}`;
    return "it stands for something that lives only as long as whoever gave it: store a stub of an object of this host, or of a facet of one";
  }
  if (typeof value === "function")
    return "it is a function, which lives only as long as this process";
  if (isTarget(value))
    return "it lives only as long as this process: make a facet of it, by ctx.facet(params) and a [restore] method";
  if (value instanceof ReadableStream || value instanceof WritableStream)
    return "it is a stream, which can be read or written once: store what is in it";
  if (value instanceof AbortSignal)
    return "it is a signal, which lives only as long as this process";
  return undefined;
}
