// WebSockets: pairs in one process, and over a capability, with every way in which they end.

import { expect, it } from "vitest";
import { HttpResponse } from "../../src/http/response.js";
import { PairedWebSocket, type SocketCloseEvent, WebSocketPair } from "../../src/http/websocket.js";
import { failure, Pair, URL_OF } from "./kit.js";

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const WS = { headers: { Upgrade: "websocket" } };

/** What happens at a socket, as text. */
function listen(socket: PairedWebSocket, log: string[] = []): string[] {
  socket.addEventListener("message", ({ data }) => {
    log.push(typeof data === "string" ? data : `${(data as ArrayBuffer).byteLength} bytes`);
  });
  socket.addEventListener("error", ({ message }) => log.push(`error ${message}`));
  socket.addEventListener("close", ({ code, reason, wasClean }) =>
    log.push(`close ${code} ${reason} ${wasClean ? "clean" : "unclean"}`),
  );
  socket.accept();
  return log;
}

/** A service whose socket is given to `use` when it was asked for. */
function serving(use: (socket: PairedWebSocket, request: Request) => void, headers = {}): Pair {
  return new Pair((request) => {
    const { 0: client, 1: server } = new WebSocketPair();
    use(server, request);
    return new HttpResponse(null, { status: 101, webSocket: client, headers });
  });
}

async function open(pair: Pair): Promise<PairedWebSocket> {
  const response = (await pair.run(pair.http.fetch(URL_OF, WS))) as HttpResponse;
  expect(response).toMatchObject({ status: 101, ok: false, body: null });
  return response.webSocket!;
}

it("is a pair: what is sent at one end arrives at the other, in order, once that is accepted", async () => {
  const { 0: a, 1: b } = new WebSocketPair();
  expect(() => a.send("too early")).toThrow("accept()");
  const atA = listen(a);
  a.send("one");
  a.send(Uint8Array.of(1, 2));
  await turn();
  expect(a.bufferedAmount).toBeGreaterThan(0);
  const atB = listen(b);
  b.onmessage = ({ data }) => atB.push(`on ${String(data)}`);
  const buffer = new ArrayBuffer(3);
  b.send(buffer);
  a.send("three");
  await turn();
  expect(atB).toEqual(["one", "on one", "2 bytes", "on [object ArrayBuffer]", "three", "on three"]);
  expect(atA).toEqual(["3 bytes"]);
  expect(a.bufferedAmount).toBe(0);
  a.close(4001, "enough");
  expect([a.readyState, PairedWebSocket.CLOSING, a.CLOSING]).toEqual([2, 2, 2]);
  expect(() => a.send("too late")).toThrow("closed");
  await turn();
  expect(atB.at(-1)).toBe("close 4001 enough clean");
  expect(atA.at(-1)).toBe("close 4001 enough clean");
  expect([a.readyState, b.readyState]).toEqual([3, 3]);
  a.send("into nothing");
  expect(() => b.accept()).toThrow("already");
});

it("copies bytes, gives Blobs on request, and refuses what is no message or no close", async () => {
  const { 0: a, 1: b } = new WebSocketPair();
  const got: unknown[] = [];
  b.binaryType = "blob";
  b.addEventListener("message", { handleEvent: ({ data }) => void got.push(data) });
  b.accept();
  listen(a);
  const bytes = Uint8Array.of(7);
  a.send(bytes);
  bytes[0] = 9;
  await turn();
  expect(new Uint8Array(await (got[0] as Blob).arrayBuffer())).toEqual(Uint8Array.of(7));
  expect(() => a.send({} as never)).toThrow(TypeError);
  expect(() => a.send("x".repeat(32 * 1024 * 1024 + 1))).toThrow("at most");
  for (const code of [0, 999, 1004, 1005, 1006, 1015, 5000, 1.5])
    expect(() => a.close(code), String(code)).toThrow("code");
  expect(() => a.close(1000, "\u20ac".repeat(42))).toThrow("123");
  expect(() => a.close(undefined, "why")).toThrow("reason");
  expect(a.readyState).toBe(1);
});

it("has a bound for what waits, and says when it has gone", async () => {
  const { 0: a, 1: b } = new WebSocketPair();
  listen(a);
  const large = new Uint8Array(30 * 1024 * 1024);
  a.send(large);
  a.send(large);
  expect(() => a.send(large)).toThrow("drained()");
  let drained = false;
  void a.drained().then(() => (drained = true));
  await turn();
  expect(drained).toBe(false);
  const atB = listen(b);
  await turn();
  expect(drained).toBe(true);
  expect(atB).toHaveLength(2);
});

it("C-FLO-23: carries texts and bytes both ways over a capability, and a close from the client", async () => {
  const log: string[] = [];
  const pair = serving(
    (server, request) => {
      expect(request.headers.get("upgrade")).toBe("websocket");
      listen(server, log);
      server.addEventListener("message", ({ data }) => server.send(data as string));
    },
    { "X-Room": "7", "Sec-WebSocket-Protocol": "chat" },
  );
  const response = (await pair.run(pair.http.fetch(URL_OF, WS))) as HttpResponse;
  expect(response.headers.get("x-room")).toBe("7");
  const socket = response.webSocket!;
  expect(socket.protocol).toBe("chat");
  const got = listen(socket);
  socket.send("hello \u20ac");
  socket.send(new Uint8Array(100_000));
  socket.send(Uint8Array.of(1, 2, 3).subarray(1));
  socket.send("");
  await pair.rest();
  expect(log).toEqual(["hello \u20ac", "100000 bytes", "2 bytes", ""]);
  expect(got).toEqual(log);
  socket.close(1000, "bye");
  await pair.rest();
  expect(log.at(-1)).toBe("close 1000 bye clean");
  expect(got.at(-1)).toBe("close 1000 bye clean");
  await pair.done();
});

it("is closed by the server, after what it sent before", async () => {
  const pair = serving((server) => {
    listen(server);
    server.send("last words");
    server.close();
  });
  const got = listen(await open(pair));
  await pair.rest();
  expect(got).toEqual(["last words", "close 1005  clean"]);
  await pair.done();
});

it("is opened by webSocket(), which takes nothing else for an answer", async () => {
  let seen: string[] = [];
  const pair = new Pair((request) => {
    seen = [...request.headers].map(String);
    if (!request.url.endsWith("/ws")) return new Response("no", { status: 426 });
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.close(1001);
    return new HttpResponse(null, { status: 101, webSocket: client });
  });
  const socket = await pair.run(
    pair.http.webSocket("ws://host.test/ws", { headers: { "X-A": "1" }, protocols: ["a", "b"] }),
  );
  expect(seen).toEqual(["sec-websocket-protocol,a, b", "upgrade,websocket", "x-a,1"]);
  const got = listen(socket);
  await pair.rest();
  expect(got).toEqual(["close 1001  clean"]);
  const refused = pair.run(failure(pair.http.webSocket("ws://host.test/other")));
  expect(await refused).toMatchObject({
    code: "no-response",
    message: expect.stringMatching(/426/) as unknown,
  });
  await pair.done();
});

it("is slowed by whoever is slow at the far side", async () => {
  const { 0: client, 1: server } = new WebSocketPair();
  const pair = new Pair(() => new HttpResponse(null, { status: 101, webSocket: client }));
  const socket = await open(pair);
  listen(socket);
  const chunk = new Uint8Array(64 * 1024);
  for (let i = 0; i < 100; i++) socket.send(chunk);
  await pair.rest();
  // Nobody has accepted the far end: some windows are on their way, and the rest is here.
  expect(socket.bufferedAmount).toBeGreaterThan(90 * 64 * 1024);
  const log = listen(server);
  const drained = socket.drained();
  await pair.run(drained);
  for (let i = 0; i < 5; i++) await pair.rest();
  expect(log).toHaveLength(100);
  socket.close(1000);
  await pair.rest();
  await pair.done();
});

it("breaks with 1006 at both sides when the connection is lost", async () => {
  const log: string[] = [];
  const pair = serving((server) => void listen(server, log));
  const got = listen(await open(pair));
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(got).toEqual([expect.stringMatching(/^error /), "close 1006  unclean"]);
  expect(log).toEqual([expect.stringMatching(/^error /), "close 1006  unclean"]);
  pair.http[Symbol.dispose]();
  pair.raw.release();
  await pair.rest();
  pair.net.assertEmpty();
});

it("C-FLO-23: breaks when the signal of its request aborts", async () => {
  const log: string[] = [];
  const pair = serving((server) => void listen(server, log));
  const control = new AbortController();
  const socket = await pair.run(pair.http.webSocket(URL_OF, { signal: control.signal }));
  const got = listen(socket);
  control.abort(new Error("leaving"));
  await pair.rest();
  expect(got).toEqual(["error leaving", "close 1006  unclean"]);
  expect(log.at(-1)).toBe("close 1006  unclean");
  await pair.done();
});

it("refuses a message that is too large, and closes with 1009", async () => {
  const log: string[] = [];
  const { 0: client, 1: server } = new WebSocketPair();
  listen(server, log);
  const pair = new Pair(() => new HttpResponse(null, { status: 101, webSocket: client }), {
    maxMessageBytes: 1000,
  });
  const socket = await open(pair);
  const got = listen(socket);
  socket.send(new Uint8Array(1000));
  socket.send(new Uint8Array(1001));
  await pair.rest();
  expect(log[0]).toBe("1000 bytes");
  expect(log.at(-1)).toBe("close 1006  unclean");
  expect(got).toEqual(["close 1009 message too large clean"]);
  await pair.done();
});

it("fails the request when a handler gives a socket nobody asked for, or one that it accepted", async () => {
  const pair = new Pair((request) => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    if (request.method === "GET") client.accept();
    return new HttpResponse(null, { status: 101, webSocket: client });
  });
  const unasked = await pair.run(failure(pair.http.fetch(URL_OF, { method: "POST" })));
  expect(unasked.message).toContain("nobody asked");
  const accepted = await pair.run(failure(pair.http.fetch(URL_OF, WS)));
  expect(accepted.message).toContain("was accepted");
  await pair.done();
});

it("loses the socket of a request that was given up before its answer", async () => {
  const { 0: client, 1: server } = new WebSocketPair();
  const log = listen(server);
  let answer!: (response: Response) => void;
  const pair = new Pair(() => new Promise((resolve) => (answer = resolve)));
  const control = new AbortController();
  const asked = failure(pair.http.webSocket(URL_OF, { signal: control.signal }));
  await pair.rest();
  control.abort(new Error("too slow"));
  expect((await asked).message).toBe("too slow");
  await pair.rest();
  answer(new HttpResponse(null, { status: 101, webSocket: client }));
  await pair.rest();
  expect(log.at(-1)).toBe("close 1006  unclean");
  await pair.done();
});

it("tells a close by the class of the event", async () => {
  const { 0: a, 1: b } = new WebSocketPair();
  a.accept();
  const closed = new Promise<SocketCloseEvent>((resolve) => (b.onclose = resolve));
  b.accept();
  a.close(1000);
  expect(await closed).toMatchObject({ type: "close", code: 1000, wasClean: true });
  expect(() => new HttpResponse(null, { status: 101, webSocket: a }).clone()).toThrow("no second");
  expect(() => new HttpResponse("body", { status: 101, webSocket: a })).toThrow("no body");
});

it("takes the largest message behind another that nobody has taken", async () => {
  const { 0: client, 1: server } = new WebSocketPair();
  const pair = new Pair(() => new HttpResponse(null, { status: 101, webSocket: client }));
  const socket = await open(pair);
  listen(socket);
  socket.send("small");
  await pair.rest();
  socket.send("x".repeat(32 * 1024 * 1024));
  await pair.rest();
  const sizes: number[] = [];
  server.addEventListener("message", ({ data }) => sizes.push((data as string).length));
  server.accept();
  for (let i = 0; i < 5; i++) await pair.rest();
  expect(sizes).toEqual([5, 32 * 1024 * 1024]);
  socket.close();
  await pair.rest();
  await pair.done();
});
