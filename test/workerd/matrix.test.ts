// The matrix in docs/workerd.md: what becomes of each value, found by sending it, in both roles and both ways.
//
//   CAPSTAN_WRITE_MATRIX=1 npx vitest run test/workerd/matrix.test.ts    writes the page

import fs from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RpcError, RpcStub, RpcTarget } from "../../src/node.js";
import {
  connectWorkerd,
  type Listener,
  serveWorkerd,
  type Workerd,
} from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { type StartedWorkerd, startWith } from "./bridge/start.js";
import { MAKERS, told } from "./matrix/values.js";

const PAGE = path.join(import.meta.dirname, "../../docs/workerd.md");
const [BEGIN, END] = [
  "<!-- matrix: written by test/workerd/matrix.test.ts -->",
  "<!-- end of matrix -->",
];
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
    const page = fs.readFileSync(PAGE, "utf8");
    const [head, rest = ""] = page.split(`${BEGIN}\n`);
    const [old, tail] = rest.split(END);
    const table = `\n${rows.join("\n")}\n\n`;
    if (process.env["CAPSTAN_WRITE_MATRIX"] === "1")
      fs.writeFileSync(PAGE, `${head}${BEGIN}\n${table}${END}${tail}`);
    else expect(old).toBe(table);
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
