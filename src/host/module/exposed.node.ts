// Role: an entry point of a module, as the Workers of a workerd call it.
// State: none. Must not know: where objects are, which connections there are.

import type net from "node:net";
import { drainedScheduler } from "../../cap/scheduler.js";
import type { Listener } from "../../vat/listen.node.js";
import { serveWorkerd } from "../../workerd/listen.node.js";
import type { Reporter } from "../object/parts.js";
import { runIn } from "./ambient.node.js";
import type { EntrypointClass, Events } from "./events.js";

export interface ExposeOptions {
  readonly type: EntrypointClass;
  readonly events: Events;
  readonly report: Reporter;
  /** How many connections there may be at a time; where somebody else counts them, that is for him to say. */
  readonly connections?: number | undefined;
}

/** What tells of the other side, and might fill a log: it was refused, or it went away. */
const THEIRS: ReadonlySet<string> = new Set(["http-refused", "connection-lost"]);

/**
 * Serves an entry point, and nothing else of the module: what its methods give is what Workers reach.
 *
 * @param where an address, or a server that connections are handed to. @throws RpcError listen-failed (as a rejection).
 */
export function exposeEntrypoint(
  where: string | net.Server,
  { type, events, report, connections = Infinity }: ExposeOptions,
): Promise<Listener> {
  // What is called finds what surrounds it, as a request does.
  const scheduler = drainedScheduler();
  scheduler.entry = { admit: (call) => runIn(events.ambient, () => call.enter()) };
  return serveWorkerd(where, {
    scheduler,
    entrypoint: () => events.begin(type),
    maxConnections: connections,
    onError(error) {
      if (!THEIRS.has(error.code)) report(error.cause ?? error, `${type.name}, called by workerd`);
    },
  });
}
