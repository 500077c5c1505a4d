// fetch over a capability: heads and bodies in both directions, at any speed, and every way in which they end.

import { getEventListeners } from "node:events";
import { expect, it } from "vitest";
import { HttpClient } from "../../src/http/client.js";
import { HttpResponse } from "../../src/http/response.js";
import { LocalHook } from "../../src/hook/local.js";
import { HttpService, serveHttp } from "../../src/http/server.js";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import type { Holder } from "../../src/hook/holder.js";
import { all, Producer, streamOf } from "../dynamic/streams/kit.js";
import { gc } from "../hostile/memory.js";
import { failure, Pair, URL_OF } from "./kit.js";

const bytes = (n: number): Uint8Array => new Uint8Array(n);
const lengths = (chunks: readonly unknown[]): number[] =>
  (chunks as Uint8Array[]).map((chunk) => chunk.length);

it("carries a request and its response, with all that is in their heads", async () => {
  let seen: Record<string, unknown> = {};
  const pair = new Pair(async (request) => {
    const { method, url, headers } = request;
    seen = { method, url, headers: [...headers], body: await request.text() };
    return new Response("an answer", {
      status: 418,
      statusText: "A Teapot",
      headers: [
        ["Set-Cookie", "a=1; Path=/"],
        ["Set-Cookie", "b=2"],
        ["X-Custom", "caf\u00e9"],
        ["Content-Type", "text/tea"],
      ],
    });
  });
  const response = await pair.run(
    pair.http.fetch(URL_OF, {
      method: "PUT",
      body: "some t\u00e9xt",
      headers: { "X-Mine": "1", "Accept-Encoding": "gzip, deflate", Cookie: "c=3" },
    }),
  );
  expect(seen).toEqual({
    method: "PUT",
    url: URL_OF,
    headers: [
      ["accept-encoding", "gzip, deflate"],
      ["content-type", "text/plain;charset=UTF-8"],
      ["cookie", "c=3"],
      ["x-mine", "1"],
    ],
    body: "some t\u00e9xt",
  });
  expect(response).toMatchObject({ status: 418, statusText: "A Teapot", ok: false });
  expect(response.headers.getSetCookie()).toEqual(["a=1; Path=/", "b=2"]);
  expect(response.headers.get("x-custom")).toBe("caf\u00e9");
  expect(response.headers.get("content-type")).toBe("text/tea");
  expect(await pair.run(response.text())).toBe("an answer");
  await pair.done();
});

it.each(["GET", "HEAD", "POST", "DELETE", "PATCH", "OPTIONS", "PURGE", "M-SEARCH", "QUERY", "BAN"])(
  "asks with the method %s",
  async (method) => {
    const pair = new Pair((request) => new Response(request.method));
    const response = await pair.run(pair.http.fetch(URL_OF, { method }));
    expect(await pair.run(response.text())).toBe(method === "HEAD" ? "" : method);
    await pair.done();
  },
);

it("refuses a method that has no number, before anything is sent", async () => {
  const pair = new Pair(() => new Response("never"));
  const source = new Producer(1, undefined, false, () => bytes(1));
  const asked = pair.http.fetch(URL_OF, { method: "BREW", body: source.stream });
  expect(await pair.run(failure(asked))).toMatchObject({ code: "invalid-argument" });
  expect(source.canceled).toMatchObject({ code: "invalid-argument" });
  await pair.done();
});

it.each([
  ["204", "GET", 204],
  ["205", "GET", 205],
  ["304", "GET", 304],
  ["HEAD", "HEAD", 200],
])("has no body for %s", async (_, method, status) => {
  const pair = new Pair(
    () =>
      new Response(method === "HEAD" ? "unseen" : null, {
        status,
        headers: { "Content-Length": "6" },
      }),
  );
  const response = await pair.run(pair.http.fetch(URL_OF, { method }));
  expect(response.status).toBe(status);
  expect(response.body).toBeNull();
  expect(response.headers.get("content-length")).toBe("6");
  await pair.done();
});

it("tells the size of a body that is known, and of no other", async () => {
  const seen: (string | null)[] = [];
  const pair = new Pair(async (request) => {
    seen.push(request.headers.get("content-length"));
    const { length } = await request.text();
    return length > 0 ? new HttpResponse("known") : new Response("unknown");
  });
  const known = await pair.run(pair.http.fetch(URL_OF, { method: "POST", body: "\u20ac" }));
  expect(known.headers.get("content-length")).toBe("5");
  expect(await pair.run(known.text())).toBe("known");
  const unknown = await pair.run(
    pair.http.fetch(URL_OF, { method: "POST", body: streamOf<Uint8Array>() }),
  );
  expect(unknown.headers.get("content-length")).toBeNull();
  expect(await pair.run(unknown.text())).toBe("unknown");
  expect(seen).toEqual([null, null]);
  await pair.done();
});

it("is asked with a Request, whose body it uses up, and passes one on", async () => {
  const pair = new Pair((request) => new Response(request.body));
  const through = new HttpClient(
    serveHttp(async (request) => pair.http.fetch(request), { scheduler: pair.guest.scheduler }),
  );
  const request = new Request(URL_OF, { method: "POST", body: "round and round" });
  const response = await pair.run(through.fetch(request));
  expect(await pair.run(response.text())).toBe("round and round");
  expect(request.bodyUsed).toBe(true);
  expect(await failure(through.fetch(request))).toBeInstanceOf(TypeError);
  through[Symbol.dispose]();
  await pair.done();
});

it("C-FLO-23: echoes while the request still flows, in both directions at once", async () => {
  const pair = new Pair((request) => new Response(request.body));
  let send!: ReadableStreamDefaultController<Uint8Array>;
  const body = new ReadableStream<Uint8Array>({ start: (controller) => void (send = controller) });
  const response = await pair.run(pair.http.fetch(URL_OF, { method: "POST", body }));
  const reader = response.body!.getReader();
  for (let i = 1; i < 4; i++) {
    send.enqueue(bytes(i));
    expect((await pair.run(reader.read())).value).toHaveLength(i);
  }
  send.close();
  expect((await pair.run(reader.read())).done).toBe(true);
  await pair.done();
});

it("stops a producer whose reader stops, and goes on with it: response", async () => {
  const source = new Producer(64, undefined, false, () => bytes(65_536));
  const pair = new Pair(() => new Response(source.stream));
  const response = await pair.run(pair.http.fetch(URL_OF));
  await pair.rest();
  const before = source.asked;
  expect(before).toBeLessThan(8);
  const reader = response.body!.getReader();
  let size = 0;
  for (;;) {
    const { done, value } = await pair.run(reader.read());
    if (done) break;
    size += value.length;
  }
  expect(size).toBe(64 * 65_536);
  await pair.done();
});

it("stops a producer whose reader stops: request", async () => {
  let read!: () => void;
  const reads = new Promise<void>((resolve) => (read = resolve));
  const source = new Producer(64, undefined, false, () => bytes(65_536));
  const pair = new Pair(async (request) => {
    await reads;
    return new Response(String((await request.arrayBuffer()).byteLength));
  });
  const asked = pair.http.fetch(URL_OF, { method: "POST", body: source.stream });
  await pair.rest();
  expect(source.asked).toBeLessThan(8);
  read();
  expect(await pair.run((await pair.run(asked)).text())).toBe(String(64 * 65_536));
  await pair.done();
});

it("reads a body into a buffer of the reader's", async () => {
  const pair = new Pair(() => new Response(streamOf(bytes(3000), bytes(4000))));
  const response = await pair.run(pair.http.fetch(URL_OF));
  const reader = response.body!.getReader({ mode: "byob" });
  expect((await pair.run(reader.read(new Uint8Array(8000)))).value).toHaveLength(3000);
  expect((await pair.run(reader.read(new Uint8Array(8000)))).value).toHaveLength(4000);
  expect((await pair.run(reader.read(new Uint8Array(8)))).done).toBe(true);
  await pair.done();
});

it("fails with what the handler throws", async () => {
  const pair = new Pair(() => {
    throw new RangeError("not today");
  });
  const error = await pair.run(failure(pair.http.fetch(URL_OF)));
  expect(error).toMatchObject({ code: "remote-exception", message: "not today" });
  await pair.done();
});

const used = new Response("read before");
await used.text();

it.each([
  ["nothing", undefined],
  ["an error response", Response.error()],
  ["a used response", used],
])("fails when the handler returns %s", async (_, returned) => {
  const pair = new Pair(() => returned as Response);
  const error = await pair.run(failure(pair.http.fetch(URL_OF)));
  expect(error).toMatchObject({
    type: "failed",
    message: expect.stringMatching(/returned/) as unknown,
  });
  await pair.done();
});

it("gives a response whose body fails what it failed with, and no end", async () => {
  const source = new Producer(2, new Error("the disk is gone"), false, () => bytes(4));
  const pair = new Pair(() => new Response(source.stream));
  const response = await pair.run(pair.http.fetch(URL_OF));
  const error = await pair.run(failure(response.text()));
  expect(error.message).toContain("the disk is gone");
  await pair.done();
});

it("fails with what the body of the request failed with, and cancels the request", async () => {
  let aborted = false;
  let seen: unknown = null;
  const pair = new Pair(async (request) => {
    request.signal.addEventListener("abort", () => (aborted = true));
    seen = await failure(request.text());
    return new Response("never");
  });
  const source = new Producer(2, new Error("no more paper"), false, () => bytes(4));
  const asked = pair.http.fetch(URL_OF, { method: "POST", body: source.stream });
  expect((await pair.run(failure(asked))).message).toBe("no more paper");
  await pair.rest();
  expect(seen).toMatchObject({ message: "no more paper" });
  expect(aborted).toBe(true);
  await pair.done();
});

it.each(["more", "less"])(
  "never takes a body with %s bytes than announced for a whole one",
  async (way) => {
    const { noteSize } = await import("../../src/http/sizes.js");
    const lying = (): ReadableStream<Uint8Array> => {
      const stream = streamOf(bytes(3), bytes(way === "more" ? 9 : 1));
      noteSize(stream, 8);
      return stream;
    };
    const pair = new Pair(async (request) =>
      request.method === "POST" ? new Response(await request.text()) : new Response(lying()),
    );
    const response = await pair.run(pair.http.fetch(URL_OF));
    expect(await pair.run(failure(response.text()))).toMatchObject({
      message: expect.stringMatching(/than the 8 bytes/) as unknown,
    });
    const body = lying();
    const asked = pair.http.fetch(
      new Request(URL_OF, { method: "POST", body, duplex: "half" } as RequestInit),
    );
    expect(await pair.run(failure(asked))).toMatchObject({ code: "body-length" });
    await pair.done();
  },
);

it("tells the handler and the source of the response when the reader cancels", async () => {
  let aborted = false;
  const source = new Producer(99, undefined, false, () => bytes(65_536));
  const pair = new Pair((request) => {
    request.signal.addEventListener("abort", () => (aborted = true));
    return new Response(source.stream);
  });
  const response = await pair.run(pair.http.fetch(URL_OF));
  const reader = response.body!.getReader();
  await pair.run(reader.read());
  await pair.run(reader.cancel("enough"));
  await pair.rest();
  expect(source.canceled).not.toBe("not canceled");
  expect(aborted).toBe(true);
  await pair.done();
});

it("C-FLO-23: is canceled by its signal: before, while it waits, and while the body flows", async () => {
  let aborts = 0;
  const pair = new Pair((request) => {
    request.signal.addEventListener("abort", () => aborts++);
    if (request.url.endsWith("wait")) return new Promise<Response>(() => {});
    return new Response(new Producer(1, undefined, true).stream);
  });
  const reason = new Error("changed my mind");
  const before = pair.http.fetch(URL_OF, { signal: AbortSignal.abort(reason) });
  expect(await failure(before)).toBe(reason);
  const waiting = new AbortController();
  const asked = failure(pair.http.fetch("http://host.test/wait", { signal: waiting.signal }));
  await pair.rest();
  waiting.abort(reason);
  expect(await pair.run(asked)).toBe(reason);
  const flowing = new AbortController();
  const response = await pair.run(pair.http.fetch(URL_OF, { signal: flowing.signal }));
  const text = failure(response.text());
  flowing.abort(reason);
  expect(await pair.run(text)).toBe(reason);
  await pair.rest();
  expect(aborts).toBe(2);
  await pair.done();
});

it("leaves nothing at a signal that outlives the request", async () => {
  const pair = new Pair(() => new Response("short"));
  const { signal } = new AbortController();
  for (let i = 0; i < 3; i++) {
    const response = await pair.run(pair.http.fetch(URL_OF, { signal }));
    expect(await pair.run(response.text())).toBe("short");
  }
  await pair.rest();
  // The platform's Requests follow it, each by a listener that Node lets go with the Request.
  const ours = getEventListeners(signal, "abort").filter((listener) =>
    String(listener).includes("exchange"),
  );
  expect(ours).toEqual([]);
  await pair.done();
});

it("answers before the request's body has come, and lets go of the rest", async () => {
  const source = new Producer(99, undefined, false, () => bytes(65_536));
  const pair = new Pair(() => new Response("too much", { status: 413 }));
  const response = await pair.run(pair.http.fetch(URL_OF, { method: "POST", body: source.stream }));
  expect(response.status).toBe(413);
  expect(await pair.run(response.text())).toBe("too much");
  await pair.rest();
  expect(source.canceled).not.toBe("not canceled");
  await pair.done();
});

it("answers though the handler cancels the request's body first", async () => {
  const source = new Producer(99, undefined, false, () => bytes(65_536));
  const pair = new Pair(async (request) => {
    await request.body!.cancel("no thanks");
    await new Promise((resolve) => setTimeout(resolve, 0));
    return new Response("fine");
  });
  const asked = pair.http.fetch(URL_OF, { method: "POST", body: source.stream });
  await pair.rest();
  const response = await pair.run(asked);
  expect(await pair.run(response.text())).toBe("fine");
  expect(source.canceled).toBe("no thanks");
  await pair.done();
});

it("fails in all its parts when the connection is lost", async () => {
  let lost: unknown = null;
  const pair = new Pair(async (request) => {
    if (request.method === "POST") lost = await failure(request.text());
    return new Response(new Producer(1, undefined, true).stream);
  });
  const body = new Producer(1, undefined, true).stream;
  const asked = failure(pair.http.fetch(URL_OF, { method: "POST", body }));
  const response = await pair.run(pair.http.fetch(URL_OF));
  const text = failure(response.text());
  pair.net.cut("guest", "host");
  expect(await pair.run(asked)).toMatchObject({ type: "disconnected" });
  expect(await pair.run(text)).toMatchObject({ type: "disconnected" });
  await pair.rest();
  expect(lost).toMatchObject({ type: "disconnected" });
  pair.http[Symbol.dispose]();
  pair.raw.release();
  await pair.rest();
  pair.net.assertEmpty();
});

it("opens a service for each request, with what goes beside it", async () => {
  const seen: unknown[] = [];
  const pair = new Pair((_, { cf }) => new Response(JSON.stringify(cf)), { cf: { colo: "XYZ" } });
  const opened = new HttpClient((cf) => {
    seen.push(cf);
    return pair.raw.addRef();
  });
  const response = await pair.run(opened.fetch(URL_OF, { cf: { tlsVersion: "1.3" } }));
  expect(await pair.run(response.json())).toEqual({ colo: "XYZ" });
  expect(seen).toEqual([{ tlsVersion: "1.3" }]);
  await pair.done();
});

it("serves a handler of this process as it does one of afar", async () => {
  const http = new HttpClient(serveHttp((request) => new Response(request.body)));
  const source = streamOf(bytes(5), bytes(100_000));
  const response = await http.fetch(URL_OF, { method: "POST", body: source });
  expect(lengths(await all(response.body!))).toEqual([5, 65_536, 34_464]);
  http[Symbol.dispose]();
  expect(await failure(http.fetch(URL_OF))).toMatchObject({ code: "capability-disposed" });
  expect(() => new HttpClient({} as never)).toThrow("there is no service");
});

it("has statics and checks of its own in HttpResponse", async () => {
  const json = HttpResponse.json({ a: 1 }, { status: 201 });
  expect(json).toBeInstanceOf(Response);
  expect(json.headers.get("content-type")).toBe("application/json");
  expect([json.status, json.ok, json.webSocket, await json.clone().json()]).toEqual([
    201,
    true,
    null,
    { a: 1 },
  ]);
  expect(() => new HttpResponse(null, { status: 101 })).toThrow("webSocket");
  expect(HttpResponse.redirect("http://elsewhere.test/").status).toBe(302);
});

it("is a reference like any other: objects hand services out", async () => {
  class Api extends RpcTarget {
    web(): HttpClient {
      return new HttpClient(serveHttp((request) => new Response(new URL(request.url).pathname)));
    }
  }
  using api = new RpcStub(new Api());
  const stub = (await api.web()) as unknown as Holder;
  const web = new HttpClient(stub);
  (stub as unknown as Disposable)[Symbol.dispose]();
  expect(await (await web.fetch(URL_OF)).text()).toBe("/path");
  web[Symbol.dispose]();
});

it("keeps the order of requests and of calls by stubs, though a request has a body", async () => {
  const log: string[] = [];
  class Room extends RpcTarget {
    say(text: string): void {
      log.push(text);
    }
  }
  const rooms = new Room();
  const scheduler = processScheduler();
  const object = serve(rooms);
  const http = new HttpService(async (request) => {
    log.push(new URL(request.url).pathname);
    return new Response(await request.text());
  });
  // What a host of objects does: calls and requests of one object in one line.
  const both = new LocalHook(
    {
      dispatch(one) {
        if (HttpService.isCalledBy(one)) return http.dispatch(one);
        (object as LocalHook).server.dispatch(one);
      },
      dropped: () => object.release(),
    },
    scheduler,
  );
  const stub = new RpcStub<Room>(both as never);
  const web = new HttpClient(stub as unknown as Holder);
  const all = [
    stub.say("one"),
    web.fetch("http://h/two", { method: "POST", body: "x" }),
    stub.say("three"),
    web.fetch("http://h/four"),
  ];
  await Promise.all(all);
  expect(log).toEqual(["one", "/two", "three", "/four"]);
  stub[Symbol.dispose]();
  web[Symbol.dispose]();
});

it("is given up when nobody holds the response any more", async () => {
  let aborted = false;
  const source = new Producer(999, undefined, false, () => bytes(65_536));
  const pair = new Pair((request) => {
    if (request.method === "HEAD") return new Response(null);
    request.signal.addEventListener("abort", () => (aborted = true));
    return new Response(source.stream);
  });
  await (async () => {
    const response = await pair.run(pair.http.fetch(URL_OF));
    expect(response.status).toBe(200);
  })();
  // An engine may keep what it handled last a while longer.
  for (let i = 0; i < 20 && !aborted; i++) {
    await pair.run(pair.http.fetch(URL_OF, { method: "HEAD" }));
    gc();
    await new Promise((resolve) => setTimeout(resolve, 2));
    await pair.rest();
  }
  expect(aborted).toBe(true);
  expect(source.canceled).not.toBe("not canceled");
  await pair.done();
});
