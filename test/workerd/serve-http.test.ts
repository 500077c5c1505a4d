// Requests to an entry point: by HTTP, as a Worker's `fetch` makes them, and over Cap'n Proto.

import net from "node:net";
import { describe, expect, it } from "vitest";
import { placeOf } from "../../src/cap/dynamic/place.js";
import {
  type FetchInit,
  HttpResponse,
  type PairedWebSocket,
  WebSocketPair,
} from "../../src/http.js";
import { callContext, RpcStub, RpcTarget } from "../../src/node.js";
import {
  connectWorker,
  type Listener,
  serveWorkerd,
  type ServeWorkerdOptions,
  type WorkerdEvent,
  type WorkerSocket,
} from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { cleaningUp } from "../support/residue.js";
import { SLOWLY } from "./bridge/start.js";
import { Visited } from "./serve/kit.js";
import { Lobby } from "./serve/lobby.js";

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("requests of a Worker", () => {
  const cleanUp = cleaningUp();

  it("are answered by fetch, with bodies both ways and WebSockets", async () => {
    const errors: string[] = [];
    const visited = await Visited.begin({
      entrypoint: new Lobby(),
      onError: ({ message }) => errors.push(message),
    });
    cleanUp(() => visited.end());
    const { caller } = visited;
    expect(await caller.page("/x?y=1")).toEqual({
      status: 200,
      text: "hello from http://any.name/x?y=1",
      kind: null,
    });
    expect(await caller.page("/echo", { method: "POST", body: "a body" })).toEqual({
      status: 200,
      text: "a body",
      kind: "echo",
    });
    expect(await caller.upload(1_000_000)).toBe(1_000_000);
    expect(await caller.socket()).toEqual(["got hi", "3 bytes", 1000, "done"]);
    // Nothing of what failed is for whoever asked.
    expect(await caller.page("/fails")).toMatchObject({
      status: 500,
      text: "500 Internal Server Error\n",
    });
    expect(errors).toEqual([expect.stringContaining("no such page")]);
  });
});

interface Asked {
  fetch(input: string, init?: FetchInit & { duplex?: "half" }): Promise<HttpResponse>;
}

/** An entry point for each event, which notes what it was for. */
class Once extends RpcTarget {
  readonly #event: WorkerdEvent;
  readonly #disposed: () => void;

  constructor(event: WorkerdEvent, disposed: () => void) {
    super();
    this.#event = event;
    this.#disposed = disposed;
  }

  get event(): WorkerdEvent {
    return this.#event;
  }

  self(): this {
    return this;
  }

  fetch(request: Request): Response {
    const { pathname } = new URL(request.url);
    if (pathname === "/echo") return new Response(request.body);
    if (pathname === "/fails") throw new TypeError("no page");
    if (request.headers.get("upgrade") === "websocket") {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener("message", ({ data }) => server.send(`got ${String(data)}`));
      return new HttpResponse(null, { status: 101, webSocket: client });
    }
    return Response.json(this.#event);
  }

  [Symbol.dispose](): void {
    this.#disposed();
  }
}

class Silent extends RpcTarget {
  hello(): string {
    return "hello";
  }
}

describe("an entry point that is served to workerd", () => {
  const cleanUp = cleaningUp();

  async function begin<T>(
    options: ServeWorkerdOptions,
    host = "rpc.test",
  ): Promise<{ listener: Listener; socket: WorkerSocket<T> }> {
    const listener = await serveWorkerd("tcp://:0", options);
    cleanUp(() => listener.close());
    const socket = await connectWorker<T>(listener.url, host);
    cleanUp(() => socket.close());
    return { listener, socket };
  }

  /** Fetches as a stub of workerd's does. */
  const asked = (socket: WorkerSocket<unknown>): Asked => socket.entrypoint as unknown as Asked;

  const page = async (listener: Listener, path = "/", init?: RequestInit): Promise<Response> =>
    await fetch(listener.url.replace("tcp:", "http:") + path, init);

  it("is one for each event, if it is made by a function, and ends with that", async () => {
    let disposed = 0;
    const entrypoint = async (event: WorkerdEvent): Promise<Once> => {
      await Promise.resolve();
      return new Once(event, () => disposed++);
    };
    const { listener, socket } = await begin<Once>({ entrypoint });
    expect(await socket.entrypoint.event).toEqual({
      kind: "calls",
      host: "rpc.test",
      cf: undefined,
    });
    await expect.poll(() => disposed, SLOWLY).toBe(1);
    expect(await (await page(listener)).json()).toEqual({
      kind: "request",
      host: listener.url.replace("tcp://", ""),
    });
    await expect.poll(() => disposed, SLOWLY).toBe(2);
    const byCall = await asked(socket).fetch("http://any.name/", { cf: { colo: "here" } });
    expect(await byCall.json()).toEqual({
      kind: "request",
      host: "rpc.test",
      cf: { colo: "here" },
    });
    await expect.poll(() => disposed, SLOWLY).toBe(3);
    const echo = await asked(socket).fetch("http://any.name/echo", {
      method: "POST",
      body: "over Cap'n Proto",
    });
    expect(await echo.text()).toBe("over Cap'n Proto");
  });

  it("is one object also where it gives itself, and is disposed once", async () => {
    let disposed = 0;
    const { socket } = await begin<Once>({
      entrypoint: (event) => new Once(event, () => disposed++),
    });
    const self = await socket.entrypoint.self();
    expect((await self.event).host).toBe("rpc.test");
    await expect(
      Promise.resolve(self.fetch(new Request("http://any.name/"))),
    ).rejects.toMatchObject({ type: "unimplemented" });
    expect(disposed).toBe(0);
    self[Symbol.dispose]();
    await expect.poll(() => disposed, SLOWLY).toBe(1);
    expect(socket.stats()).toMatchObject({ imports: 1, exports: 0 });
  });

  it("takes WebSockets over Cap'n Proto, too", async () => {
    const { socket } = await begin<Once>({ entrypoint: (event) => new Once(event, () => {}) });
    const answer = (await asked(socket).fetch("http://any.name/", {
      headers: { upgrade: "websocket" },
    })) as HttpResponse;
    const webSocket: PairedWebSocket = answer.webSocket!;
    webSocket.accept();
    const message = new Promise((resolve) => {
      webSocket.addEventListener("message", ({ data }) => resolve(data));
    });
    webSocket.send("hi");
    expect(await message).toBe("got hi");
    webSocket.close(1000);
  });

  it("tells who asks over Cap'n Proto what failed, in workerd's words", async () => {
    const { socket } = await begin<Once>({ entrypoint: (event) => new Once(event, () => {}) });
    await expect(asked(socket).fetch("http://any.name/fails")).rejects.toMatchObject({
      message: "no page",
      cause: expect.any(TypeError),
    });
  });

  it("hears that a call is given up", async () => {
    let canceled!: (reason: unknown) => void;
    const heard = new Promise((resolve) => (canceled = resolve));
    class Waiting extends RpcTarget {
      wait(): Promise<void> {
        const { signal } = callContext();
        signal.addEventListener("abort", () => canceled(signal.reason));
        return new Promise(() => {});
      }
    }
    const { socket } = await begin<Waiting>({ entrypoint: new Waiting() });
    const call = socket.entrypoint.wait();
    const failed = Promise.resolve(call).catch((error: unknown) => error);
    await expect.poll(() => socket.stats().messagesIn, SLOWLY).toBeGreaterThan(0);
    call[Symbol.dispose]();
    expect(await heard).toMatchObject({ code: "call-canceled" });
    expect(await failed).toMatchObject({ code: "call-canceled" });
  });

  it("need not answer requests, and is the same for all as an object", async () => {
    const { listener, socket } = await begin<Silent>({ entrypoint: new Silent() });
    expect(await socket.entrypoint.hello()).toBe("hello");
    expect((await page(listener)).status).toBe(501);
    await expect(asked(socket).fetch("http://any.name/")).rejects.toMatchObject({
      type: "unimplemented",
    });
  });

  it("can be a stub, whose own stays its owner's", async () => {
    using stub = new RpcStub(new Silent());
    const { listener, socket } = await begin<Silent>({ entrypoint: stub });
    expect(await socket.entrypoint.hello()).toBe("hello");
    await socket.close();
    await listener.close();
    expect(await stub.hello()).toBe("hello");
  });

  it("does not have fetch for a method, nor anything that is no member", async () => {
    const { socket } = await begin<Lobby>({ entrypoint: new Lobby() });
    const { root } = placeOf(socket.entrypoint)!;
    const ask = (path: string[], args: unknown[] | null): Promise<unknown> =>
      placeOf(root.start(path, args, undefined))!.then(null, null);
    expect(await ask(["add"], [1, 2])).toBe(3);
    for (const name of ["fetch", "seen", "missing", "constructor", "toString", "__proto__"])
      for (const args of [["x"], null])
        await expect(ask([name], args)).rejects.toMatchObject({ type: "unimplemented" });
    await expect(ask(["room", "call"], [null])).rejects.toMatchObject({ type: "unimplemented" });
    await expect(ask([], [])).rejects.toMatchObject({ type: "unimplemented" });
    // The object itself may be asked for: it is what was reached already, and does no more than that.
    using lobby = (await ask([], null)) as RpcStub<Lobby>;
    expect(await lobby.add(2, 3)).toBe(5);
    await expect(
      Promise.resolve(lobby.fetch(new Request("http://any.name/"))),
    ).rejects.toMatchObject({ type: "unimplemented" });
  });

  it("is served at a server of the caller's, too, until the listener is closed", async () => {
    const server = net.createServer();
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    cleanUp(() => server.close());
    const listener = await serveWorkerd(server, { entrypoint: new Silent() });
    const { port } = server.address() as net.AddressInfo;
    expect(listener.url).toBe(`tcp://127.0.0.1:${port}`);
    const socket = await connectWorker<Silent>(listener.url, "rpc.test");
    expect(await socket.entrypoint.hello()).toBe("hello");
    expect((await page(listener)).status).toBe(501);
    await listener.close();
    await socket.session.closed;
    expect(server.listening).toBe(true);
    expect(server.listenerCount("connection")).toBe(0);
  });

  it("is refused when it is none", async () => {
    for (const entrypoint of [{}, "text", null, 5])
      await expect(
        serveWorkerd("tcp://:0", { entrypoint: entrypoint as object }),
      ).rejects.toMatchObject({ code: "invalid-argument" });
    for (const where of ["http://127.0.0.1:0/", "ws://:0/", "nowhere"])
      await expect(serveWorkerd(where, { entrypoint: new Silent() })).rejects.toMatchObject({
        code: "invalid-argument",
      });
    const { socket } = await begin<Silent>({ entrypoint: () => ({}) });
    await expect(Promise.resolve(socket.entrypoint.hello())).rejects.toMatchObject({
      message: /RpcTarget/,
    });
  });
});
