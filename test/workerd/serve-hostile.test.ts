// Whoever reaches the address of serveWorkerd may send anything: heads, halves of connections, too many of them, too much.

import net from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { Payload } from "../../src/hook/payload.js";
import type { Results } from "../../src/hook/results.js";
import { type RpcError, RpcTarget } from "../../src/node.js";
import { ContentBuilder } from "../../src/wire/struct.js";
import {
  connectWorker,
  type Listener,
  serveWorkerd,
  type ServeWorkerdOptions,
} from "../../src/workerd.node.js";
import { cleaningUp } from "../support/residue.js";
import { SLOWLY } from "./bridge/start.js";

class Api extends RpcTarget {
  add(a: number, b: number): number {
    return a + b;
  }
  big(bytes: number): Uint8Array {
    return new Uint8Array(bytes);
  }
  size(bytes: Uint8Array): number {
    return bytes.length;
  }
  async fetch(request: Request): Promise<Response> {
    return new Response(`${(await request.arrayBuffer()).byteLength} bytes`);
  }
}

const CONNECT = "CONNECT rpc.test HTTP/1.1\r\n\r\n";

/** A client of bytes. */
class Raw {
  readonly socket: net.Socket;
  private text = "";
  private error: Error | null = null;
  readonly closed: Promise<void>;

  constructor(url: string, options: Partial<net.TcpNetConnectOpts> = {}) {
    const { hostname: host, port } = new URL(url);
    this.socket = net.connect({ host, port: Number(port), ...options });
    this.socket.on("data", (chunk) => (this.text += chunk.toString("latin1")));
    this.socket.on("error", (error) => (this.error = error));
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
  }

  send(text: string | Uint8Array): this {
    this.socket.write(text);
    return this;
  }

  /** What has come, once that has `part` in it. */
  async said(part: string): Promise<string> {
    await expect.poll(() => this.text, SLOWLY).toContain(part);
    return this.text;
  }

  /** What has come by the end. */
  async end(): Promise<string> {
    await this.closed;
    return this.text !== "" || this.error === null ? this.text : String(this.error);
  }
}

/** Interfaces and methods of schema/workerd.capnp. */
const RAW = {
  startEvent: [0x878048cd | 0, 0xa334ade3 | 0, 0],
  getHttpService: [0xf2069747 | 0, 0x5ec1752d | 0, 0],
  jsRpcSession: [0xf2069747 | 0, 0x5ec1752d | 0, 9],
} as const;

const builder = new ContentBuilder();

function call(
  hook: Hook,
  [hi, lo, method]: readonly number[],
  text: string | null = null,
): Results {
  const params = builder.root(1, 1);
  if (text !== null) params.text(0, text);
  return hook.call(new CallRequest(hi!, lo!, method!, new Payload(builder.finish())));
}

/** Resolves when there is an answer, which is let go of; rejects with what the call failed with. */
function answered(results: Results): Promise<void> {
  return new Promise((resolve, reject) => {
    results.observe({
      immediate: false,
      resultsSettled() {
        const { error } = results;
        results.cancel();
        if (error === null) resolve();
        else reject(error);
      },
    });
  });
}

describe("the address of serveWorkerd", () => {
  const cleanUp = cleaningUp();
  let listener: Listener;
  let errors: RpcError[] = [];

  async function begin(options: Partial<ServeWorkerdOptions> = {}): Promise<Listener> {
    errors = [];
    listener = await serveWorkerd("tcp://:0", {
      entrypoint: new Api(),
      onError: (error) => errors.push(error),
      ...options,
    });
    cleanUp(() => listener.close());
    return listener;
  }

  const raw = (options?: Partial<net.TcpNetConnectOpts>): Raw => {
    const client = new Raw(listener.url, options);
    cleanUp(() => client.socket.destroy());
    return client;
  };

  /** It is there for others. */
  async function works(host = "rpc.test"): Promise<void> {
    await using socket = await connectWorker<Api>(listener.url, host);
    expect(await socket.entrypoint.add(1, 2)).toBe(3);
  }

  const HEADS: [string, string, RegExp][] = [
    ["no HTTP", "\0\0\0\0\x05\0\0\0 garbage\r\n\r\n", /^HTTP\/1.1 400 /],
    ["a line without an end", `CONNECT ${"x".repeat(100_000)}`, /^HTTP\/1.1 (400|431) /],
    [
      "too many headers",
      `CONNECT rpc.test HTTP/1.1\r\n${"a: b\r\n".repeat(20_000)}\r\n`,
      /^HTTP\/1.1 431 /,
    ],
    ["a host with a space", "CONNECT rpc test HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    ["no host", "CONNECT  HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    ["a path for a host", "CONNECT /path HTTP/1.1\r\n\r\n", /^HTTP\/1.1 400 /],
    [
      "a body of CONNECT",
      "CONNECT rpc.test HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
      /^HTTP\/1.1 400 /,
    ],
    [
      "a body in chunks",
      "CONNECT rpc.test HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    [
      "two lengths",
      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
      /^HTTP\/1.1 400 /,
    ],
    [
      "two hosts",
      "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
      /^HTTP\/1.1 400 /,
    ],
    ["no Host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", /^HTTP\/1.1 400 /],
    ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", /^HTTP\/1.1 (400|505) /],
  ];

  it.each(HEADS)("answers %s with a status, and goes on", async (_, head, answer) => {
    await begin();
    expect(await raw().send(head).end()).toMatch(answer);
    expect(listener.sessions.size).toBe(0);
    await works();
  });

  it("takes CONNECT with headers, of HTTP/1.0, and with what does not wait for the answer", async () => {
    await begin();
    const bootstrap = Uint8Array.from(
      Buffer.from(
        "00000000050000000000000001000100080000000000000000000000010001000000000000000000" +
          "0000000000000000",
        "hex",
      ),
    );
    for (const head of [
      "CONNECT rpc.test HTTP/1.1\r\nHost: another\r\nX-More: 1\r\n\r\n",
      "CONNECT rpc.test:443 HTTP/1.0\r\n\r\n",
    ]) {
      const client = raw().send(Buffer.concat([Buffer.from(head), bootstrap]));
      // A Return with one capability.
      expect(await client.said("\x03\0\0\0\0\0\0\0")).toMatch(/^HTTP\/1.1 200 OK\r\n\r\n/);
      client.socket.end();
      await client.end();
    }
    const slowly = raw();
    for (const byte of CONNECT) {
      slowly.send(byte);
      await wait(1);
    }
    await slowly.said("200 OK");
    slowly.send(bootstrap.subarray(0, 20));
    await wait(20);
    slowly.send(bootstrap.subarray(20));
    await slowly.said("\x03\0\0\0\0\0\0\0");
    slowly.socket.end();
    await slowly.end();
    await expect.poll(() => listener.sessions.size, SLOWLY).toBe(0);
  });

  it("takes CONNECT on a connection where there were requests before", async () => {
    await begin();
    const client = raw().send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.said("0 bytes");
    client.send(CONNECT);
    await client.said("200 OK\r\n\r\n");
    expect(listener.sessions.size).toBe(1);
    client.socket.end();
    await client.end();
  });

  it("answers to the names that it was given, and no others", async () => {
    await begin({ hosts: ["rpc.test", "Other.Test:80"] });
    await works("rpc.test");
    await works("RPC.test");
    await works("other.test:80");
    for (const host of ["rpc.test:80", "other.test", "localhost"])
      expect(await raw().send(`CONNECT ${host} HTTP/1.1\r\n\r\n`).end()).toMatch(
        /^HTTP\/1.1 403 Forbidden\r\n/,
      );
    expect(errors.map(({ code }) => code)).toEqual(Array(3).fill("http-refused"));
    const status = async (host: string): Promise<string> =>
      (
        await raw().send(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`).end()
      ).slice(9, 12);
    expect(await status("rpc.test")).toBe("200");
    expect(await status("rpc.test:1234")).toBe("200");
    expect(await status("rebound.test")).toBe("421");
  });

  it("does not wait for heads that do not come", async () => {
    await begin({ headTimeout: 200 });
    const silent = raw();
    const halting = raw().send("CONNECT rpc.test HT");
    const dripping = raw();
    const drip = setInterval(() => dripping.send("x"), 20);
    cleanUp(() => clearInterval(drip));
    const ends = await Promise.all([silent.end(), halting.end(), dripping.end()]);
    expect(ends[1]).toMatch(/^HTTP\/1.1 408 /);
    // Who is there has all the time there is.
    await using socket = await connectWorker<Api>(listener.url, "rpc.test");
    await wait(600);
    expect(await socket.entrypoint.add(1, 2)).toBe(3);
  });

  it("closes connections that are too many, whatever they are", async () => {
    await begin({ maxConnections: 3 });
    const first = raw().send(CONNECT);
    await first.said("200 OK");
    const held = [raw(), raw()];
    await Promise.all(
      held.map(({ socket }) => new Promise((resolve) => socket.on("connect", resolve))),
    );
    const bomb = Array.from({ length: 200 }, () => raw().send(CONNECT));
    for (const client of bomb) expect(await client.end()).not.toContain("200");
    expect(errors.length).toBe(200);
    expect(listener.sessions.size).toBe(1);
    for (const { socket } of held) socket.destroy();
    await expect
      .poll(
        async () =>
          works().then(
            () => true,
            () => false,
          ),
        SLOWLY,
      )
      .toBe(true);
  });

  it("lets go of connections of which only half is there", async () => {
    await begin();
    // Says all it has to say, and reads on.
    const half = raw({ allowHalfOpen: true }).send(CONNECT);
    half.socket.end();
    expect(await half.end()).toBe("HTTP/1.1 200 OK\r\n\r\n");
    const early = raw({ allowHalfOpen: true });
    early.socket.end();
    await early.end();
    const gone = raw().send(CONNECT);
    gone.socket.destroy();
    const reset = raw().send(CONNECT);
    await reset.said("200 OK");
    reset.socket.resetAndDestroy();
    const refused = raw().send("CONNECT rpc.test HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
    refused.socket.resetAndDestroy();
    await expect.poll(() => listener.sessions.size, SLOWLY).toBe(0);
    await works();
  });

  it("ends a connection that does not speak Cap'n Proto, and no other", async () => {
    await begin();
    await using socket = await connectWorker<Api>(listener.url, "rpc.test");
    const client = raw().send(CONNECT);
    await client.said("200 OK");
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(20));
    await client.end();
    expect(await socket.entrypoint.add(1, 2)).toBe(3);
    expect(listener.sessions.size).toBe(1);
  });

  it("has bounds for what goes and comes", { timeout: 60_000 }, async () => {
    await begin({ maxBodyBytes: 1000, maxHeaderBytes: 2000 });
    const http = listener.url.replace("tcp:", "http:");
    expect((await fetch(http, { method: "POST", body: "x".repeat(1001) })).status).toBe(413);
    expect((await fetch(http, { headers: { a: "x".repeat(2001) } })).status).toBe(431);
    await using socket = await connectWorker<Api>(listener.url, "rpc.test");
    const { entrypoint } = socket;
    expect(await entrypoint.size(new Uint8Array(30_000_000))).toBe(30_000_000);
    expect((await entrypoint.big(30_000_000)).length).toBe(30_000_000);
    await expect(Promise.resolve(entrypoint.big(34_000_000))).rejects.toMatchObject({
      message: /bytes/,
    });
    expect(await entrypoint.add(1, 2)).toBe(3);
    // More than any message may have: from the header alone, and only this connection.
    const client = raw().send(CONNECT);
    await client.said("200 OK");
    client.send(Uint8Array.of(0, 0, 0, 0, 1, 0, 128, 0, 0, 0, 0, 0));
    await client.end();
    expect(await entrypoint.add(1, 2)).toBe(3);
  });

  it("gives one event for each startEvent, and says what it has not", async () => {
    await begin();
    await using socket = await connectWorker<Api>(listener.url, "rpc.test");
    const { session } = socket;
    const worker = session.bootstrap();
    const { startEvent, jsRpcSession, getHttpService } = RAW;
    const started = call(worker, startEvent, null);
    const dispatcher = started.pipeline([0]);
    await answered(call(dispatcher, jsRpcSession));
    for (const method of [jsRpcSession, getHttpService])
      await expect(answered(call(dispatcher, method))).rejects.toMatchObject({
        message: /has begun/,
      });
    await expect(answered(call(worker, startEvent, "no JSON"))).rejects.toMatchObject({
      message: /JSON/,
    });
    for (const [hook, method] of [
      [worker, jsRpcSession],
      [dispatcher, startEvent],
    ] as const)
      await expect(answered(call(hook, method))).rejects.toMatchObject({ type: "unimplemented" });
    started.cancel();
    dispatcher.release();
    worker.release();
    await expect.poll(() => socket.stats(), SLOWLY).toMatchObject({ questions: 0, imports: 1 });
  });
});
