// Role: a host as a process sees it that runs no objects itself: namespaces whose objects are all elsewhere.
// State: the ways to them. Must not know: sockets, stores.

import { processScheduler } from "../../cap/scheduler.js";
import { RpcStub } from "../../cap/dynamic/stub.js";
import type { StubOptions } from "../../cap/dynamic/terms.js";
import type { ValueTypes } from "../../cap/dynamic/values/index.js";
import { type IdCrypto, IdMaker } from "../object/ids.js";
import type { LiveRoots } from "../collect/live-roots.js";
import { Namespace, PrivateNamespace } from "../object/namespace.js";
import { ObjectHook } from "../object/object-hook.js";
import { fetcherUnder } from "../object/requests.js";
import type { SlotPlacement } from "./placement.js";

export interface RemoteHostOptions {
  readonly namespaces: readonly string[];
  /** Those of them that are private. */
  readonly collected: readonly string[];
  /** Counts what is held here. */
  readonly roots: LiveRoots;
  /** The host's, from which ids are made. */
  readonly secret: Uint8Array;
  readonly crypto: IdCrypto;
  readonly placement: SlotPlacement;
  readonly types?: ValueTypes | undefined;
}

/** The namespaces of a host, for whoever has no store. */
export class RemoteHost {
  /** Each namespace by its name. */
  readonly env: Readonly<Record<string, Namespace<never> | PrivateNamespace<never>>>;
  /** @internal */
  readonly placement: SlotPlacement;

  constructor(options: RemoteHostOptions) {
    const { placement, secret, crypto, types, roots } = options;
    const stubs: StubOptions = types === undefined ? {} : { types };
    const fetcher = fetcherUnder(stubs);
    this.placement = placement;
    const env: Record<string, Namespace<never> | PrivateNamespace<never>> = {};
    for (const name of options.namespaces) {
      const ids = new IdMaker(name, secret, crypto);
      const Kind = options.collected.includes(name) ? PrivateNamespace : Namespace;
      env[name] = new Kind<never>({
        name,
        ids,
        stub: (id) => {
          const reference = { namespace: name, id: id._bytes, name: id.name, facet: null };
          const finder = placement.elsewhere(reference)!;
          const root = roots.holdReference(reference);
          const hook = new ObjectHook(processScheduler(), finder, fetcher, root);
          return new RpcStub(hook, stubs);
        },
      });
    }
    this.env = env;
  }

  /**
   * Ends: stubs that were used are broken. The objects are not touched.
   *
   * @param timeout milliseconds that calls under way may take; by default they fail at once.
   */
  close(timeout = 0): Promise<void> {
    return this.placement.close(timeout);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
