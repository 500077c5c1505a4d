// Role: the ids of a namespace in workerd, as those of a host's own are used.
// State: none. Must not know: how they are made.

import { RpcError } from "../../base/errors.js";
import { idBytes, ObjectId, requireId } from "../object/ids.js";
import type { Ids } from "../object/namespace.js";

/** What ids are made with: {@link IdKey} of workerd/object-id. */
export interface IdSource {
  /** @throws RpcError invalid-id for what is no string. */
  ofName(name: string): Uint8Array;
  random(): Uint8Array;
  hasMade(id: Uint8Array): boolean;
}

/** The debug port takes whatever has the length of an id, so what is none is refused here. */
export class WorkerdIds implements Ids {
  private readonly source: IdSource;
  private readonly namespace: string;

  /** @param namespace for people. */
  constructor(source: IdSource, namespace: string) {
    this.source = source;
    this.namespace = namespace;
  }

  fromName(name: string): ObjectId {
    return new ObjectId(this.source.ofName(name), name);
  }

  unique(): ObjectId {
    return new ObjectId(this.source.random());
  }

  fromString(text: string): ObjectId {
    return this.verify(new ObjectId(idBytes(text)));
  }

  verify(id: ObjectId): ObjectId {
    if (this.source.hasMade(requireId(id)._bytes)) return id;
    throw new RpcError("failed", "invalid-id", `the id is none of namespace ${this.namespace}`);
  }
}
