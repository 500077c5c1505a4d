// Role: HTTP by capability within one browser page: what the test that drives the browser compares with what Node does.
// State: none.

import { HttpClient, HttpResponse, serveHttp, WebSocketPair } from "../../src/http.js";
import { memoryPair, Session } from "../../src/index.js";

/** Asks a service over a connection within this program, and tells what came. */
export async function report(): Promise<Record<string, unknown>> {
  const service = serveHttp((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/throws") throw new RangeError("not today");
    if (pathname === "/echo") return new Response(request.body, { headers: { "X-Seen": "1" } });
    if (pathname === "/none") return new Response(null, { status: 204 });
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(data as string));
    return new HttpResponse(null, { status: 101, webSocket: client });
  });
  const [near, far] = memoryPair();
  const client = new Session(near);
  const server = new Session(far, { bootstrap: service });
  const web = client.bootstrap(HttpClient);
  const found: Record<string, unknown> = {};

  const text = await web.fetch("http://page.test/echo", { method: "POST", body: "a t\u20acxt" });
  found["echo"] = [text.status, text.headers.get("x-seen"), await text.text()];

  const big = new Uint8Array(300_000).fill(7);
  const streamed = await web.fetch("http://page.test/echo", {
    method: "PUT",
    body: new Blob([big]).stream(),
  });
  const back = new Uint8Array(await streamed.arrayBuffer());
  found["stream"] = [back.length, back.every((byte) => byte === 7)];

  const none = await web.fetch("http://page.test/none");
  found["none"] = [none.status, none.body];

  found["error"] = await web.fetch("http://page.test/throws").then(
    () => "no error",
    (error: Error) => error.message,
  );

  const control = new AbortController();
  const endless = new ReadableStream<Uint8Array>({ pull: () => new Promise(() => {}) });
  const flowing = await web.fetch("http://page.test/echo", {
    method: "POST",
    body: endless,
    signal: control.signal,
  });
  // Chromium's text() has a TypeError of its own for whatever a body fails with.
  const reading = flowing
    .body!.getReader()
    .read()
    .then(
      () => "no error",
      (error: Error) => error.message,
    );
  control.abort(new Error("enough"));
  found["aborted"] = await reading;

  const socket = await web.webSocket("ws://page.test/socket");
  const log: unknown[] = [];
  const closed = new Promise((resolve) => {
    socket.addEventListener("close", ({ code, wasClean }) => resolve([code, wasClean]));
  });
  socket.addEventListener("message", ({ data }) => {
    log.push(typeof data === "string" ? data : (data as ArrayBuffer).byteLength);
    if (log.length === 2) socket.close(1000, "done");
  });
  socket.accept();
  socket.send("hello");
  socket.send(Uint8Array.of(1, 2, 3));
  found["close"] = await closed;
  found["messages"] = log;

  web[Symbol.dispose]();
  await client.close();
  await server.closed;
  return found;
}

Object.assign(globalThis, { report });
