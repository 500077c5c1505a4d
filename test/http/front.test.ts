// A server of Node's in front of a service: real requests and WebSockets over loopback, good and bad.

import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { HttpResponse, serveHttp, type HttpHandler, WebSocketPair } from "../../src/http.js";
import { httpFront, type HttpFrontOptions, memoryPair, RpcError, Session } from "../../src/node.js";
import { Producer, streamOf } from "../dynamic/streams/kit.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { failure } from "./kit.js";

const turn = (ms = 0): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const until = async (what: () => unknown): Promise<void> => {
  await expect.poll(what, { timeout: 60_000, interval: 5 }).toBeTruthy();
};

let before: Map<string, number>;
let server: http.Server;
let port: number;
let errors: unknown[];
let release: () => void;

async function start(handler: HttpHandler, options: HttpFrontOptions = {}): Promise<string> {
  const front = httpFront(serveHttp(handler), {
    onError: (error) => errors.push(error),
    ...options,
  });
  release = () => front[Symbol.dispose]();
  server = http.createServer({ keepAliveTimeout: 100 }, front.request);
  server.on("upgrade", front.upgrade);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  ({ port } = server.address() as net.AddressInfo);
  return `http://127.0.0.1:${port}`;
}

/** Sends bytes as they are; gives all that comes back until the server is done. */
async function raw(...lines: string[]): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  socket.write(lines.join("\r\n"));
  let text = "";
  socket.on("data", (chunk) => (text += String(chunk)));
  socket.on("error", () => {});
  await once(socket, "close");
  return text;
}

/** A request by `node:http`, which shows what `fetch` hides. */
function ask(options: http.RequestOptions, body?: string): Promise<http.IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = http.request({ port, host: "127.0.0.1", agent: false, ...options }, resolve);
    request.on("error", reject);
    request.end(body);
  });
}

beforeEach(() => {
  before = resources();
  errors = [];
});
afterEach(async () => {
  server.closeAllConnections();
  server.close();
  release();
  await expectNoResidue(before);
});

describe("requests", () => {
  it("pass with their heads and bodies, and so do answers", async () => {
    const base = await start(async (request) => {
      const headers = [...request.headers].filter(([name]) => name.startsWith("x-"));
      const seen = {
        method: request.method,
        url: request.url,
        headers,
        body: await request.text(),
      };
      return HttpResponse.json(seen, {
        status: 201,
        headers: [
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
        ],
      });
    });
    const response = await fetch(`${base}/some/path?q=%20x`, {
      method: "POST",
      body: "text",
      headers: { "X-One": "1" },
    });
    expect(response.status).toBe(201);
    expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
    expect(Number(response.headers.get("content-length"))).toBeGreaterThan(10);
    expect(await response.json()).toEqual({
      method: "POST",
      url: `${base}/some/path?q=%20x`,
      headers: [["x-one", "1"]],
      body: "text",
    });
    expect(errors).toEqual([]);
  });

  it("keep what is of one connection to that connection", async () => {
    let seen: string[] = [];
    await start((request) => {
      seen = [...request.headers.keys()];
      return new Response(streamOf(new Uint8Array(3)), {
        headers: {
          Connection: "X-Hop, close",
          "X-Hop": "1",
          "Keep-Alive": "timeout=9",
          "X-End": "1",
        },
      });
    });
    const response = await ask({
      method: "POST",
      headers: {
        Connection: "X-Private",
        "X-Private": "1",
        TE: "trailers",
        "Transfer-Encoding": "chunked",
        "X-Public": "1",
      },
    });
    response.resume();
    expect(seen).toContain("x-public");
    for (const name of ["x-private", "te", "transfer-encoding", "connection"])
      expect(seen).not.toContain(name);
    expect(response.headers["x-end"]).toBe("1");
    expect(response.headers["x-hop"]).toBeUndefined();
    expect(response.headers["keep-alive"]).not.toBe("timeout=9");
    await once(response, "close");
  });

  it("have no body in answers to HEAD and with 204 or 304, and the connection goes on", async () => {
    await start((request) => {
      const status = Number(new URL(request.url).pathname.slice(1));
      const init = { status, headers: { "Content-Length": "7", ETag: '"x"' } };
      return new Response(request.method === "HEAD" ? "7 bytes" : null, init);
    });
    const text = await raw(
      "HEAD /200 HTTP/1.1\r\nHost: a",
      "\r\nGET /204 HTTP/1.1\r\nHost: a",
      "\r\nGET /304 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    );
    expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 204", "HTTP/1.1 304"]);
    expect(text).toContain("Content-Length: 7\r\n");
    expect(text).not.toContain("7 bytes");
  });

  it("stream both ways, with backpressure", async () => {
    const source = new Producer(2000, undefined, false, () => new Uint8Array(65_536));
    let took = 0;
    let release = (): void => {};
    const base = await start(async (request) => {
      if (request.method === "GET") return new Response(source.stream);
      const reader = request.body!.getReader();
      await new Promise<void>((resolve) => (release = resolve));
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return new Response(String(took));
        took += value.length;
      }
    });
    const answer = await ask({ path: "/" });
    await turn(200);
    const paused = source.asked;
    expect(paused).toBeLessThan(1000);
    let got = 0;
    answer.on("data", (chunk: Buffer) => (got += chunk.length));
    await once(answer, "end");
    expect(got).toBe(2000 * 65_536);

    const request = http.request({ port, host: "127.0.0.1", agent: false, method: "PUT" });
    const chunk = Buffer.alloc(65_536);
    let sent = 0;
    while (request.write(chunk) && sent < 3000) sent++;
    for (let quiet = 0; quiet < 5;) {
      const room = await Promise.race([once(request, "drain").then(() => true), turn(40)]);
      if (room !== true) quiet++;
      else while (request.write(chunk) && sent < 3000) sent++;
    }
    // All that the way holds, and no more: the handler has read nothing.
    expect(sent).toBeLessThan(3000);
    release();
    request.end();
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    let text = "";
    for await (const part of response) text += String(part);
    expect(Number(text)).toBe(took);
    expect(took).toBeGreaterThan(sent * 65_536);
    expect(base).toContain("127.0.0.1");
  });

  it("are answered with a status that says no more than it must", async () => {
    const kinds: Record<string, () => Response> = {
      throws: () => {
        throw new Error("secret");
      },
      busy: () => {
        throw new RpcError("overloaded", "queue-full", "secret");
      },
      gone: () => {
        throw new RpcError("disconnected", "connection-lost", "secret");
      },
      unknown: () => {
        throw new RpcError("unimplemented", "method-unimplemented", "secret");
      },
    };
    const base = await start((request) => kinds[new URL(request.url).pathname.slice(1)]!());
    for (const [kind, status] of Object.entries({
      throws: 500,
      busy: 503,
      gone: 502,
      unknown: 501,
    })) {
      const response = await fetch(`${base}/${kind}`);
      expect([kind, response.status, await response.text()]).toEqual([
        kind,
        status,
        `${status} ${http.STATUS_CODES[status]}\n`,
      ]);
    }
    expect(errors.map(String)).toEqual(Array(4).fill("RpcError: secret"));
  });

  it("never look whole when the body of the answer breaks off", async () => {
    const base = await start(
      () =>
        new Response(new Producer(3, new Error("broke"), false, () => new Uint8Array(9)).stream),
    );
    const response = await fetch(base);
    expect(response.status).toBe(200);
    expect(await failure(response.arrayBuffer())).toBeInstanceOf(TypeError);
    await until(() => errors.length === 1);
    expect(String(errors[0])).toContain("broke");
  });

  it("are canceled when the client goes away, before the answer and in it", async () => {
    let aborted = 0;
    const source = new Producer(9999, undefined, false, () => new Uint8Array(65_536));
    const base = await start((request) => {
      request.signal.addEventListener("abort", () => aborted++);
      return request.url.endsWith("/wait") ? new Promise(() => {}) : new Response(source.stream);
    });
    const control = new AbortController();
    const asked = failure(fetch(`${base}/wait`, { signal: control.signal }));
    await turn(50);
    control.abort();
    await asked;
    await until(() => aborted === 1);
    const answer = await ask({});
    answer.destroy();
    await until(() => aborted === 2);
    expect(source.asked).toBeLessThan(9999);
  });

  it("fail at the handler when their body breaks off, and it is no end", async () => {
    let seen: unknown;
    await start(async (request) => {
      seen = await failure(request.text());
      return new Response("never");
    });
    const socket = net.connect(port, "127.0.0.1");
    socket.write("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
    await turn(50);
    socket.destroy();
    await until(() => seen);
    expect(seen).toMatchObject({ type: "disconnected" });
  });

  it("have bounds: of the head, and of the body whether its size was told or not", async () => {
    let started = 0;
    await start(
      async (request) => {
        started++;
        return new Response(String((await request.arrayBuffer()).byteLength));
      },
      { maxBodyBytes: 1000, maxHeaderBytes: 500 },
    );
    expect((await ask({ headers: { "X-Big": "y".repeat(500) } })).statusCode).toBe(431);
    expect((await ask({ method: "POST" }, "z".repeat(1001))).statusCode).toBe(413);
    expect(started).toBe(0);
    const chunked = { method: "POST", headers: { "Transfer-Encoding": "chunked" } };
    expect((await ask(chunked, "z".repeat(1001))).statusCode).toBe(413);
    expect((await ask(chunked, "z".repeat(1000))).statusCode).toBe(200);
  });

  it("that are malformed are turned away, and no header comes in by another", async () => {
    let urls: string[] = [];
    await start((request) => {
      expect(request.headers.get("host") ?? "localhost").toBe(new URL(request.url).host);
      urls.push(request.url);
      return new Response("ok");
    });
    const get = (target: string, host = "Host: a.test"): Promise<string> =>
      raw(`GET ${target} HTTP/1.1`, host, "Connection: close", "", "");
    const status = async (text: Promise<string>): Promise<string> => (await text).slice(9, 12);
    expect(await status(get("/", "Host: a/b"))).toBe("400");
    expect(await status(get("/", "Host: u@a"))).toBe("400");
    expect(await status(get("/", "Host: a:b:c"))).toBe("400");
    expect(await status(get("/", "Host: a.test\r\nhost: b.test"))).toBe("400");
    expect(await status(get("ftp://a.test/"))).toBe("400");
    expect(await status(get("http://u:p@a.test/"))).toBe("400");
    expect(await status(get("*"))).toBe("400");
    expect(await status(raw("BREW / HTTP/1.1", "Host: a", "", ""))).toBe("400");
    expect(await status(raw("SOURCE / HTTP/1.1", "Host: a", "Connection: close", "", ""))).toBe(
      "501",
    );
    expect(urls).toEqual([]);
    expect(await status(get("//evil.test/x"))).toBe("200");
    expect(await status(get("http://other.test/y"))).toBe("200");
    expect(await status(get("/z", "Host: [::1]:80"))).toBe("200");
    expect(urls).toEqual(["http://a.test//evil.test/x", "http://other.test/y", "http://[::1]/z"]);
    urls = [];
    expect(await status(raw("GET /old HTTP/1.0", "", ""))).toBe("200");
    expect(urls).toEqual(["http://localhost/old"]);
  });

  it("ask for no WebSocket where the server has none", async () => {
    await start((request) => new Response(String(request.headers.get("upgrade"))));
    server.removeAllListeners("upgrade");
    const response = await ask({ headers: { Connection: "Upgrade", Upgrade: "websocket" } });
    let text = "";
    for await (const part of response) text += String(part);
    expect([response.statusCode, text]).toEqual([200, "null"]);
  });

  it("go to a service that is opened for each, with what goes beside them", async () => {
    const seen: unknown[] = [];
    const front = httpFront(
      (cf) => {
        seen.push(cf);
        if (cf === "/bad") throw new RpcError("failed", "invalid-argument", "no such place");
        return serveHttp(() => new Response("opened"));
      },
      { cf: (request) => request.url },
    );
    await start(() => new Response("other"));
    server.removeAllListeners("request").on("request", front.request);
    const base = `http://127.0.0.1:${port}`;
    expect(await (await fetch(`${base}/a`)).text()).toBe("opened");
    expect((await fetch(`${base}/bad`)).status).toBe(500);
    expect(seen).toEqual(["/a", "/bad"]);
    front[Symbol.dispose]();
  });
});

describe("WebSockets", () => {
  /** A client, what it sees, and the handshake's headers. */
  async function connect(
    path = "",
    protocols: string[] = [],
  ): Promise<{ ws: WebSocket; log: string[] }> {
    const ws = new WebSocket(`ws://127.0.0.1:${port}/${path}`, protocols);
    const log: string[] = [];
    ws.on("upgrade", ({ headers }) => log.push(`x-room ${String(headers["x-room"])}`));
    ws.on("message", (data: Buffer, binary) =>
      log.push(binary ? `${data.length} bytes` : data.toString()),
    );
    ws.on("error", ({ message }) => log.push(message));
    ws.on("close", (code, reason) => log.push(`close ${code} ${reason.toString()}`));
    await new Promise((resolve) => ws.on("open", resolve).on("close", resolve));
    return { ws, log };
  }

  const events: string[] = [];
  const reasons: string[] = [];
  const echo: HttpHandler = (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/no") return new Response("not here", { status: 404 });
    if (pathname === "/throws") throw new Error("secret");
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => {
      if (data === "close") server.close(4000, "told to");
      else server.send(data as string);
    });
    server.addEventListener("close", ({ code, reason }) => events.push(`${code} ${reason}`));
    server.addEventListener("error", ({ message }) => reasons.push(message));
    const headers = { "X-Room": "7", "Sec-WebSocket-Protocol": "two" };
    return new HttpResponse(null, { status: 101, webSocket: client, headers });
  };

  beforeEach(() => {
    events.length = reasons.length = 0;
  });

  it("carry texts and bytes, and a close from either side", async () => {
    await start(echo);
    const { ws, log } = await connect("", ["one", "two"]);
    expect(ws.protocol).toBe("two");
    ws.send("t\u20acxt");
    ws.send(Buffer.alloc(300_000));
    await until(() => log.length === 3);
    expect(log).toEqual(["x-room 7", "t\u20acxt", "300000 bytes"]);
    ws.close(1000, "bye");
    await until(() => log.length === 4);
    expect(log.at(-1)).toBe("close 1000 bye");
    await until(() => events.length === 1);
    const other = await connect();
    other.ws.send("close");
    await until(() => other.log.length === 2);
    expect(other.log.at(-1)).toBe("close 4000 told to");
    const third = await connect();
    third.ws.close();
    await until(() => events.length === 3);
    expect(events).toEqual(["1000 bye", "4000 told to", "1005 "]);
    expect(errors).toEqual([]);
  });

  it("are lost as such, in either direction", async () => {
    const [near, far] = memoryPair();
    const sessions = [new Session(near), new Session(far, { bootstrap: serveHttp(echo) })];
    await start(echo);
    const front = httpFront(sessions[0]!.bootstrap(), { onError: (error) => errors.push(error) });
    server.removeAllListeners("upgrade").on("upgrade", front.upgrade);
    const { ws } = await connect();
    ws.terminate();
    await until(() => events.length === 1);
    expect(events).toEqual(["1006 "]);
    expect(reasons).toEqual([expect.stringContaining("let go of the WebSocket")]);
    const { log } = await connect();
    await sessions[0]!.close();
    await until(() => log.length === 2);
    expect(log.at(-1)).toBe("close 1006 ");
    expect(errors).toMatchObject([{ code: "connection-closed" }]);
    front[Symbol.dispose]();
  });

  it("are slowed by a client that does not read", async () => {
    let sent = 0;
    let socket!: InstanceType<typeof WebSocketPair>[0];
    await start(() => {
      const { 0: client, 1: server } = new WebSocketPair();
      socket = server;
      server.accept();
      return new HttpResponse(null, { status: 101, webSocket: client });
    });
    const { ws, log } = await connect();
    ws.pause();
    const chunk = new Uint8Array(256 * 1024);
    const send = async (): Promise<void> => {
      for (; sent < 400; sent++) {
        socket.send(chunk);
        await socket.drained();
      }
    };
    const all = send();
    await turn(300);
    expect(sent).toBeLessThan(400);
    ws.resume();
    await all;
    await until(() => log.length === 401);
    ws.close();
    await until(() => log.length === 402);
  });

  it("slow a client whose messages nobody takes", async () => {
    let accept!: () => void;
    let got = 0;
    await start(() => {
      const { 0: client, 1: server } = new WebSocketPair();
      server.addEventListener("message", () => got++);
      accept = () => server.accept();
      return new HttpResponse(null, { status: 101, webSocket: client });
    });
    const { ws, log } = await connect();
    const chunk = Buffer.alloc(256 * 1024);
    let sent = 0;
    const next = (): void => {
      if (sent++ < 400) ws.send(chunk, next);
    };
    next();
    for (let last = 0, quiet = 0; quiet < 6; quiet = last === sent ? quiet + 1 : 0) {
      last = sent;
      await turn(50);
    }
    // All that the way holds has gone, and no more.
    expect(sent).toBeLessThan(200);
    accept();
    await until(() => got === 400);
    ws.close();
    await until(() => log.length === 2);
  });

  it("are refused as requests are", async () => {
    await start(echo, { maxHeaderBytes: 500 });
    expect((await connect("no")).log).toEqual(["Unexpected server response: 404", "close 1006 "]);
    expect((await connect("throws")).log).toEqual([
      "Unexpected server response: 500",
      "close 1006 ",
    ]);
    expect(errors.map(String)).toEqual(["RpcError: secret"]);
    const upgrade = (...lines: string[]): Promise<string> =>
      raw("GET / HTTP/1.1", "Host: a", "Connection: Upgrade", ...lines, "", "");
    const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==";
    expect(await upgrade("Upgrade: websocket", "Sec-WebSocket-Version: 13")).toContain(" 400 ");
    expect(await upgrade("Upgrade: websocket", key)).toContain(" 426 ");
    expect(await upgrade("Upgrade: h2c", "Content-Length: 3")).toContain(" 400 ");
    expect(
      await raw("GET /no HTTP/1.1", "Host: a", "Connection: Upgrade", "Upgrade: h2c", "", ""),
    ).toContain(" 404 ");
    expect(
      await upgrade(
        "Upgrade: websocket",
        key,
        "Sec-WebSocket-Version: 13",
        `X: ${"y".repeat(500)}`,
      ),
    ).toContain(" 431 ");
  });

  it("are closed for a message that is too large, and for bytes that are no frame", async () => {
    await start(echo, { maxMessageBytes: 1000 });
    const { ws, log } = await connect();
    ws.send(Buffer.alloc(1001));
    await until(() => log.length === 2);
    expect(log.at(-1)).toMatch(/^close 1009/);
    await until(() => events.length === 1);
    expect(events).toEqual(["1006 "]);
  });

  it("are canceled when the client goes away before the answer", async () => {
    let aborted = false;
    await start((request) => {
      request.signal.addEventListener("abort", () => (aborted = true));
      return new Promise(() => {});
    });
    const ws = new WebSocket(`ws://127.0.0.1:${port}/`);
    ws.on("error", () => {});
    await turn(50);
    ws.terminate();
    await until(() => aborted);
  });
});
