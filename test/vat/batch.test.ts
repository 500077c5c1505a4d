// HTTP batches: what is said in one turn is one POST; what a batch cannot do fails at once; nothing is left.

import { once } from "node:events";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { RpcError } from "../../src/base/errors.js";
import {
  batchResponse,
  type BatchServerOptions,
  callContext,
  connect as connectPortably,
  type Fetch,
  reconnecting,
  RpcStub,
  RpcTarget,
  serve,
} from "../../src/index.js";
import { batchHandler, connect, listen, type ListenOptions, type Session } from "../../src/node.js";
import { answerBatch } from "../../src/vat/batch-server.js";
import { BATCH_TYPE } from "../../src/transport/http.js";
import { HttpRequestTransport } from "../../src/transport/http-request.js";
import { Outbox, SlabPool } from "../../src/wire/outbox.js";
import { until } from "../support/messages.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { CERT, KEY } from "../support/tls.js";
import { ask, failure, object } from "../support/vats.js";

class User extends RpcTarget {
  readonly #name: string;
  constructor(name: string) {
    super();
    this.#name = name;
  }
  get name(): string {
    return this.#name;
  }
  friends(): string[] {
    return [`${this.#name}'s friend`, "Bob"];
  }
}

class Api extends RpcTarget {
  running = 0;
  canceled = 0;
  disposed = 0;
  user(name: string): User {
    return new User(name);
  }
  echo<T>(value: T): T {
    return value;
  }
  greet(name: string): string {
    return `Hello, ${name}`;
  }
  large(): string {
    return "x".repeat(5000);
  }
  record(): { user: User; words: string } {
    return { user: new User("Eve"), words: "all" };
  }
  fail(): never {
    throw new Error("no luck");
  }
  async call(callback: (text: string) => Promise<string>): Promise<string> {
    return callback("called");
  }
  async slow(): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 60));
    return "slow";
  }
  async never(): Promise<string> {
    const { signal } = callContext();
    this.running++;
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () => {
        this.canceled++;
        reject(signal.reason as Error);
      });
    });
  }
  [Symbol.dispose](): void {
    this.disposed++;
  }
}

describe("HTTP batches", () => {
  let before: Map<string, number>;
  let open: { close(): Promise<unknown> }[];
  let api: Api;
  let sessions: Session[];
  let refused: RpcError[];

  beforeEach(() => {
    before = resources();
    open = [];
    sessions = [];
    refused = [];
    api = new Api();
  });

  afterEach(async () => {
    for (const one of open.reverse()) await one.close();
    for (const session of sessions) {
      session.connection.check();
      expect(session.connection.error, "a session goes on").not.toBeNull();
      expect(await session.closed).toBeDefined();
    }
    await expectNoResidue(before);
  });

  const serverOptions = (): BatchServerOptions => ({
    bootstrap: () => serve(api),
    onSession: (session) => void sessions.push(session),
    onError: (error) => void refused.push(error),
  });

  /** `batchResponse` as somebody's `fetch`, and how often it was asked. */
  function worker(options: BatchServerOptions = {}) {
    const posts: number[] = [];
    const ask: Fetch = async (url, init) => {
      posts.push((init.body as Uint8Array).length);
      return batchResponse(new Request(url, init), { ...serverOptions(), ...options });
    };
    return { posts, fetch: ask };
  }

  async function begin(fetch: Fetch, options = {}): Promise<Session> {
    const session = await connectPortably("http://worker.example/rpc", { fetch, ...options });
    sessions.push(session);
    return session;
  }

  async function serving(options: ListenOptions = {}) {
    const listener = await listen("http://:0/rpc", { ...serverOptions(), ...options });
    open.push(listener);
    return listener;
  }

  it("sends three dependent calls as one POST", async () => {
    const { posts, fetch } = worker();
    const session = await begin(fetch);
    using stub = session.bootstrap(RpcStub<Api>);
    const user = stub.user("Ada");
    const greeting = await stub.greet(user.name);
    expect(greeting).toBe("Hello, Ada");
    expect(posts).toHaveLength(1);
    expect(await session.closed).toBeNull();
    expect(session.writes).toBeGreaterThan(0);
  });

  it("serves and asks over a real server, many calls and map in one request", async () => {
    let requests = 0;
    const listener = await serving();
    expect(listener.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/rpc$/);
    const count: Fetch = (url, init) => {
      requests++;
      return fetch(url, init);
    };
    const session = await connect(listener.url, { fetch: count });
    sessions.push(session);
    using stub = session.bootstrap(RpcStub<Api>);
    using user = stub.user("Ada");
    const all = await Promise.all([
      user.name,
      user.friends().map((friend) => stub.greet(friend)),
      stub.echo(new Map([[1, new Date(0)]])),
      failure(stub.fail()),
    ]);
    expect(all.slice(0, 3)).toEqual([
      "Ada",
      ["Hello, Ada's friend", "Hello, Bob"],
      new Map([[1, new Date(0)]]),
    ]);
    expect(all[3]).toMatchObject({ code: "remote-exception", method: "fail", delivery: "started" });
    expect(requests).toBe(1);
    expect(listener.sessions.size).toBe(0);
    await session.closed;
  });

  it("works by typed calls, and over the pools of a plain http server", async () => {
    const { hook } = object();
    const server = http.createServer(batchHandler({ bootstrap: hook }));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const session = await connect(`http://127.0.0.1:${port}`);
    sessions.push(session);
    const remote = session.bootstrap();
    expect(await Promise.all([ask(remote, 0, 1), ask(remote, 0, 2)])).toEqual([1, 2]);
    remote.release();
    await session.closed;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    hook.release();
  });

  it("sends nothing until an answer is wanted, and all of a turn, awaits of what is there included", async () => {
    const { posts, fetch } = worker();
    const session = await begin(fetch);
    using stub = session.bootstrap(RpcStub<Api>);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(posts).toHaveLength(0);
    const first = stub.greet("one");
    const user = stub.user("Ada");
    for (let i = 0; i < 20; i++) await Promise.resolve();
    const second = stub.greet("two");
    const name = user.name.then((text) => text);
    expect([await first, await second, await name]).toEqual(["Hello, one", "Hello, two", "Ada"]);
    expect(posts).toHaveLength(1);
  });

  it("brings what was asked in the turn and is awaited later, whatever its size", async () => {
    const { fetch } = worker();
    using stub = (await begin(fetch)).bootstrap(RpcStub<Api>);
    const small = stub.greet("you");
    const large = stub.large();
    const record = stub.record();
    expect(await small).toBe("Hello, you");
    expect(await large).toHaveLength(5000);
    expect((await record).words).toBe("all");
  });

  it("hands on a value with references though calls went through its promise", async () => {
    const { fetch } = worker();
    using stub = (await begin(fetch)).bootstrap(RpcStub<Api>);
    const record = stub.record();
    const value = record.then((got) => got.words);
    const name = record.user.name;
    expect(await Promise.all([value, name])).toEqual(["all", "Eve"]);
  });

  it("refuses callbacks and signals at once, with nothing sent, and does the rest", async () => {
    const { posts, fetch } = worker();
    using stub = (await begin(fetch)).bootstrap(RpcStub<Api>);
    const heard: string[] = [];
    const callback = failure(
      stub.call(async (text) => {
        heard.push(text);
        return text;
      }),
    );
    const target = failure(stub.echo({ deep: [new User("mine")] }));
    const signal = failure(stub.echo(new AbortController().signal));
    const rest = stub.greet("rest");
    for (const error of [await callback, await target, await signal]) {
      expect(error).toMatchObject({
        type: "unimplemented",
        code: "no-callbacks",
        delivery: "not-sent",
      });
      expect(error.message).toContain("WebSocket");
    }
    expect(posts).toHaveLength(0);
    expect(await rest).toBe("Hello, rest");
    expect(posts).toHaveLength(1);
    expect(heard).toEqual([]);
  });

  it("fails what is called when the batch has left, at once and typed", async () => {
    const { posts, fetch } = worker();
    const session = await begin(fetch);
    using stub = session.bootstrap(RpcStub<Api>);
    using user = await stub.user("Ada");
    const error = await failure(user.friends());
    expect(error).toMatchObject({
      type: "disconnected",
      code: "batch-over",
      delivery: "not-sent",
      method: "friends",
    });
    expect(posts).toHaveLength(1);
    await session.closed;
    const late = await failure(stub.greet("late"));
    expect(late).toMatchObject({ code: "batch-over", delivery: "not-sent" });
    expect(late.message).toContain("no reference outlives its batch");
    const hook = session.bootstrap();
    expect(hook.brokenBy).toMatchObject({ code: "batch-over" });
    hook.release();
  });

  it("breaks a reference that is kept, once, and tells who listens", async () => {
    const { fetch } = worker();
    const session = await begin(fetch);
    using stub = session.bootstrap(RpcStub<Api>);
    using user = await stub.user("Ada");
    const told: RpcError[] = [];
    user.onRpcBroken((error) => told.push(error));
    await session.closed;
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(told.map((error) => error.code)).toEqual(["batch-over"]);
  });

  it("refuses a server's call to a client that lets it have an object all the same", async () => {
    // A client that does not know it is one of a batch: what it says is one request, nothing else is heard of it.
    const { memoryPair, Session: Plain } = await import("../../src/index.js");
    const [near, far] = memoryPair();
    const client = new Plain(near);
    const pieces: Uint8Array[] = [];
    far.start({ message: (frame) => pieces.push(frame.copy()), fault() {}, closed() {} });
    using stub = client.bootstrap(RpcStub<Api>);
    void failure(stub.call(async (text) => text));
    await new Promise((resolve) => setTimeout(resolve, 20));
    const { fetch } = worker();
    const body = new Uint8Array(Buffer.concat(pieces));
    const response = await fetch("http://worker.example/", {
      method: "POST",
      headers: { "content-type": BATCH_TYPE },
      body,
    });
    const text = Buffer.from(await response.arrayBuffer()).toString("latin1");
    expect(text).toContain("no calls from the server to the client");
    await client.close();
  });

  it("begins a batch a turn where a reference is to outlive them", async () => {
    const { posts, fetch } = worker();
    await using link = reconnecting(() => begin(fetch), { lazy: true });
    using stub = link.bootstrap(RpcStub<Api>);
    expect(await Promise.all([stub.greet("a"), stub.greet("b")])).toEqual(["Hello, a", "Hello, b"]);
    expect(await stub.user("Ada").name).toBe("Ada");
    // A call that waits in one batch goes on while the next begins.
    const slow = stub.slow();
    void slow.then(() => {});
    await until(() => posts.length === 3);
    expect(await stub.greet("c")).toBe("Hello, c");
    expect(await slow).toBe("slow");
    expect(posts).toHaveLength(4);
    for (const session of sessions) await session.closed;
  });

  it("releases at the end what the request held, and cancels what it ran", async () => {
    const { fetch } = worker();
    const session = await begin(fetch);
    {
      using stub = session.bootstrap(RpcStub<Api>);
      await stub.greet("x");
    }
    await session.closed;
    expect(api.disposed).toBe(1);
    for (const one of sessions)
      expect(one.connection.stats()).toMatchObject({ answers: 0, exports: 0, imports: 0 });
  });

  it("ends a batch that takes too long: what was answered counts, the rest fails and is canceled", async () => {
    const { fetch } = worker({ batchTimeout: 50 });
    using stub = (await begin(fetch)).bootstrap(RpcStub<Api>);
    const [done, late] = await Promise.allSettled([stub.greet("in time"), stub.never()]);
    expect(done).toMatchObject({ status: "fulfilled", value: "Hello, in time" });
    expect(late).toMatchObject({ reason: { type: "disconnected", code: "peer-aborted" } });
    expect(String((late as PromiseRejectedResult).reason)).toContain("batchTimeout");
    expect(api.canceled).toBe(1);
  });

  it("gives up a server that does not answer, and one whose client gave up stops", async () => {
    const listener = await serving();
    const session = await connect(listener.url, { batchTimeout: 1000 });
    sessions.push(session);
    using stub = session.bootstrap(RpcStub<Api>);
    const error = await failure(stub.never());
    expect(error).toMatchObject({ code: "peer-unresponsive", delivery: "unknown" });
    await until(() => api.canceled > 0);
    expect(api.canceled).toBe(1);
  });

  it("closes before and after the POST", async () => {
    const { posts, fetch } = worker();
    const unsent = await begin(fetch);
    const stub = unsent.bootstrap(RpcStub<Api>);
    const call = failure(stub.greet("nobody"));
    await Promise.resolve();
    await Promise.resolve();
    await unsent.close();
    expect(await call).toMatchObject({ code: "connection-closed", delivery: "not-sent" });
    expect(posts).toHaveLength(0);
    stub[Symbol.dispose]();

    const sent = await begin(fetch);
    using other = sent.bootstrap(RpcStub<Api>);
    const never = failure(other.never());
    await until(() => api.running > 0);
    await sent.close();
    expect(await never).toMatchObject({ code: "connection-closed", delivery: "unknown" });
    await until(() => api.canceled > 0);
    expect(api.canceled).toBe(1);
  });

  it("says why no batch came about", async () => {
    using nobody = (await begin(fetch)).bootstrap(RpcStub<Api>);
    expect(await failure(nobody.greet("x"))).toMatchObject({ code: "connection-lost" });
    const gone = http.createServer().listen(0, "127.0.0.1");
    await once(gone, "listening");
    const gonePort = (gone.address() as AddressInfo).port;
    await new Promise((resolve) => gone.close(resolve));
    const refusing = connect(`http://127.0.0.1:${gonePort}`);
    using closed = (await refusing).bootstrap(RpcStub<Api>);
    expect((await failure(closed.greet("x"))).message).toContain("nobody listens there");
    for (const [response, why] of [
      [new Response("go away", { status: 503 }), "status 503: go away"],
      [new Response("<html>"), "the response is no batch, but text/plain"],
      [new Response(null, { status: 302, headers: { location: "/" } }), "status 302"],
    ] as const) {
      using stub = (await begin(async () => response)).bootstrap(RpcStub<Api>);
      const error = await failure(stub.greet("x"));
      expect(error).toMatchObject({ type: "disconnected", code: "http-refused" });
      expect(error.message).toContain(why);
    }
    const cut = async (): Promise<Response> =>
      new Response(new Uint8Array([0, 0, 0, 0, 9]), { headers: { "content-type": BATCH_TYPE } });
    using half = (await begin(cut)).bootstrap(RpcStub<Api>);
    expect(await failure(half.greet("x"))).toMatchObject({ type: "disconnected" });
    const empty = async (): Promise<Response> =>
      new Response(null, { headers: { "content-type": BATCH_TYPE } });
    using unanswered = (await begin(empty)).bootstrap(RpcStub<Api>);
    expect(await failure(unanswered.greet("x"))).toMatchObject({ code: "batch-over" });
    expect(await failure(connect("http://:80"))).toMatchObject({ code: "invalid-argument" });
    expect(await failure(connect("https://h", { ca: CERT }))).toMatchObject({
      code: "invalid-argument",
    });
    expect(await failure(connect("http://h", { batchTimeout: -1 }))).toMatchObject({
      code: "invalid-argument",
    });
  });

  it.each([1000, 1_000_000])(
    "reads no more of a refusal than it shows: chunks of %i bytes",
    async (size) => {
      let given = 0;
      let canceled = false;
      // Ends in the middle of a character, and is followed by another.
      const chunk = new TextEncoder().encode(`x${"é".repeat(size / 2)}`).subarray(0, size);
      const body = new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            given++;
            controller.enqueue(chunk);
          },
          cancel() {
            canceled = true;
          },
        },
        { highWaterMark: 0 },
      );
      using stub = (await begin(async () => new Response(body, { status: 500 }))).bootstrap(
        RpcStub<Api>,
      );
      const { message } = await failure(stub.greet("x"));
      expect(message).toMatch(/status 500: xé+$/);
      expect(message.length).toBeLessThan(400);
      expect(given).toBe(size === 1000 ? 5 : 1);
      expect(canceled).toBe(true);
    },
  );

  it("is told no words by a refusal that breaks off", async () => {
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.error(new Error("cut")),
    });
    using stub = (await begin(async () => new Response(body, { status: 500 }))).bootstrap(
      RpcStub<Api>,
    );
    const error = await failure(stub.greet("x"));
    expect(error).toMatchObject({ code: "http-refused" });
    expect(error.message).toMatch(/status 500$/);
  });

  it("turns away what is no batch, and says how many bytes one may have", async () => {
    const listener = await serving({ maxRequestBytes: 1000, batchTimeout: 300 });
    const headers = { "content-type": BATCH_TYPE };
    const post = (init: RequestInit & { duplex?: "half" }): Promise<Response> =>
      fetch(listener.url, { method: "POST", headers, ...init });
    const status = async (response: Promise<Response>): Promise<number> => {
      const got = await response;
      await got.text();
      return got.status;
    };
    expect(await status(fetch(listener.url))).toBe(405);
    expect(await status(fetch(`${listener.url}/else`, { method: "POST", body: "x" }))).toBe(404);
    expect(await status(post({ body: "x", headers: { "content-type": "text/plain" } }))).toBe(415);
    expect(await status(post({ body: new Uint8Array(1001) }))).toBe(413);
    const unread = {
      [Symbol.asyncIterator]: () => expect.fail("a body that is known to be too large is read"),
    };
    const asked = {
      origin: null,
      host: "h",
      contentType: BATCH_TYPE,
      signal: null,
      loopback: true,
    };
    const known = { ...asked, method: "POST", contentLength: "1001", body: unread };
    expect(await answerBatch(known, { maxRequestBytes: 1000 })).toMatchObject({ status: 413 });
    let sent = 0;
    const endless = new ReadableStream({
      async pull(controller) {
        sent += 100;
        controller.enqueue(new Uint8Array(100));
        await new Promise((resolve) => setTimeout(resolve, 1));
      },
    });
    const big = post({ body: endless, duplex: "half" }).then(
      (response) => response.status,
      () => 413,
    );
    expect(await big).toBe(413);
    expect(sent).toBeLessThan(100_000);
    const stalled = new ReadableStream({
      start: (controller) => controller.enqueue(new Uint8Array(1)),
    });
    const slow = post({ body: stalled, duplex: "half" }).then(
      (response) => response.status,
      () => 408,
    );
    expect(await slow).toBe(408);
    // Bytes that are no messages get an Abort, as over any carrier.
    const nonsense = await post({ body: new Uint8Array(40).fill(7) });
    expect(nonsense.status).toBe(200);
    expect(Buffer.from(await nonsense.arrayBuffer()).toString("latin1")).toContain("segments");
    expect(refused.map((error) => error.code)).toContain("http-refused");
    expect(sessions.length).toBe(1);
    const bad = (): unknown => batchHandler({ maxRequestBytes: 0 });
    expect(bad).toThrow("maxRequestBytes");
  });

  it("leaves no listener on the request's signal", async () => {
    const heard = { added: 0, removed: 0 };
    const signal = {
      aborted: false,
      addEventListener: () => void heard.added++,
      removeEventListener: () => void heard.removed++,
    };
    const common = { origin: null, host: "h", contentType: BATCH_TYPE, contentLength: null };
    for (const bytes of [0, 2000])
      await answerBatch(
        {
          ...common,
          method: "POST",
          body: (async function* () {
            yield new Uint8Array(bytes);
          })(),
          signal: signal as unknown as AbortSignal,
          loopback: true,
        },
        { maxRequestBytes: 1000 },
      );
    expect(heard).toEqual({ added: 2, removed: 2 });
  });

  it("answers pages of its own host, and of the origins that are allowed, by CORS", async () => {
    const rows: [origin: string, options: BatchServerOptions, status: number][] = [
      ["http://worker.example", {}, 200],
      ["http://evil.example", {}, 403],
      ["null", {}, 403],
      ["http://page.example", { origins: ["http://page.example"] }, 200],
      ["http://worker.example", { origins: ["http://page.example"] }, 403],
      ["http://any.example", { origins: "any" }, 200],
      [
        "http://any.example",
        {
          origins: () => {
            throw new Error("the check failed");
          },
        },
        403,
      ],
    ];
    for (const [origin, options, status] of rows) {
      for (const method of ["POST", "OPTIONS"]) {
        const request = new Request("http://worker.example/", {
          method,
          headers: { origin, "content-type": BATCH_TYPE },
          ...(method === "POST" ? { body: new Uint8Array(0) } : {}),
        });
        const response = await batchResponse(request, { ...serverOptions(), ...options });
        const expected = status === 200 && method === "OPTIONS" ? 204 : status;
        expect([origin, method, response.status]).toEqual([origin, method, expected]);
        const allowed = status === 200 ? origin : null;
        expect(response.headers.get("access-control-allow-origin")).toBe(allowed);
      }
    }
    // A local server believes local names only, whatever Host says.
    const local = await batchResponse(
      new Request("http://127.0.0.1/", {
        method: "POST",
        headers: { origin: "http://rebound.example", host: "rebound.example" },
      }),
    );
    expect(local.status).toBe(403);
  });

  it("serves WebSockets at the same address, and https with a certificate", async () => {
    const listener = await serving();
    const session = await connect(listener.url.replace("http:", "ws:"));
    open.push(session);
    using stub = session.bootstrap(RpcStub<Api>);
    expect(await stub.call(async (text) => text)).toBe("called");

    const safe = await listen("https://localhost:0", {
      ...serverOptions(),
      tls: { key: KEY, cert: CERT },
    });
    open.push(safe);
    const untrusted = await connect(safe.url);
    sessions.push(untrusted);
    using other = untrusted.bootstrap(RpcStub<Api>);
    expect((await failure(other.greet("x"))).message).toContain("self-signed");
    expect(await failure(listen("https://:0"))).toMatchObject({ code: "invalid-argument" });
  });

  it("ends batches under way when the listener closes", async () => {
    const listener = await serving();
    const session = await connect(listener.url);
    sessions.push(session);
    using stub = session.bootstrap(RpcStub<Api>);
    const never = failure(stub.never());
    await until(() => api.running > 0);
    expect(listener.sessions.size).toBe(1);
    await listener.close();
    expect(await never).toMatchObject({ type: "disconnected" });
    expect(api.canceled).toBe(1);
  });
});

it("what waits for the POST holds its bytes, and no slab for each turn", () => {
  const pool = new SlabPool();
  const outbox = new Outbox(pool);
  const transport = new HttpRequestTransport("http://127.0.0.1:1/");
  for (let turn = 0; turn < 3; turn++) {
    outbox.begin(8);
    outbox.commit(8);
    transport.write(outbox.take()!);
  }
  // Each turn used the slab of the one before.
  expect(pool.size).toBe(1);
  expect(transport.bufferedBytes).toBe(3 * (8 + 1024));
  transport.close();
});
