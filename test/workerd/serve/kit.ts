// Role: a workerd whose Worker calls an entry point of this process, and a stub of that Worker.
// State: both processes' ends. Must not know: what is called.

import { expect } from "vitest";
import type { RpcStub } from "../../../src/node.js";
import type { ConnectionStats } from "../../../src/rpc/audit.js";
import {
  connectWorkerd,
  type Listener,
  serveWorkerd,
  type ServeWorkerdOptions,
  type Workerd,
} from "../../../src/workerd.node.js";
import { SLOWLY, type StartedWorkerd, startCaller } from "../bridge/start.js";
import type { Caller } from "./api.js";

export class Visited {
  readonly listener: Listener;
  readonly started: StartedWorkerd;
  readonly workerd: Workerd;
  readonly caller: RpcStub<Caller>;

  private constructor(listener: Listener, started: StartedWorkerd, workerd: Workerd) {
    this.listener = listener;
    this.started = started;
    this.workerd = workerd;
    this.caller = workerd.getEntrypoint("main", "Caller");
  }

  /** @param where an address to listen at; by default any port. */
  static async begin(options: ServeWorkerdOptions, where = "tcp://:0"): Promise<Visited> {
    const visited = await Visited.joining(await serveWorkerd(where, options));
    // A Worker whose first calls come together opens a connection for each.
    await visited.caller.fails(["warmUp"]);
    return visited;
  }

  /** The same where somebody listens already, who is not closed by anybody else. No call was made. */
  static async joining(listener: Listener): Promise<Visited> {
    const started = await startCaller(listener.url.replace("tcp://", ""));
    return new Visited(listener, started, await connectWorkerd(started.url));
  }

  /** What the tables of the connections hold of which calls are made. */
  stats(): Pick<ConnectionStats, "questions" | "answers" | "imports" | "exports">[] {
    return [...this.listener.sessions].map(({ connection }) => {
      const { questions, answers, imports, exports } = connection.stats();
      return { questions, answers, imports, exports };
    });
  }

  /** Each connection has the bootstrap object, and nothing else. */
  async quiet(): Promise<void> {
    const none = { questions: 0, answers: 0, imports: 0, exports: 1 };
    await expect
      .poll(() => this.stats(), SLOWLY)
      .toEqual([...this.listener.sessions].map(() => none));
  }

  async end(): Promise<void> {
    this.caller[Symbol.dispose]();
    await this.workerd.close();
    await this.started.stop();
    await this.listener.close();
  }
}
