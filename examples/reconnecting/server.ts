// A clock that others subscribe to, at the address given as the first argument. SIGTERM lets calls under way end.

import { fileURLToPath } from "node:url";
import { listen, type RpcStub, RpcTarget, serve } from "capstan/node";

export class Clock extends RpcTarget {
  readonly #listeners = new Set<RpcStub<(tick: string) => void>>();

  processId(): number {
    return process.pid;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  // What is lent is kept by a dup, until its connection is lost.
  subscribe(listener: RpcStub<(tick: string) => void>): void {
    const kept = listener.dup();
    this.#listeners.add(kept);
    kept.onRpcBroken(() => {
      this.#listeners.delete(kept);
      kept[Symbol.dispose]();
    });
  }

  tick(): void {
    for (const listener of this.#listeners)
      listener(`a tick of process ${process.pid}`).catch(() => {});
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const clock = new Clock();
  const listener = await listen(process.argv[2] ?? "unix:clock.sock", { bootstrap: serve(clock) });
  const timer = setInterval(() => clock.tick(), 20);
  console.log(`listening on ${listener.url}`);
  process.on("SIGTERM", () => {
    clearInterval(timer);
    void listener.drain(5000).then(() => process.exit(0));
  });
  // Whoever started this ends it: also by going away.
  process.stdin.on("end", () => process.exit(0)).resume();
}
