// The third table of docs/guide/comparison.md: each row is asked of Capstan and, where that can be asked, of Cap'n Web.

import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { BUDGET, browserBundle, bundle, gzipped } from "../../scripts/bundle.js";
import {
  callContext,
  connect,
  connectProgram,
  DEFAULT_LIMITS,
  leaks,
  listen,
  memoryPair,
  type MessagePortLike,
  MessagePortTransport,
  RpcError,
  RpcStub,
  RpcTarget,
  serve,
  Session,
  type StandardSchema,
  validateMethods,
  watchStubs,
} from "../../src/node.js";
import { decodeValue } from "../../src/cap/dynamic/values/index.js";
import { readRequest } from "../../src/cap/dynamic/protocol.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { gc } from "../hostile/memory.js";
import { failure } from "../dynamic/kit.js";
import { capnWebServer, cellsOf, loadCapnWeb } from "./kit.js";

const root = path.join(import.meta.dirname, "../..");
const capnweb = await loadCapnWeb();
const CELLS = cellsOf("What else differs");
const checked = new Set<string>();
afterAll(() => expect([...checked].sort()).toEqual([...CELLS.keys()].sort()));

/** What the table says of a system. */
function cell(row: string, system: "Cap'n Web" | "Capstan"): string {
  const cells = CELLS.get(row);
  if (cells === undefined) return expect.fail(`there is no row "${row}"`);
  return cells[system === "Capstan" ? 2 : 1]!;
}

/** Checks of one row. */
function row(name: string, checks: () => void): void {
  checked.add(name);
  describe(name, () => {
    checks();
  });
}

/** What is asked of both: classes that stand on the base class of either. */
function apiOf(Base: new () => RpcTarget) {
  class Item extends Base {
    readonly owner: Api;
    constructor(owner: Api) {
      super();
      this.owner = owner;
    }
    one(): number {
      return 1;
    }
    [Symbol.dispose](): void {
      this.owner.disposed++;
    }
  }
  class Api extends Base {
    disposed = 0;
    kept: unknown = null;
    release: () => void = () => {};
    item(): Item {
      return new Item(this);
    }
    echo(value: unknown): unknown {
      return value;
    }
    /** Gives back a stub that came, later: until then it is a promise. */
    async later(stub: { dup(): unknown }): Promise<unknown> {
      const kept = stub.dup();
      await new Promise<void>((resolve) => (this.release = resolve));
      return kept;
    }
    go(): void {
      this.release();
    }
    wait(): Promise<void> {
      return new Promise((resolve) => (this.release = resolve));
    }
    /** Calls back; ends when it is called back, or told to. */
    async callBack(callback: (text: string) => Promise<string>): Promise<string> {
      const released = new Promise<string>((resolve) => (this.release = () => resolve("told to")));
      this.kept = "called";
      return Promise.race([callback("hello"), released]);
    }
  }
  return Api;
}
const Ours = apiOf(RpcTarget);
const Theirs = apiOf(capnweb.RpcTarget as new () => RpcTarget);
type Api = InstanceType<typeof Ours>;
/** A stub of either system. */
type Stub = RpcStub<Api>;

/** A server and a client of Capstan, in memory. */
async function ours(
  use: (api: Stub, target: Api, client: Session) => Promise<void>,
): Promise<void> {
  const target = new Ours();
  const [near, far] = memoryPair();
  const server = new Session(far, { bootstrap: () => serve(target) });
  const client = new Session(near);
  const api = client.bootstrap(RpcStub<Api>);
  try {
    await use(api, target, client);
  } finally {
    api[Symbol.dispose]();
    await client.close();
    await server.closed;
  }
}

/** The same of Cap'n Web. @param heard is told what the client sends. */
async function theirs(
  use: (api: Stub, target: Api, cut: () => void) => Promise<void>,
  heard?: (text: string) => void,
): Promise<void> {
  const target = new Theirs();
  await using server = await capnWebServer(capnweb, () => target);
  const api = (await server.connect(heard)) as unknown as Stub;
  await use(api, target as unknown as Api, server.cut);
}

/** Lets what is on its way over loopback arrive. */
async function rest(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setTimeout(resolve, 2));
}

row("On the wire", () => {
  it("Capstan: Cap'n Proto, values of MessagePack", async () => {
    expect(cell("On the wire", "Capstan")).toMatch(/^Cap'n Proto with \[values of MessagePack\]/);
    const [near, far] = memoryPair();
    const calls: unknown[] = [];
    const { write } = near;
    near.write = function (this: typeof near, ...args: Parameters<typeof write>) {
      const frame = new Frame();
      const reader = new MessageReader(DEFAULT_LIMITS);
      for (const parts of args[0].messages()) {
        parseFrame(Uint8Array.from(Buffer.concat(parts)), frame, DEFAULT_LIMITS);
        reader.read(frame);
        if (reader.tag !== MessageTag.call) continue;
        const { args: span, path: steps } = readRequest(reader.takeContent());
        const { bytes, from, to } = span!;
        const packed = bytes.slice(from, to);
        calls.push([...steps], decodeValue(packed, NO_REFERENCES));
        // An array of one text, as any reader of MessagePack has it.
        expect(packed).toEqual(Uint8Array.of(0x91, 0xa2, 0x68, 0x69));
      }
      return write.apply(this, args);
    };
    const server = new Session(far, { bootstrap: () => serve(new Ours()) });
    const client = new Session(near);
    using api = client.bootstrap(RpcStub<Api>);
    expect(await api.echo("hi")).toBe("hi");
    expect(calls).toEqual([["echo"], ["hi"]]);
    await client.close();
    await server.closed;
  });

  it("Cap'n Web: JSON", async () => {
    expect(cell("On the wire", "Cap'n Web")).toBe("JSON of its own");
    const texts: string[] = [];
    await theirs(
      async (api) => {
        expect(await api.echo("hi")).toBe("hi");
      },
      (text) => texts.push(text),
    );
    expect(texts.length).toBeGreaterThan(0);
    for (const text of texts) expect(() => JSON.parse(text) as unknown).not.toThrow();
    expect(texts.join()).toContain('"hi"');
  });
});

const NO_REFERENCES = {
  revive: (): never => expect.fail("there are no references"),
};

row("Runs in", () => {
  it("is shown by test/runtimes, in each of them; here, that the bundle asks nothing of Node", async () => {
    expect(cell("Runs in", "Capstan")).toMatch(/^any JavaScript/);
    const { imports, modules } = await browserBundle(root);
    expect(imports).toEqual([]);
    expect(modules.filter((name) => name.includes(".node."))).toEqual([]);
  });
});

row("Carriers", () => {
  const said = cell("Carriers", "Capstan");
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
  afterAll(() => fs.rmSync(folder, { recursive: true }));
  const addresses = {
    TCP: "tcp://127.0.0.1:0",
    "Unix sockets": `unix:${path.join(folder, "api.sock")}`,
    WebSocket: "ws://127.0.0.1:0",
    "HTTP batch": "http://127.0.0.1:0",
  };
  for (const [name, url] of Object.entries(addresses))
    it(`Capstan: ${name}`, async () => {
      expect(said).toContain(name);
      await using listener = await listen(url, { bootstrap: () => serve(new Ours()) });
      await using session = await connect(listener.url);
      using api = session.bootstrap(RpcStub<Api>);
      expect(await api.echo(1)).toBe(1);
    });

  it("Capstan: MessagePort, standard input and output", async () => {
    expect(said).toContain("MessagePort");
    const { port1, port2 } = new MessageChannel();
    const server = new Session(new MessagePortTransport("one", port1 as MessagePortLike), {
      bootstrap: () => serve(new Ours()),
    });
    const client = new Session(new MessagePortTransport("two", port2 as MessagePortLike));
    using api = client.bootstrap(RpcStub<Api>);
    expect(await api.echo(1)).toBe(1);
    await client.close();
    await server.closed;
    expect(said).toContain("standard input and output");
    const program = `
      import { nodeSession, RpcTarget, serve, stdioTransport } from "capstan/node";
      class Api extends RpcTarget { echo(value) { return value; } }
      await nodeSession(stdioTransport(), { bootstrap: serve(new Api()) }).closed;`;
    const args = ["--input-type=module", "-e", program];
    const session = await connectProgram(process.execPath, args, { cwd: root });
    using other = session.bootstrap(RpcStub<Api>);
    expect(await other.echo(2)).toBe(2);
    await session.close();
  });

  it("Cap'n Web: what it exports", () => {
    const makers = Object.keys(capnweb).filter((name) => /^new\w+RpcSession$/.test(name));
    const kinds = makers.map((name) => name.slice(3, -"RpcSession".length)).sort();
    expect(kinds).toEqual(["HttpBatch", "MessagePort", "WebSocket"]);
    expect(cell("Carriers", "Cap'n Web")).toBe("WebSocket, MessagePort, HTTP batch");
  });
});

const ORDER = "Calls made before and after a promise resolves to an object of the caller's own";
row(ORDER, () => {
  // Where nothing is promised nothing can be asked; nor can a promise of one's own object be awaited in Cap'n Web 0.12.
  /** The order in which calls arrive that are made before and after the promise is known to be the caller's own. */
  async function order(api: Stub): Promise<number[]> {
    const log: number[] = [];
    class Mine extends RpcTarget {
      add(n: number): void {
        log.push(n);
      }
    }
    const promise = api.later(new Mine() as never) as unknown as RpcStub<Mine> &
      PromiseLike<RpcStub<Mine>>;
    const known = (async () => promise)();
    const going = api.go();
    const before = Array.from({ length: 20 }, (_, i) => promise.add(i));
    await going;
    const stub = await known;
    await Promise.all([...before, ...Array.from({ length: 20 }, (_, i) => stub.add(20 + i))]);
    return log;
  }

  it("Capstan: in the order they were made", async () => {
    expect(cell(ORDER, "Capstan")).toContain("in the order they were made, by embargo");
    await ours(async (api) => {
      const log = await order(api);
      expect(log).toEqual(Array.from({ length: 40 }, (_, i) => i));
    });
  });
});

row("Who ends what is lent and given", () => {
  const name = "Who ends what is lent and given";
  async function given(api: Stub, target: Api): Promise<void> {
    const item = await api.item();
    await rest();
    expect(target.disposed).toBe(0);
    expect(await item.one()).toBe(1);
    item[Symbol.dispose]();
    await rest();
    expect(target.disposed).toBe(1);
  }
  it("Capstan: what is given is the caller's; what is lent is in the second table", async () => {
    expect(cell(name, "Capstan")).toContain("params are lent, results are given");
    await ours((api, target) => given(api, target));
  });
  it("Cap'n Web: the same", async () => {
    expect(cell(name, "Cap'n Web")).toBe("params are lent, results are given");
    await theirs((api, target) => given(api, target));
  });
});

row("What is forgotten", () => {
  /** Forgets `count` results, and collects garbage. */
  async function forget(api: Stub, count: number): Promise<void> {
    for (let i = 0; i < count; i++) await (async () => void (await (await api.item()).one()))();
    for (let i = 0; i < 5; i++) {
      gc();
      await rest();
    }
  }
  it("Capstan: the garbage collector releases it, and leaks() lists it until then", async () => {
    expect(cell("What is forgotten", "Capstan")).toMatch(/garbage collector.*`leaks\(\)` lists it/);
    await ours(async (api, target) => {
      watchStubs();
      const item = await api.item();
      expect(leaks().length).toBeGreaterThan(0);
      item[Symbol.dispose]();
      watchStubs(false);
      const before = target.disposed;
      for (let i = 0; i < 10 && target.disposed < before + 3; i++) await forget(api, 5);
      expect(target.disposed).toBeGreaterThanOrEqual(before + 3);
    });
  });
  it("Cap'n Web: kept for as long as the session", async () => {
    expect(cell("What is forgotten", "Cap'n Web")).toBe("kept for as long as the session");
    await theirs(async (api, target, cut) => {
      await forget(api, 10);
      expect(target.disposed).toBe(0);
      cut();
      await rest();
      expect(target.disposed).toBe(10);
    });
  });
});

row("Giving a call up", () => {
  it("Capstan: by signal and by deadline, told to the callee", async () => {
    expect(cell("Giving a call up", "Capstan")).toMatch(
      /`signal` and `deadline`.*told to the callee/,
    );
    const told: unknown[] = [];
    class Slow extends RpcTarget {
      wait(): Promise<void> {
        const { signal } = callContext();
        return new Promise((_, reject) => {
          signal.addEventListener("abort", () => {
            told.push(signal.reason);
            reject(signal.reason as Error);
          });
        });
      }
    }
    const [near, far] = memoryPair();
    const server = new Session(far, { bootstrap: () => serve(new Slow()) });
    const client = new Session(near);
    using api = client.bootstrap(RpcStub<Slow>);
    const controller = new AbortController();
    const canceled = failure(api.with({ signal: controller.signal }).wait());
    await rest();
    controller.abort();
    expect(await canceled).toMatchObject({ code: "call-canceled" });
    const late = failure(api.with({ deadline: Date.now() + 20 }).wait());
    expect(await late).toMatchObject({ code: "deadline-exceeded" });
    await rest();
    expect(told).toHaveLength(2);
    await client.close();
    await server.closed;
  });
  it("Cap'n Web: a stub has no such option: it is a call of the object", async () => {
    expect(cell("Giving a call up", "Cap'n Web")).toBe("no");
    await theirs(async (api) => {
      const error = await failure(api.with({}) as unknown as PromiseLike<unknown>);
      expect(error.message).toMatch(/not a function|with/);
    });
  });
});

row("Was a failed call made?", () => {
  it("Capstan: `delivery`", async () => {
    expect(cell("Was a failed call made?", "Capstan")).toContain("`delivery`");
    await ours(async (api, _target, client) => {
      const underWay = failure(api.wait());
      await rest();
      client.transport.close(new RpcError("disconnected", "connection-lost", "cut"));
      expect((await underWay).delivery).toBe("unknown");
      expect((await failure(api.wait())).delivery).toBe("not-sent");
    });
  });
  it("Cap'n Web: nothing tells", async () => {
    expect(cell("Was a failed call made?", "Cap'n Web")).toBe("not told");
    await theirs(async (api, _target, cut) => {
      const underWay = failure(api.wait());
      await rest();
      cut();
      const [before, after] = [await underWay, await failure(api.wait())];
      expect(Object.entries(before)).toEqual(Object.entries(after));
      expect(before.message).toBe(after.message);
    });
  });
});

row("Checks of what arrives", () => {
  it("Capstan: limits, and schemas per method", async () => {
    const said = cell("Checks of what arrives", "Capstan");
    expect(said).toMatch(/limits on .*Standard Schemas per method/);
    expect(Object.keys(DEFAULT_LIMITS).length).toBeGreaterThan(20);
    class Strict extends RpcTarget {
      take(n: number): number {
        return n;
      }
    }
    const params: StandardSchema<[number]> = {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: (args) =>
          typeof (args as unknown[])[0] === "number"
            ? { value: args as [number] }
            : { issues: [{ message: "no number", path: [0] }] },
      },
    };
    validateMethods(Strict, { take: { params } });
    using strict = new RpcStub(new Strict());
    expect(await strict.take(1)).toBe(1);
    expect(await failure(strict.take("1" as never))).toMatchObject({ code: "validation-failed" });
  });
  it("Cap'n Web: size and depth", () => {
    expect(cell("Checks of what arrives", "Cap'n Web")).toBe("size, depth");
    const limits = Object.keys(capnweb.DEFAULT_LIMITS).sort();
    expect(limits).toEqual(["maxBigIntDigits", "maxDepth", "maxMessageSize"]);
  });
});

row("Calls back in an HTTP batch", () => {
  it("Capstan: refused at once, before anything is sent", async () => {
    expect(cell("Calls back in an HTTP batch", "Capstan")).toBe(
      "refused at once, before anything is sent",
    );
    let requests = 0;
    const server = http.createServer(() => requests++);
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    await using session = await connect(`http://127.0.0.1:${port}`);
    using api = session.bootstrap(RpcStub<Api>);
    const error = await failure(api.callBack(async (text) => text));
    expect(error).toMatchObject({ code: "no-callbacks", delivery: "not-sent" });
    expect(requests).toBe(0);
    server.closeAllConnections();
    server.close();
  });

  it("Cap'n Web: the batch waits for as long as the server does", async () => {
    expect(cell("Calls back in an HTTP batch", "Cap'n Web")).toBe(
      "the batch waits for as long as the server does",
    );
    const target = new Theirs();
    await using server = await capnWebServer(capnweb, () => target);
    const api = capnweb.newHttpBatchRpcSession(server.url) as Stub;
    let called = false;
    // Asked for in the turn in which the batch leaves.
    const answer = Promise.resolve(api.callBack(async () => ((called = true), "called back")));
    while (target.kept === null) await rest();
    await rest();
    // The callback hears of it with the response, too late to answer: only the server can end it.
    expect(called).toBe(false);
    target.release();
    expect(await answer).toBe("told to");
  });
});

row("Size in a browser, minified and compressed", () => {
  const name = "Size in a browser, minified and compressed";
  /** The size that the table gives, in bytes. */
  const said = (system: "Cap'n Web" | "Capstan"): number =>
    Number(/(\d+) kB/.exec(cell(name, system))![1]) * 1000;

  it("Capstan: at most what the table says, and that is what the build fails over", async () => {
    const { total } = await browserBundle(root);
    console.log(`capstan: ${total} bytes`);
    expect(total).toBeLessThanOrEqual(said("Capstan"));
    expect(said("Capstan")).toBe(Math.ceil(BUDGET.total / 1000) * 1000);
  });
  it("Cap'n Web: what the same tools make of it", async () => {
    const source = `export * from "./node_modules/capnweb/dist/index.js";`;
    const { code } = await bundle(root, source, { minify: true });
    console.log(`capnweb: ${gzipped(code)} bytes`);
    expect(Math.round(gzipped(code) / 1000) * 1000).toBe(said("Cap'n Web"));
  });
});
