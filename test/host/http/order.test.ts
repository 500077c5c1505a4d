// Requests and calls of one stub in one order, wherever they come from; what an object does with its sockets when it starts.

import { expect, it } from "vitest";
import { DurableObject, MemoryStore } from "../../../src/host.node.js";
import {
  HttpClient,
  HttpResponse,
  type PairedWebSocket,
  WebSocketPair,
} from "../../../src/http.js";
import { memoryPair, RpcStub, serve, Session } from "../../../src/node.js";
import { hibernate } from "../../../src/testing.js";
import { settle, testHost } from "../kit.js";
import { URL_OF } from "./kit.js";

class Log extends DurableObject {
  readonly lines: string[] = [];

  async fetch(request: Request): Promise<Response> {
    this.lines.push(new URL(request.url).pathname.slice(1));
    await this.ctx.storage.get("something");
    return new Response(null, { status: 204 });
  }
  async note(line: string): Promise<void> {
    this.lines.push(line);
    await this.ctx.storage.get("something");
  }
  all(): string[] {
    return this.lines;
  }
}

/** Numbers that are the same in each run. */
function* numbers(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state;
  }
}

it("comes as it was made: calls, requests, and turns in between, near and far", async () => {
  const host = await testHost({ LOGS: Log });
  for (let seed = 1; seed <= 20; seed++) {
    const near = host.env.LOGS.getByName(`log ${seed}`);
    const [here, there] = memoryPair();
    await using _server = new Session(there, { bootstrap: serve(near) });
    await using session = new Session(here);
    using far = session.bootstrap(RpcStub<Log>);
    using client = new HttpClient(far);
    const isFar = seed % 2 === 0;
    const expected: string[] = [];
    const pending: PromiseLike<unknown>[] = [];
    const random = numbers(seed);
    for (let i = 0; i < 40; i++) {
      const choice = random.next().value! >>> 28;
      const line = `${i}`;
      if (choice < 7) {
        pending.push(
          (isFar ? client : near).fetch(`${URL_OF}/${line}`).then(({ status }) => status),
        );
        expected.push(line);
      } else if (choice < 14) {
        pending.push((isFar ? far : near).note(line));
        expected.push(line);
      } else await settle(1);
    }
    await Promise.all(pending);
    expect(await near.all(), `seed ${seed}`).toEqual(expected);
  }
});

class Presence extends DurableObject {
  readonly names: string[] = [];

  constructor(ctx: never, env: never) {
    super(ctx, env);
    for (const socket of this.ctx.getWebSockets()) {
      this.names.push(String(socket.deserializeAttachment()));
      socket.send(`still ${this.ctx.getTags(socket).join()}`);
    }
    void this.ctx.storage.put("started", true);
  }
  fetch(request: Request): Response {
    const { 0: client, 1: server } = new WebSocketPair();
    const name = new URL(request.url).pathname.slice(1);
    this.ctx.acceptWebSocket(server, [name]);
    server.serializeAttachment(name);
    this.names.push(name);
    return new HttpResponse(null, { status: 101, webSocket: client });
  }
  webSocketMessage(ws: PairedWebSocket): void {
    ws.send(this.names.join());
  }
}

it("finds its sockets when it starts again", async () => {
  const host = await testHost({ ROOMS: Presence }, { store: new MemoryStore() });
  using stub = host.env.ROOMS.getByName("lobby");
  using web = new HttpClient(stub);
  const heard: string[] = [];
  for (const name of ["ann", "bob"]) {
    const socket = await web.webSocket(`ws://object.test/${name}`);
    socket.addEventListener("message", ({ data }) => heard.push(`${name}: ${String(data)}`));
    socket.accept();
    if (name === "bob") {
      expect(await hibernate(stub)).toBe(2);
      socket.send("who is there?");
    }
  }
  await settle();
  expect(heard.sort()).toEqual(["ann: still ann", "bob: ann,bob", "bob: still bob"]);
});
