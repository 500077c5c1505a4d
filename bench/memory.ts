// What lives cost: bytes of heap for each of 100,000 capabilities held over one connection, on either side, and heap and
// external memory for each of 1000 idle connections. The server is a process of its own, asked over IPC.

import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connect, listen, type Session } from "capstan/node";
import { serve } from "capstan/typed";
import { Bench, Sink } from "./generated/bench.capnp.js";

const CAPABILITIES = 100_000;
const AT_ONCE = 1000;
const CONNECTIONS = 1000;

interface Usage {
  heap: number;
  all: number;
}

/** Memory in use after collection. */
async function usage(): Promise<Usage> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc!();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external } = process.memoryUsage();
  return { heap: heapUsed, all: heapUsed + external };
}

const sink: Sink.Server = { write() {}, done: () => ({ bytes: 0n }) };

async function server(path: string): Promise<void> {
  const bench: Bench = serve(Bench, {
    add: ({ a, b }) => ({ sum: a + b }),
    next: () => ({ next: bench.dup() }),
    openSink: () => ({ sink: serve(Sink, sink) }),
    usage: () => ({ cpuMicroseconds: 0n }),
  });
  await listen(`unix:${path}`, { bootstrap: bench });
  process.on("message", () => void usage().then((now) => process.send!(now)));
  process.on("disconnect", () => process.exit(0));
  process.send!("listening");
}

/** Bytes a unit, by the rows of in-process.js. */
export async function memory(): Promise<{
  importing: number;
  exporting: number;
  connection: number;
}> {
  const folder = mkdtempSync(join(tmpdir(), "capstan-memory-"));
  const path = join(folder, "s");
  const child = fork(fileURLToPath(import.meta.url), ["server", path], {
    execArgv: ["--expose-gc"],
  });
  const ask = async (): Promise<Usage> => {
    child.send("usage");
    const [now] = (await once(child, "message")) as [Usage];
    return now;
  };
  try {
    await once(child, "message");
    const session = await connect(`unix:${path}`);
    const root = session.bootstrap(Bench);
    const hold = async (count: number): Promise<Sink[]> => {
      const held: Sink[] = [];
      while (held.length < count)
        held.push(
          ...(await Promise.all(
            Array.from({ length: AT_ONCE }, async () => {
              using results = await root.openSink();
              return results.sink.dup();
            }),
          )),
        );
      return held;
    };
    for (const one of await hold(CAPABILITIES / 10)) one[Symbol.dispose]();
    const before = await usage();
    const serverBefore = await ask();
    const held = await hold(CAPABILITIES);
    const after = await usage();
    const serverAfter = await ask();
    const importing = (after.heap - before.heap) / held.length;
    const exporting = (serverAfter.heap - serverBefore.heap) / held.length;
    for (const one of held) one[Symbol.dispose]();
    root[Symbol.dispose]();
    await session.close();

    const idleBefore = await usage();
    const serverIdleBefore = await ask();
    const sessions: Session[] = [];
    for (let i = 0; i < CONNECTIONS; i++) {
      const one = await connect(`unix:${path}`);
      using remote = one.bootstrap(Bench);
      using results = await remote.add({ a: 1, b: 2 });
      if (results.sum !== 3) throw new Error("1 + 2");
      sessions.push(one);
    }
    const idleAfter = await usage();
    const serverIdleAfter = await ask();
    const connection = Math.max(
      (idleAfter.all - idleBefore.all) / CONNECTIONS,
      (serverIdleAfter.all - serverIdleBefore.all) / CONNECTIONS,
    );
    await Promise.all(sessions.map((one) => one.close()));
    return { importing, exporting, connection };
  } finally {
    child.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

if (process.argv[2] === "server") await server(process.argv[3]!);
