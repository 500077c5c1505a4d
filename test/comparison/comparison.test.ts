// The first two tables of docs/guide/comparison.md are true: what they say of each value and rule is what each system does.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import path from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { memoryPair, RpcStub, RpcTarget, serve, Session } from "../../src/index.js";
import { capnWebServer, cellsOf, loadCapnWeb } from "./kit.js";
import { answers, apiOf, fates } from "./probes.js";

interface Found {
  readonly values: Record<string, string>;
  readonly rules: Record<string, string>;
}

/** What there is to ask: a stub whose `api()` gives an object to ask. */
interface Asked {
  api(): PromiseLike<{ echo(value: unknown): PromiseLike<unknown> }>;
}

async function ask(main: Asked): Promise<Found> {
  const api = await main.api();
  return {
    values: await fates((value) => api.echo(value)),
    rules: await answers(() => main.api()),
  };
}

/** The cells of the table under `heading`: per row and system, its first word. */
const table = (heading: string): Map<string, readonly string[]> =>
  new Map([...cellsOf(heading)].map(([name, row]) => [name, row.map((c) => /\w+/.exec(c)![0])]));

const column = (rows: Map<string, readonly string[]>, at: number): Record<string, string> =>
  Object.fromEntries([...rows].map(([name, cells]) => [name, cells[at]!]));

function expectColumn(found: Found, at: number): void {
  expect(found.values).toEqual(column(table("Values"), at));
  expect(found.rules).toEqual(column(table("Rules"), at));
}

describe("the comparison with other systems", () => {
  it("is true of Capstan", async () => {
    const Api = apiOf(RpcTarget);
    class Main extends RpcTarget {
      api(): object {
        return new Api();
      }
    }
    const [near, far] = memoryPair();
    const server = new Session(far, { bootstrap: () => serve(new Main()) });
    const client = new Session(near);
    using main = client.bootstrap(RpcStub<Main>);
    expectColumn(await ask(main as unknown as Asked), 2);
    await client.close();
    await server.closed;
  });

  it("is true of Cap'n Web", async () => {
    const capnweb = await loadCapnWeb();
    const Api = apiOf(capnweb.RpcTarget);
    class Main extends capnweb.RpcTarget {
      api(): object {
        return new Api();
      }
    }
    await using served = await capnWebServer(capnweb, () => new Main());
    const main = await served.connect();
    expectColumn(await ask(main as unknown as Asked), 1);
  });

  describe("with Workers RPC", () => {
    let stop: () => Promise<void>;
    let url: string;

    beforeAll(async () => {
      const machine = process.arch === "x64" ? "64" : process.arch;
      const require = createRequire(createRequire(import.meta.url).resolve("workerd/package.json"));
      const manifest = require.resolve(
        `@cloudflare/workerd-${process.platform}-${machine}/package.json`,
      );
      const config = path.join(import.meta.dirname, "workerd.capnp");
      const child = spawn(
        path.join(path.dirname(manifest), "bin/workerd"),
        ["serve", config, "--control-fd=3"],
        { stdio: ["ignore", "ignore", "ignore", "pipe"] },
      );
      const ended = once(child, "close");
      stop = async () => {
        child.kill("SIGTERM");
        await ended;
      };
      const [line] = (await once(child.stdio[3] as Readable, "data")) as [Buffer];
      const { port } = JSON.parse(line.toString()) as { port: number };
      url = `http://127.0.0.1:${port}`;
    });

    afterAll(() => stop());

    it("is true", async () => {
      const response = await fetch(url);
      expectColumn((await response.json()) as Found, 0);
    });
  });
});
