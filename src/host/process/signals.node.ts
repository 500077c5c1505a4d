// Role: what signals mean to a host that is a program of its own. State: none but the listeners. Must not know: how a host ends.

import type { HostServer } from "./supervisor.node.js";

/**
 * Has this process do what is expected of a service: SIGTERM and SIGINT end the host gently, and then the process with exit code 0;
 * a second one cuts off what still runs. SIGHUP has the program loaded anew.
 *
 * @param failed told when a new version is refused: the old one goes on.
 * @example obeySignals(await startHost(options), (error) => console.error(error.message));
 */
export function obeySignals(host: HostServer<object>, failed: (error: unknown) => void): void {
  let ending = false;
  const end = (): void => {
    if (ending) process.exit(1);
    ending = true;
    host.drain().then(
      () => process.exit(0),
      (error: unknown) => {
        failed(error);
        process.exit(1);
      },
    );
  };
  process.on("SIGTERM", end);
  process.on("SIGINT", end);
  process.on("SIGHUP", () => void host.reload().catch(failed));
}
