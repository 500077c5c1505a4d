// The matrix in docs/workerd.md: what becomes of each value, found by sending it, in both roles and both ways.
//
//   CAPSTAN_WRITE_MATRIX=1 npx vitest run test/workerd/matrix.test.ts    writes the page

import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RpcError, type RpcPromise, RpcStub, RpcTarget } from "../../src/node.js";
import {
  connectWorkerd,
  type Listener,
  serveWorkerd,
  type Workerd,
} from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import type { Guest as GuestApi, Room } from "./bridge/api.js";
import {
  SLOWLY,
  type Started,
  type StartedWorkerd,
  startBridge,
  startWith,
} from "./bridge/start.js";
import { MAKERS, told } from "./matrix/values.js";
import type { Caught } from "./serve/api.js";
import { Visited } from "./serve/kit.js";
import { Lobby } from "./serve/lobby.js";

const PAGE = path.join(import.meta.dirname, "../../docs/workerd.md");
const [VALUES, FEATURES] = ["values", "features"];
/** Longer ones would be most of a line. */
const MOST_WORDS = 160;

type Outcome = { readonly told: string } | { readonly refused: string };

interface Values extends RpcTarget {
  tell(name: string, value: unknown): string;
  make(name: string): unknown;
  doubler(): Doubler;
  five(): number;
  argument(name: string): Outcome;
  result(name: string): Outcome;
}

class Doubler extends RpcTarget {
  double(n: number): number {
    return 2 * n;
  }
}

/** A value of this side, where a call on `them` is to be in it. */
function made(name: string, them: () => RpcStub<Values>): unknown {
  return MAKERS[name]!({
    target: () => new Doubler(),
    stub: () => new RpcStub(new Doubler()),
    promise: () => them().five(),
  });
}

/** What the Worker calls. */
class Ours extends RpcTarget {
  readonly #them: () => RpcStub<Values>;

  constructor(them: () => RpcStub<Values>) {
    super();
    this.#them = them;
  }
  tell(_name: string, value: unknown): Promise<string> {
    return told(value);
  }
  make(name: string): unknown {
    return made(name, this.#them);
  }
  doubler(): Doubler {
    return new Doubler();
  }
  five(): number {
    return 5;
  }
}

/** Compares a table with that of the page, or writes it there. */
function pageSays(name: string, rows: readonly string[]): void {
  const begin = `<!-- matrix of ${name}: written by test/workerd/matrix.test.ts -->\n`;
  const end = `<!-- end of ${name} -->`;
  const page = fs.readFileSync(PAGE, "utf8");
  const [head, rest = ""] = page.split(begin);
  const [old, tail] = rest.split(end);
  const table = `\n${rows.join("\n")}\n\n`;
  if (process.env["CAPSTAN_WRITE_MATRIX"] === "1")
    fs.writeFileSync(PAGE, `${head}${begin}${table}${end}${tail}`);
  else expect(old).toBe(table);
}

async function outcome(run: () => PromiseLike<string>): Promise<Outcome> {
  try {
    return { told: await run() };
  } catch (error) {
    return { refused: RpcError.is(error) ? `${error.code}: ${error.message}` : String(error) };
  }
}

function cell(found: Outcome, expected: string): string {
  if ("told" in found) return found.told === expected ? "works" : `arrives as ${code(found.told)}`;
  return `refused: ${code(found.refused)}`;
}

function code(words: string): string {
  const line = words
    .replace(/reference = \w+/, "reference = ...")
    .replaceAll(/\s+/g, " ")
    .replaceAll("`", "'")
    .replaceAll("|", "\\|");
  return `\`${line.length > MOST_WORDS ? `${line.slice(0, MOST_WORDS)}...` : line}\``;
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("the matrix", () => {
  const before = resources();
  let listener: Listener;
  let started: StartedWorkerd;
  let workerd: Workerd;
  let them: RpcStub<Values>;

  beforeAll(async () => {
    listener = await serveWorkerd("tcp://:0", { entrypoint: new Ours(() => them) });
    const config = path.join(import.meta.dirname, "matrix/config.capnp");
    started = await startWith(config, { remote: listener.url.replace("tcp://", "") });
    workerd = await connectWorkerd(started.url);
    them = workerd.getEntrypoint("main", "Values");
  });
  afterAll(async () => {
    them[Symbol.dispose]();
    await workerd.close();
    await started.stop();
    await listener.close();
    await expectNoResidue(before);
  });

  it("of values is what the page says", { timeout: 120_000 }, async () => {
    const rows = [
      "| Value | We call: argument | We call: result | They call: argument | They call: result |",
      "|---|---|---|---|---|",
    ];
    for (const name of Object.keys(MAKERS)) {
      const expected = await expectedOf(name);
      const cells = [
        isTheirsAlone(name)
          ? "-"
          : cell(
              await outcome(() =>
                them.tell(
                  name,
                  made(name, () => them),
                ),
              ),
              expected,
            ),
        cell(await outcome(async () => told(await them.make(name))), expected),
        cell(await them.argument(name), expected),
        isTheirsAlone(name) ? "-" : cell(await them.result(name), expected),
      ];
      rows.push(`| ${[name, ...cells].join(" | ")} |`);
    }
    pageSays(VALUES, rows);
  });
});

/** Fails with what the other side says when the feature is not there. */
type Feature = (() => Promise<void>) | null;

class Guest extends RpcTarget implements GuestApi {
  get name(): string {
    return "Ann";
  }
  greet(whom: string): string {
    return `Ann greets ${whom}`;
  }
  friend(): Guest {
    return new Guest();
  }
}

/** @throws Error with the words of what a Worker has caught. */
function thrown(caught: unknown): void {
  if (caught === null) return;
  const { name, message } = caught as Caught;
  throw new Error(`${name}: ${message}`);
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("the matrix", () => {
  const before = resources();
  const lobby = new Lobby();
  let visited: Visited;
  let started: Started;
  let workerd: Workerd;
  let room: RpcStub<Room>;

  beforeAll(async () => {
    // With another name, `connect()` to it is refused: by default all that says CONNECT is taken for Cap'n Proto.
    visited = await Visited.begin({ entrypoint: lobby, hosts: ["rpc.test", "any.name"] });
    started = await startBridge();
    workerd = await connectWorkerd(started.url);
    room = workerd.getObject("main", "Room", "ef".repeat(32));
  });
  afterAll(async () => {
    room[Symbol.dispose]();
    await workerd.close();
    await started.stop();
    await visited.end();
    await expectNoResidue(before);
  });

  const features = (): [string, Feature, Feature][] => {
    const { caller, listener } = visited;
    return [
      [
        "methods and properties",
        async () => {
          using counter = await room.counter(1);
          expect([await room.add(1, 2), await counter.count]).toEqual([3, 1]);
        },
        async () => {
          expect([await caller.call(["add"], 1, 2), await caller.get(["title"])]).toEqual([
            3,
            "the lobby",
          ]);
        },
      ],
      [
        "calls on results that are not there yet, in one flight",
        async () => {
          await room.add(1, 2);
          await expect.poll(() => workerd.stats().imports, SLOWLY).toBe(2);
          const { writes } = workerd.session;
          using parts = room.parts();
          expect(await parts.inner.counter.add(1)).toBe(6);
          expect(workerd.session.writes).toBe(writes + 1);
        },
        async () => {
          await visited.quiet();
          const [session] = listener.sessions;
          const { writes } = session!;
          expect(await caller.pipelined()).toBe("lobby: hi");
          expect(session!.writes).toBe(writes + 1);
        },
      ],
      [
        "functions and objects that are called back",
        async () => {
          expect(await room.callBack((a: number, b: number) => a * b, 6, 7)).toBe(42);
          expect(await room.visit(new Guest())).toHaveLength(3);
        },
        async () => {
          expect(await caller.guests()).toEqual(["Ann", "Bo greets you", 42]);
        },
      ],
      [
        "callbacks that are kept, by `dup()`",
        async () => {
          await room.keep((n: number) => n + 1);
          expect(await room.callKept(1)).toBe(2);
          await room.dropKept();
        },
        async () => {
          await caller.subscribe();
          expect(await lobby.seen.listener()("kept")).toBe(1);
          lobby.seen.dropListener();
        },
      ],
      [
        "stubs that are kept by a durable object, across requests",
        null,
        async () => {
          await caller.keep("lobby");
          expect(await caller.useKept("later")).toBe("lobby: later");
          await caller.dropKept();
        },
      ],
      [
        "stubs of objects in other vats",
        async () => {
          using guest = new RpcStub(new Guest());
          expect(await room.visit(guest)).toHaveLength(3);
        },
        async () => {
          expect(await caller.callsStub()).toBe("of a stub: hi");
        },
      ],
      [
        "disposers of objects and results",
        async () => {
          const noted = await room.disposals();
          (await room.counter())[Symbol.dispose]();
          ((await room.disposable()) as Disposable)[Symbol.dispose]();
          await expect.poll(() => room.disposals(), SLOWLY).toBe(noted + 2);
        },
        async () => {
          lobby.seen.disposed.length = 0;
          await caller.disposes();
          await expect.poll(() => lobby.seen.disposed.length, SLOWLY).toBe(3);
        },
      ],
      [
        "promises of calls as arguments",
        async () => {
          using counter = room.counter(1);
          await room.echo(counter);
        },
        async () => thrown(await caller.passesPromise()),
      ],
      [
        "`map`",
        async () => {
          using list = room.echo([1, 2]) as unknown as RpcPromise<number[]>;
          await list.map((n) => n);
        },
        async () => thrown(await caller.maps()),
      ],
      [
        "what was thrown: class, properties, `cause`; also what is no error",
        async () => {
          await expect(Promise.resolve(room.fails("own"))).rejects.toMatchObject({
            cause: { name: "Refused", code: "E_REFUSED" },
          });
          await expect(Promise.resolve(room.fails("object"))).rejects.toMatchObject({
            cause: { no: "error" },
          });
        },
        async () => {
          expect(await caller.fails(["fails"], "own")).toMatchObject({
            name: "Refused",
            code: "E_REFUSED",
          });
          expect(await caller.fails(["fails"], "object")).toEqual({ value: { no: "error" } });
        },
      ],
      [
        "a call that is given up is canceled",
        async () => {
          using call = room.never();
          call[Symbol.dispose]();
          await expect.poll(() => workerd.stats().questions, SLOWLY).toBe(0);
        },
        null,
      ],
      [
        "streams, with backpressure",
        async () => {
          expect(await room.size((await room.stream(100_000)) as ReadableStream)).toBe(100_000);
        },
        async () => {
          expect(await caller.readSlowly(10_000_000, 1000)).toBeLessThan(1_000_000);
          expect(await caller.sendStream(100_000)).toBe(100_000);
          expect(await caller.writeIntoTheirs(100_000, 1000)).toBe(100_000);
        },
      ],
      [
        "streams that are passed on go the shorter way, by `getSubstream`",
        async () => {
          const back = await room.echoStream(new Blob(["x".repeat(100_000)]).stream());
          expect((await new Response(back).arrayBuffer()).byteLength).toBe(100_000);
        },
        async () => {
          expect(await caller.pipe(100_000)).toBe(100_000);
        },
      ],
      [
        "`fetch`, with bodies as streams",
        async () => {
          const answer = await room.fetch("http://any.name/", { method: "POST", body: "a body" });
          expect(await answer.text()).toBe("a body");
        },
        async () => {
          expect(await caller.upload(100_000)).toBe(100_000);
        },
      ],
      [
        "WebSockets",
        async () => {
          const { webSocket } = await room.fetch("http://any.name/", {
            headers: { upgrade: "websocket" },
          });
          webSocket!.accept();
          const message = new Promise((resolve) => {
            webSocket!.addEventListener("message", ({ data }) => resolve(data));
          });
          webSocket!.send("hi");
          expect(await message).toBe("got hi");
          webSocket!.close(1000);
        },
        async () => {
          expect(await caller.socket()).toEqual(["got hi", "3 bytes", 1000, "done"]);
        },
      ],
      ["`connect()`", null, async () => thrown(await caller.connects())],
    ];
  };

  it("of features is what the page says", { timeout: 120_000 }, async () => {
    const rows = ["| Feature | We call | They call |", "|---|---|---|"];
    const told = async (feature: Feature): Promise<string> => {
      if (feature === null) return "-";
      try {
        await feature();
        return "works";
      } catch (error) {
        // It is there, and something is wrong with it.
        if ((error as Error).name === "AssertionError") throw error;
        return `refused: ${code(RpcError.is(error) ? `${error.code}: ${error.message}` : (error as Error).message)}`;
      }
    };
    for (const [name, ours, theirs] of features())
      rows.push(`| ${name} | ${await told(ours)} | ${await told(theirs)} |`);
    pageSays(FEATURES, rows);
  });
});

const isTheirsAlone = (name: string): boolean => name.startsWith("stubs of services");

/** What is told of a value that has gone nowhere. */
async function expectedOf(name: string): Promise<string> {
  // As a result it is awaited.
  if (name === "promises of calls") return "5";
  if (name === "promises") return "1";
  if (isTheirsAlone(name)) return "an object: 8";
  return await told(made(name, () => undefined as never)).catch(() => "");
}
