// Role: what of a module's `env` lives in a workerd, made of its configuration.
// State: a connection for each of them, made when it is used. Must not know: what calls it.

import { DEFAULT_TERMS } from "../../cap/dynamic/terms.js";
import type { Hook } from "../../hook/hook.js";
import {
  keepDebugPort,
  keepEntrypoint,
  keepSocket,
  type KeptWorkerd,
  REACH_TIME,
  reachObject,
} from "../../workerd/kept.node.js";
import { IdKey } from "../../workerd/object-id.node.js";
import { EntryReach } from "../../workerd/reach.js";
import "../../workerd/serve.js";
import { lastingStub, stubOf } from "../../workerd/stub.js";
import { Namespace } from "../object/namespace.js";
import { Outlet, type Wrapping } from "../object/parts.js";
import type { WorkerdBinding } from "./workerd-config.js";
import { WorkerdIds } from "./workerd-ids.js";

/** One binding. What it gives fails as `connection-closed` once it is closed. */
class WorkerdOutlet extends Outlet {
  readonly kept: KeptWorkerd;
  private readonly make: (inside: (hook: Hook) => Hook) => object;

  constructor(kept: KeptWorkerd, make: (inside: (hook: Hook) => Hook) => object) {
    super();
    this.kept = kept;
    this.make = make;
  }

  within(inside: Wrapping | null): object {
    return this.make((hook) => (inside === null ? hook : inside.take(hook)));
  }
}

/** What is bound. */
export interface BoundWorkerd {
  /** By the names in `env`. */
  readonly env: Readonly<Record<string, Outlet>>;
  /** Ends the connections, and the calls under way on them. */
  close(): Promise<void>;
}

/**
 * Connects to nothing yet.
 *
 * @param reachTime milliseconds that calls wait for a workerd that is not there.
 */
export function bindWorkerd(
  bindings: readonly WorkerdBinding[],
  reachTime = REACH_TIME,
): BoundWorkerd {
  const outlets = bindings.map((one) => [one.name, outletOf(one, reachTime)] as const);
  return {
    env: Object.fromEntries(outlets),
    async close() {
      await Promise.all(outlets.map(([, { kept }]) => kept.close()));
    },
  };
}

function outletOf({ url, to }: WorkerdBinding, reachTime: number): WorkerdOutlet {
  if (to.kind === "objects") {
    const { service, className, uniqueKey } = to;
    const port = keepDebugPort(url, reachTime);
    const ids = new WorkerdIds(new IdKey(uniqueKey), `${className} in workerd`);
    return new WorkerdOutlet(
      port,
      (inside) =>
        new Namespace({
          name: null,
          ids,
          stub(id) {
            const way = inside(reachObject(port, service, className, id.toString()));
            return stubOf(new EntryReach(way), DEFAULT_TERMS).proxy;
          },
        }),
    );
  }
  const kept =
    to.kind === "socket"
      ? keepSocket(url, to.connectHost, reachTime)
      : keepEntrypoint(url, to.service, to.entrypoint, to.props, reachTime);
  return new WorkerdOutlet(kept, (inside) =>
    lastingStub(new EntryReach(inside(kept.bootstrap())), DEFAULT_TERMS),
  );
}
