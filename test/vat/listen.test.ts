// `connect` and `listen` by address: every scheme, who may connect, Unix sockets' files, what goes wrong.

import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import type { RpcError } from "../../src/base/errors.js";
import { connect as connectPortably } from "../../src/index.js";
import { connect, listen, type ListenOptions, type Session } from "../../src/node.js";
import { turn, until } from "../support/messages.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { CERT, KEY } from "../support/tls.js";
import { ask, failure, object } from "../support/vats.js";

describe("connect and listen", () => {
  let before: Map<string, number>;
  let folder: string;
  let open: { close(): Promise<void> }[];

  beforeEach(() => {
    before = resources();
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
    open = [];
  });

  afterEach(async () => {
    for (const one of open.reverse()) await one.close();
    expect(fs.readdirSync(folder), "files left").toEqual([]);
    fs.rmSync(folder, { recursive: true });
    await expectNoResidue(before);
  });

  async function serve(url: string, options: ListenOptions = {}) {
    const { hook } = object();
    try {
      const listener = await listen(url, { bootstrap: hook, ...options });
      open.push({
        close: async () => {
          await listener.close();
          hook.release();
        },
      });
      return listener;
    } catch (error) {
      hook.release();
      throw error;
    }
  }

  async function dial(...args: Parameters<typeof connect>): Promise<Session> {
    const session = await connect(...args);
    open.push(session);
    return session;
  }

  async function works(session: Session): Promise<void> {
    const remote = session.bootstrap();
    expect(await ask(remote, 0, 42)).toBe(42);
    remote.release();
  }

  const socketFile = (): string => path.join(folder, "s");

  for (const [url, bound] of [
    ["tcp://:0", /^tcp:\/\/127\.0\.0\.1:[1-9]\d*$/],
    ["tcp://localhost:0", /^tcp:\/\/localhost:[1-9]\d*$/],
    ["ws://:0/rpc?v=1", /^ws:\/\/127\.0\.0\.1:[1-9]\d*\/rpc\?v=1$/],
  ] as const) {
    it(`${url}: serves, and says where`, async () => {
      const listener = await serve(url);
      expect(listener.url).toMatch(bound);
      const session = await dial(listener.url);
      await works(session);
      expect(listener.sessions.size).toBe(1);
      await session.close();
      expect(await session.closed).toBeNull();
      await until(() => listener.sessions.size === 0);
      expect(listener.sessions.size).toBe(0);
    });
  }

  it("unix: serves in a file that only this user may use, and removes it", async () => {
    const listener = await serve(`unix:${socketFile()}`);
    expect(listener.url).toBe(`unix:${socketFile()}`);
    const { mode } = fs.statSync(socketFile());
    expect(mode & 0o7777).toBe(0o600);
    expect(fs.readdirSync(folder)).toEqual(["s"]);
    await works(await dial(listener.url));
    await listener.close();
    expect(fs.existsSync(socketFile())).toBe(false);
  });

  it("unix: needs no folder but the socket's own, and no shorter path", async () => {
    // Others have taken most names there; the path is as long as one may be, with the shortest name.
    const narrow = path.join(folder, "n".repeat(103 - 3 - folder.length));
    fs.mkdirSync(narrow);
    for (let i = 0; i < 36 ** 2 / 2; i++) fs.mkdirSync(path.join(narrow, `.${i.toString(36)}`));
    const before = fs.statSync(folder).mtimeMs;
    const listener = await serve(`unix:${narrow}/s`);
    await works(await dial(listener.url));
    expect(fs.statSync(folder).mtimeMs).toBe(before);
    expect(fs.readdirSync(narrow)).toHaveLength(36 ** 2 / 2 + 1);
    await listener.close();
    fs.rmSync(narrow, { recursive: true });
  });

  it("wss: serves with a certificate, and is believed by who trusts it", async () => {
    const listener = await serve("wss://localhost:0", { tls: { key: KEY, cert: CERT } });
    await works(await dial(listener.url, { ca: CERT }));
    const error = await failure(connect(listener.url));
    expect(error).toMatchObject({ type: "disconnected", code: "connect-failed" });
    expect(error.message).toContain("self-signed certificate");
    expect(await failure(listen("wss://localhost:0"))).toMatchObject({ code: "invalid-argument" });
    expect(await failure(listen("ws://:0", { tls: { key: KEY, cert: CERT } }))).toMatchObject({
      code: "invalid-argument",
    });
  });

  it("a WebSocket works from what a browser has, batch agreed on", async () => {
    const listener = await serve("ws://:0");
    const had = Object.getOwnPropertyDescriptor(globalThis, "WebSocket");
    Object.defineProperty(globalThis, "WebSocket", { value: WebSocket, configurable: true });
    try {
      const session = await connectPortably(listener.url);
      open.push(session);
      expect(session.transport.batching).toBe(true);
      await works(session);
      await session.close();
      const error = await failure(connectPortably("ws://127.0.0.1:1"));
      expect(error).toMatchObject({ type: "disconnected", code: "connect-failed" });
      expect(await failure(connectPortably("unix:/x"))).toMatchObject({ code: "invalid-argument" });
    } finally {
      if (had === undefined) Reflect.deleteProperty(globalThis, "WebSocket");
      else Object.defineProperty(globalThis, "WebSocket", had);
    }
  });

  it("batch is agreed on by both, and done without when one will not", async () => {
    const willing = await serve("ws://:0");
    expect((await dial(willing.url)).transport.batching).toBe(true);
    const modest = await dial(willing.url, { batch: false });
    expect(modest.transport.batching).toBe(false);
    await works(modest);
    // Answers like a server that has never heard of any subprotocol.
    const unwilling = await serve("ws://:0", { batch: false });
    const session = await dial(unwilling.url);
    expect(session.transport.batching).toBe(false);
    await works(session);
  });

  it("a server of somebody else's that knows no subprotocol is tried once more", async () => {
    const server = new WebSocketServer({
      port: 0,
      host: "127.0.0.1",
      handleProtocols: () => false,
    });
    await once(server, "listening");
    let handshakes = 0;
    server.on("headers", () => handshakes++);
    const { port } = server.address() as net.AddressInfo;
    const session = await dial(`ws://127.0.0.1:${port}`);
    expect(handshakes).toBe(2);
    await session.close();
    server.close();
  });

  describe("origins", () => {
    const handshake = (url: string, headers: Record<string, string>): Promise<number> =>
      new Promise((resolve) => {
        const ws = new WebSocket(url, { headers });
        ws.on("open", () => {
          ws.close();
          ws.on("close", () => resolve(101));
        });
        ws.on("error", () => {});
        ws.on("unexpected-response", (_request, response) => {
          response.destroy();
          resolve(response.statusCode!);
        });
      });

    it("by default: the same host, or no browser at all", async () => {
      const refused: RpcError[] = [];
      const { url } = await serve("ws://:0", { onError: (error) => refused.push(error) });
      const { host, port } = new URL(url);
      expect(await handshake(url, {})).toBe(101);
      expect(await handshake(url, { origin: `http://${host}` })).toBe(101);
      expect(refused).toEqual([]);
      for (const origin of [
        "https://evil.example",
        `http://127.0.0.1:1`,
        `http://localhost:${port}`,
        `http://${host}.evil.example`,
        "null",
        "",
        "not a url",
      ])
        expect(await handshake(url, { origin }), origin).toBe(403);
      // A name of somebody's that leads here: its page and our host are "the same".
      const host_ = `evil.example:${port}`;
      expect(await handshake(url, { origin: `http://${host_}`, host: host_ })).toBe(403);
      expect(refused.length).toBe(8);
      expect(refused[0]).toMatchObject({ type: "failed", code: "origin-refused" });
      expect(refused[0]!.message).toContain("https://evil.example");
    });

    it("by a list, a function, or any", async () => {
      const list = await serve("ws://:0", { origins: ["https://a.example"] });
      expect(await handshake(list.url, { origin: "https://a.example" })).toBe(101);
      expect(await handshake(list.url, { origin: "https://b.example" })).toBe(403);
      expect(await handshake(list.url, { origin: `http://${new URL(list.url).host}` })).toBe(403);
      const asked = await serve("ws://:0", {
        origins: (origin) => {
          if (origin === "https://boom.example") throw new Error("boom");
          return origin.endsWith(".example");
        },
      });
      expect(await handshake(asked.url, { origin: "https://a.example" })).toBe(101);
      expect(await handshake(asked.url, { origin: "https://a.org" })).toBe(403);
      expect(await handshake(asked.url, { origin: "https://boom.example" })).toBe(403);
      const any = await serve("ws://:0", { origins: "any" });
      expect(await handshake(any.url, { origin: "https://evil.example" })).toBe(101);
    });

    it("other paths and plain HTTP are turned away", async () => {
      const { url } = await serve("ws://:0/rpc");
      const { host } = new URL(url);
      expect(await handshake(`ws://${host}/other`, {})).toBe(404);
      expect(await handshake(`ws://${host}/rpc?x`, {})).toBe(404);
      const [response] = (await once(http.get(`http://${host}/rpc`), "response")) as [
        http.IncomingMessage,
      ];
      expect(response.statusCode).toBe(426);
      response.resume();
      await once(response, "close");
    });
  });

  describe("a Unix socket's file", () => {
    /** What a crash leaves: the name stays, the listener is gone. */
    async function leaveDead(): Promise<void> {
      const dead = net.createServer();
      dead.listen(socketFile());
      await once(dead, "listening");
      fs.renameSync(socketFile(), `${socketFile()}.kept`);
      dead.close();
      await once(dead, "close");
      fs.renameSync(`${socketFile()}.kept`, socketFile());
    }

    it("that nobody answers on is replaced", async () => {
      await leaveDead();
      const { ino } = fs.lstatSync(socketFile());
      const listener = await serve(`unix:${socketFile()}`);
      expect(fs.lstatSync(socketFile()).ino).not.toBe(ino);
      await works(await dial(listener.url));
    });

    it("that somebody answers on is not", async () => {
      const first = await serve(`unix:${socketFile()}`);
      const error = await failure(serve(`unix:${socketFile()}`));
      expect(error).toMatchObject({ type: "disconnected", code: "listen-failed" });
      expect(error.message).toContain("somebody listens there already (EADDRINUSE)");
      expect((error.cause as NodeJS.ErrnoException).code).toBe("EADDRINUSE");
      await works(await dial(first.url));
      expect(fs.readdirSync(folder)).toEqual(["s"]);
    });

    it("of which two servers start at once is one's only", async () => {
      for (let i = 0; i < 10; i++) {
        if (i % 2 === 1) await leaveDead();
        const tries = await Promise.allSettled([1, 2, 3].map(() => serve(`unix:${socketFile()}`)));
        expect(tries.filter(({ status }) => status === "fulfilled").length).toBe(1);
        await works(await dial(`unix:${socketFile()}`));
        for (const one of open.splice(0).reverse()) await one.close();
      }
    });

    it("that is no socket is left alone", async () => {
      fs.writeFileSync(socketFile(), "precious");
      const error = await failure(serve(`unix:${socketFile()}`));
      expect(error).toMatchObject({ code: "listen-failed" });
      expect(error.message).toContain("there is a file that is no socket");
      expect(fs.readFileSync(socketFile(), "utf8")).toBe("precious");
      fs.rmSync(socketFile());
    });

    it("that is somebody else's by now is not removed at the end", async () => {
      const first = await serve(`unix:${socketFile()}`);
      fs.rmSync(socketFile());
      const second = await serve(`unix:${socketFile()}`);
      await first.close();
      await works(await dial(second.url));
    });

    it("in a folder that is not there is said so", async () => {
      const error = await failure(serve(`unix:${folder}/nowhere/s`));
      expect(error).toMatchObject({ code: "listen-failed" });
      expect(error.message).toContain("there is no such folder (ENOENT)");
      fs.writeFileSync(path.join(folder, "file"), "");
      const other = await failure(serve(`unix:${folder}/file/s`));
      expect(other.message).toContain("what should be its folder is none (ENOTDIR)");
      fs.unlinkSync(path.join(folder, "file"));
    });
  });

  it("tcp: an address in use is said so", async () => {
    const { url } = await serve("tcp://:0");
    const error = await failure(serve(url));
    expect(error).toMatchObject({ code: "listen-failed", delivery: "not-sent" });
    expect(error.message).toContain("somebody listens there already (EADDRINUSE)");
  });

  for (const [url, hint] of [
    ["tcp://127.0.0.1:1", "nobody listens there"],
    ["ws://127.0.0.1:1/", "nobody listens there"],
    ["unix:/no/such/socket", "there is no such file"],
  ] as const) {
    it(`connect to ${url} fails with a hint`, async () => {
      const error = await failure(connect(url));
      expect(error).toMatchObject({
        type: "disconnected",
        code: "connect-failed",
        delivery: "not-sent",
      });
      expect(error.message).toContain(`cannot connect to ${url}: ${hint}`);
      expect(error.cause).toBeInstanceOf(Error);
    });
  }

  it("connect needs a host, and options that are what they say", async () => {
    expect((await failure(connect("tcp://:1"))).message).toContain("names no host");
    expect((await failure(connect("ws://:1"))).message).toContain("names no host");
    const { url } = await serve("tcp://:0");
    expect(await failure(listen("tcp://:0", { silenceTimeout: -1 }))).toMatchObject({
      code: "invalid-argument",
    });
    for (const options of [
      { connectTimeout: -1 },
      { peerTimeout: Number.NaN },
      { silenceTimeout: 1e12 },
      { grace: -5 },
    ])
      expect(await failure(connect(url, options))).toMatchObject({ code: "invalid-argument" });
  });

  it("connect gives up after connectTimeout, and when called off", async () => {
    // Accepts, and never answers the handshake.
    const sockets: net.Socket[] = [];
    const mute = net.createServer((socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
    });
    mute.listen(0, "127.0.0.1");
    await once(mute, "listening");
    const { port } = mute.address() as net.AddressInfo;
    const url = `ws://127.0.0.1:${port}/`;
    const late = await failure(connect(url, { connectTimeout: 50 }));
    expect(late).toMatchObject({ code: "connect-failed" });
    expect(late.message).toContain("no answer within 50 ms");
    const caller = new AbortController();
    const waiting = failure(connect(url, { signal: caller.signal }));
    await turn();
    caller.abort();
    expect((await waiting).message).toContain("it was called off");
    const { signal } = caller;
    expect((await failure(connect(url, { signal }))).message).toContain("it was called off");
    // Each of them was hung up.
    for (const socket of sockets) {
      socket.resume();
      if (!socket.destroyed) await once(socket, "close");
    }
    expect(sockets.length).toBe(2);
    mute.close();
  });

  it("a listener that closes ends its sessions and accepts no more", async () => {
    const listener = await serve(`unix:${socketFile()}`);
    const sessions = await Promise.all([1, 2, 3].map(() => dial(listener.url)));
    await Promise.all(sessions.map(works));
    const idle = (): boolean => [...listener.sessions].every(({ connection }) => connection.idle);
    await until(idle);
    await Promise.all([listener.close(), listener.close(), listener[Symbol.asyncDispose]()]);
    for (const session of sessions) expect(await session.closed).toBeNull();
    expect(listener.sessions.size).toBe(0);
    expect(await failure(connect(listener.url))).toMatchObject({ code: "connect-failed" });
  });

  it("onSession is told of each session; one that throws costs that session only", async () => {
    const seen: Session[] = [];
    const errors: RpcError[] = [];
    const { url } = await serve("tcp://:0", {
      onSession: (session) => {
        seen.push(session);
        if (seen.length === 1) throw new Error("not today");
      },
      onError: (error) => errors.push(error),
    });
    const first = await dial(url);
    expect((await first.closed)!.message).toContain("not today");
    await works(await dial(url));
    expect(seen.length).toBe(2);
    expect(errors.map(({ message }) => message)).toEqual(["not today"]);
  });

  it("strangers' bytes end their own connection only", async () => {
    const { url } = await serve("tcp://:0");
    const session = await dial(url);
    const { hostname, port } = new URL(url.replace("tcp:", "http:"));
    for (const bytes of [
      Buffer.alloc(64, 0xff),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([0]),
    ]) {
      const stranger = net.connect(Number(port), hostname);
      stranger.on("error", () => {});
      stranger.resume();
      stranger.end(bytes);
      await once(stranger, "close");
    }
    await works(session);
  });
});
