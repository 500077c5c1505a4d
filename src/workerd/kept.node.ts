// Role: connections to a workerd that are made again after it was away, and what is reached by them.
// State: that of each connection, in what is returned. Must not know: stubs, who calls.

import type { Hook } from "../hook/hook.js";
import { connect, nodeSession } from "../vat/connect.node.js";
import { type Reconnecting, reconnecting } from "../vat/reconnecting.js";
import { connectThrough } from "./connect-host.node.js";
import { askActor, askEntrypoint } from "./protocol.js";
import { ObjectWay } from "./way.js";

/**
 * Connects for the first call. While workerd is away calls wait: it may be about to be there again. Then they fail as
 * `connect-failed`, `not-sent`, and the next one begins anew.
 */
const PATIENT = { lazy: true, minDelay: 20, maxDelay: 500, maxAttempts: Infinity } as const;
/** So long they wait, in milliseconds. */
export const REACH_TIME = 5000;

/** What the three below keep: whoever has it closes it. */
export type KeptWorkerd = Reconnecting;

/** A debug port. @param url `unix:/path` or `tcp://host:port`. @param maxTime milliseconds that calls wait for it. */
export function keepDebugPort(url: string, maxTime: number): KeptWorkerd {
  return reconnecting(({ signal }) => connect(url, { signal }), { ...PATIENT, maxTime });
}

/**
 * An entry point, by a debug port: what `bootstrap` gives is a WorkerBootstrap whose calls are events of their own, each by the
 * connection of its moment.
 *
 * @param name of the class; null for the default export. @param propsJson null for none.
 */
export function keepEntrypoint(
  url: string,
  service: string,
  name: string | null,
  propsJson: string | null,
  maxTime: number,
): KeptWorkerd {
  return reconnecting(({ signal }) => connect(url, { signal }), {
    ...PATIENT,
    maxTime,
    open(session): Hook {
      const port = session.bootstrap();
      const worker = askEntrypoint(port, service, name, propsJson);
      port.release();
      return worker;
    },
  });
}

/** The same of the entry point that a socket serves. @param host its capnpConnectHost, to the letter. */
export function keepSocket(url: string, host: string, maxTime: number): KeptWorkerd {
  return reconnecting(
    async ({ signal }) => nodeSession(await connectThrough(url, host, { signal }), {}),
    { ...PATIENT, maxTime },
  );
}

/** A new WorkerBootstrap of a durable object. @param port a debug port. @param id 64 hexadecimal digits. */
export function reachObject(
  port: KeptWorkerd,
  service: string,
  className: string,
  id: string,
): ObjectWay {
  const root = port.bootstrap();
  const way = new ObjectWay(root.scheduler, () => {
    const hook = port.bootstrap();
    const actor = askActor(hook, service, className, id);
    hook.release();
    return actor;
  });
  root.release();
  return way;
}
