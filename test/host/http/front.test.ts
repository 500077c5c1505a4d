// Objects behind a server of Node's and behind connections: real WebSockets on loopback that sleep and wake, slow readers.

import { once } from "node:events";
import http from "node:http";
import type net from "node:net";
import { beforeEach, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { HttpClient, type HttpResponse, serveHttp } from "../../../src/http.js";
import { httpFront, memoryPair, serve, Session } from "../../../src/node.js";
import { crash, evict, hibernate } from "../../../src/testing.js";
import { cleaningUp } from "../../support/residue.js";
import { settle, testHost } from "../kit.js";
import { Chat, open } from "./kit.js";

const until = async (what: () => unknown): Promise<void> => {
  await expect.poll(what, { timeout: 20_000, interval: 5 }).toBeTruthy();
};

const cleanUp = cleaningUp();
beforeEach(() => Chat.reset());

/** A front whose `fetch` passes requests on to objects, as a Worker does. */
async function front() {
  const host = await testHost({ ROOMS: Chat });
  const errors: unknown[] = [];
  const service = serveHttp((request) => {
    const { pathname } = new URL(request.url);
    return host.env.ROOMS.getByName(pathname.split("/")[2] ?? "lobby").fetch(request);
  });
  const served = httpFront(service, { onError: (error) => errors.push(error) });
  const server = http.createServer({ keepAliveTimeout: 100 }, served.request);
  server.on("upgrade", served.upgrade).listen(0, "127.0.0.1");
  await once(server, "listening");
  cleanUp(() => {
    server.closeAllConnections();
    server.close();
    served[Symbol.dispose]();
  });
  const { port } = server.address() as net.AddressInfo;
  const url = `ws://127.0.0.1:${port}`;
  return { host, url, errors, stub: host.env.ROOMS.getByName("lobby") };
}

interface Browser {
  readonly ws: WebSocket;
  readonly log: string[];
}

async function connect(url: string): Promise<Browser> {
  const ws = new WebSocket(url);
  const log: string[] = [];
  ws.on("message", (data: Buffer, binary) =>
    log.push(binary ? `${data.length} bytes` : String(data)),
  );
  ws.on("close", (code, reason) => log.push(`close ${code} ${String(reason)}`));
  ws.on("error", ({ message }) => log.push(message));
  cleanUp(() => ws.terminate());
  await once(ws, "open");
  return { ws, log };
}

describe("an object behind a server of Node's", () => {
  it("sleeps and wakes while its clients stay connected", async () => {
    const { url, stub, host } = await front();
    const ann = await connect(`${url}/x/lobby?greet&tag=ann`);
    const bob = await connect(`${url}/x/lobby?tag=bob`);
    await until(() => ann.log.length === 1);
    expect(await hibernate(stub)).toBe(2);
    expect(host.activeObjects).toBe(0);
    ann.ws.send("all");
    await until(() => bob.log.length === 1);
    bob.ws.send(Buffer.from([1, 2, 3]));
    bob.ws.send("tags");
    await until(() => bob.log.length === 2);
    expect(ann.log).toEqual(["welcome", "to all"]);
    expect(bob.log).toEqual(["to all", "bob"]);
    expect(Chat.log).toEqual(["all", "3 bytes", "tags"]);
    expect(Chat.starts).toBe(2);
    expect(await hibernate(stub)).toBe(2);
    ann.ws.close(4001, "bye");
    await until(() => Chat.log.length === 4);
    bob.ws.terminate();
    await until(() => Chat.log.length === 5);
    await until(() => ann.log.at(-1) === "close 4001 bye");
    expect(Chat.log.slice(3)).toEqual([
      "closed 4001 bye true ann 1 3",
      "closed 1006 WebSocket disconnected without sending Close frame. false bob 0 3",
    ]);
    expect(host.webSockets).toBe(0);
    expect(await evict(stub)).toBe(true);
  });

  it("has its sockets closed when it breaks: with 1011, or without a word where it accepted them by itself", async () => {
    const { url, stub, host } = await front();
    const kept = await connect(`${url}/x/lobby`);
    const plain = await connect(`${url}/plain/lobby`);
    plain.ws.send("hello");
    await until(() => plain.log.length === 1);
    await expect(hibernate(stub)).rejects.toThrow("accepted by itself");
    crash(stub);
    await until(() => kept.log.length === 1 && plain.log.length === 2);
    expect(kept.log).toEqual(["close 1011 the object is broken"]);
    expect(plain.log).toEqual(["hello 1", "close 1006 "]);
    expect([host.webSockets, host.activeObjects]).toEqual([0, 0]);
  });

  it("is slowed by a client that does not read, and by nobody else", async () => {
    const { url, stub, host } = await front();
    const slow = await connect(`${url}/x/lobby?tag=slow`);
    const fast = await connect(`${url}/x/lobby?tag=fast`);
    slow.ws.pause();
    // 100 messages of a megabyte: more than what the system keeps for a connection.
    slow.ws.send("flood 1000000");
    fast.ws.send("flood 1000000");
    await until(() => fast.log.length === 100);
    const sentToSlow = () => Chat.log.filter((line) => line.startsWith("sent")).length - 100;
    expect(sentToSlow()).toBeLessThan(60);
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    slow.ws.resume();
    await until(() => slow.log.length === 100);
    await settle();
    expect(sentToSlow()).toBe(100);
    expect(await evict(stub)).toBe(true);
    expect(host.webSockets).toBe(2);
  });

  it("pushes back on a client while it cannot take anything", async () => {
    const { url, stub } = await front();
    const client = await connect(`${url}/x/lobby`);
    await stub.occupy();
    for (let i = 0; i < 100; i++) client.ws.send(Buffer.alloc(1_000_000));
    await settle(200);
    expect(Chat.log).toEqual([]);
    expect(client.ws.bufferedAmount).toBeGreaterThan(40_000_000);
    Chat.gate.resolve();
    await until(() => Chat.log.length === 100);
  });

  it("answers requests that ask for no WebSocket with its own response", async () => {
    const { url, errors } = await front();
    const response = await fetch(`${url.replace("ws", "http")}/x/lobby`);
    expect(response.status).toBe(500);
    expect(String(errors)).toContain("nobody asked for one");
  });
});

describe("an object at the other end of a connection", () => {
  it("is asked by any client of HTTP, and its sockets sleep there, too", async () => {
    const host = await testHost({ ROOMS: Chat });
    const stub = host.env.ROOMS.getByName("lobby");
    const [here, there] = memoryPair();
    await using _server = new Session(there, { bootstrap: serve(stub) });
    await using session = new Session(here);
    using client = session.bootstrap(HttpClient);
    const socket = await client.webSocket("ws://object.test/?tag=far");
    const log: string[] = [];
    socket.addEventListener("message", ({ data }) => log.push(String(data)));
    socket.addEventListener("close", ({ code }) => log.push(`close ${code}`));
    socket.accept();
    socket.send("echo one");
    await settle(100);
    expect(await hibernate(stub)).toBe(1);
    socket.send("tags");
    await settle(100);
    expect(log).toEqual(["one", "far"]);
    expect(await hibernate(stub)).toBe(1);
    await session.close();
    await settle(100);
    expect(Chat.log.at(-1)).toMatch(/^closed 1006 /);
    expect(log.at(-1)).toBe("close 1006");
    expect(host.webSockets).toBe(0);
  });
});

describe("an object that opens a WebSocket of another", () => {
  it("gets its messages through its own gate, and stays active as long as it is open", async () => {
    const host = await testHost({ ROOMS: Chat });
    const here = host.env.ROOMS.getByName("here");
    const there = host.env.ROOMS.getByName("there");
    await here.join("there");
    await settle();
    expect(Chat.log).toEqual(["echo from here", "joined: from here"]);
    await expect(evict(here)).rejects.toMatchObject({ code: "invalid-state" });
    expect(await hibernate(there)).toBe(1);
    await there.say("close");
    await settle();
    expect(Chat.log.at(-1)).toBe("joined: close");
    crash(there);
    await settle();
    expect(Chat.log.at(-1)).toBe("left 1011");
    expect(await evict(here)).toBe(true);
  });
});

it("passes a socket on as it got it", async () => {
  const host = await testHost({ ROOMS: Chat });
  const relay = serveHttp((request) => host.env.ROOMS.getByName("lobby").fetch(request));
  using client = new HttpClient(relay);
  const response = (await client.fetch("http://object.test/", {
    headers: { Upgrade: "websocket" },
  })) as HttpResponse;
  expect(response.headers.get("x-room")).toBe("lobby");
  const direct = await open(host.env.ROOMS.getByName("lobby"));
  response.webSocket!.accept();
  response.webSocket!.send("all");
  await settle();
  expect(direct.log).toEqual(["to all"]);
});
