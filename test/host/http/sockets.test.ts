// WebSockets of objects that last as long as the activation, and those that outlive it.

import { beforeEach, describe, expect, it } from "vitest";
import { ONE_CAPABILITY } from "../../../src/cap/stream/protocol.js";
import { HOLD, holderOf } from "../../../src/hook/holder.js";
import { CallRequest, type Hook } from "../../../src/hook/hook.js";
import { Payload } from "../../../src/hook/payload.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import type { HttpResponse } from "../../../src/http.js";
import { type RequestHead, writeRequest } from "../../../src/http/messages.js";
import { SERVICE_HI, SERVICE_LO, SERVICE_REQUEST } from "../../../src/http/protocol.js";
import { crash, evict, VirtualClock } from "../../../src/testing.js";
import { Foreign } from "../../http/kit.js";
import { reports, settle, testHost, type TestHostOptions } from "../kit.js";
import { Chat, open, URL_OF } from "./kit.js";

beforeEach(() => Chat.reset());

async function room(options: TestHostOptions = {}) {
  const host = await testHost({ ROOMS: Chat }, options);
  return { host, stub: host.env.ROOMS.getByName("lobby") };
}

describe("a WebSocket that an object accepts by itself", () => {
  it("has its messages come through the gates, and keeps the object active", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    const client = await open(stub, "/plain");
    store.hold = { reads: true, flushes: true };
    client.ws.send("a");
    client.ws.send("b");
    await settle();
    expect(Chat.log).toEqual(["heard a"]);
    store.hold = { flushes: true };
    store.releaseReads();
    await settle();
    expect(Chat.log).toEqual(["heard a", "heard b"]);
    expect(client.log).toEqual([]);
    store.hold = {};
    store.flush();
    await settle();
    expect(client.log).toEqual(["a 1", "b 2"]);
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    client.ws.close(1000);
    await settle();
    expect(Chat.log.at(-1)).toBe("closed 1000 true");
    expect(await evict(stub)).toBe(true);
  });

  it("is cut off when the object breaks", async () => {
    const { stub, host } = await room();
    const client = await open(stub, "/plain");
    crash(stub, new Error("a fault"));
    await settle();
    expect(client.log.at(-1)).toBe("close 1006 ");
    expect(host.activeObjects).toBe(0);
  });
});

describe("a WebSocket that outlives the activation", () => {
  it("is greeted, with the headers of the response, and its messages come in order", async () => {
    const { stub } = await room();
    const client = await open(stub, "/?greet");
    for (let i = 0; i < 20; i++) client.ws.send(`echo ${i}`);
    client.ws.send(new Uint8Array(7));
    await settle();
    expect(client.log).toEqual(["welcome", ...Array.from({ length: 20 }, (_, i) => String(i))]);
    expect(Chat.log.at(-1)).toBe("7 bytes");
  });

  it("wakes the object, with its tags and what was attached to it", async () => {
    const { stub, host } = await room();
    const a = await open(stub, "/?tag=x&tag=y&tag=x&attach=first");
    const b = await open(stub, "/?tag=y");
    a.ws.send("same");
    await settle();
    expect(await evict(stub)).toBe(true);
    expect([host.activeObjects, host.webSockets, Chat.starts]).toEqual([0, 2, 1]);
    a.ws.send("tags");
    a.ws.send("attached");
    a.ws.send("attach again");
    await settle();
    expect(Chat.starts).toBe(2);
    expect(await evict(stub)).toBe(true);
    a.ws.send("attached");
    b.ws.send("attached");
    b.ws.send("all x");
    b.ws.send("all");
    await settle();
    expect(a.log).toEqual(["true", "x,y", '"first"', '{"text":"again"}', "to all", "to all"]);
    expect(b.log).toEqual(["null", "to all"]);
    expect(await stub.count()).toBe(2);
    expect(await stub.count("x")).toBe(1);
    expect(Chat.starts).toBe(3);
  });

  it("keeps a reference that was attached to it", async () => {
    const { stub } = await room();
    const client = await open(stub);
    client.ws.send("befriend ann");
    await settle();
    expect(await evict(stub)).toBe(true);
    client.ws.send("friend");
    await settle(60);
    expect(client.log).toEqual(["hello from ann"]);
    expect(reports).toEqual([]);
  });

  it("is evicted when it has been idle, by itself", async () => {
    const clock = new VirtualClock();
    const { stub, host } = await room({ clock });
    const client = await open(stub);
    await clock.advance(30_000);
    expect([host.activeObjects, host.webSockets]).toEqual([0, 1]);
    client.ws.send("echo back");
    await settle();
    expect(client.log).toEqual(["back"]);
    client.ws.close(1000, "enough");
    await settle();
    expect(host.webSockets).toBe(0);
  });

  it("is sent nothing before what was written is on the disk, and nothing else ever", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    const client = await open(stub);
    store.hold = { flushes: true };
    client.ws.send("put one");
    await settle();
    expect(client.log).toEqual([]);
    store.flush();
    await settle();
    expect(client.log).toEqual(["stored one"]);
    client.ws.send("put two");
    await settle();
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    crash(stub);
    await settle();
    expect(client.log).toEqual(["stored one", "close 1011 the object is broken"]);
    store.hold = {};
    store.flush();
  });

  it("is answered only when what was written before is on the disk", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    await stub.hello();
    store.hold = { flushes: true };
    let opened = false;
    const opening = open(stub, "/?write").then((client) => {
      opened = true;
      return client;
    });
    await settle();
    expect(opened).toBe(false);
    store.hold = {};
    store.flush();
    await opening;
  });

  it("has its messages wait for the gate", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    const client = await open(stub);
    store.hold = { reads: true };
    client.ws.send("get");
    client.ws.send("echo behind");
    await settle();
    expect(Chat.log).toEqual(["get"]);
    store.hold = {};
    store.releaseReads();
    await settle();
    expect(Chat.log).toEqual(["get", "got undefined", "echo behind"]);
  });

  it("tells how it ended, and is the object's no more", async () => {
    const { stub, host } = await room();
    const a = await open(stub, "/?tag=a");
    const b = await open(stub, "/?tag=b");
    a.ws.close(4001, "bye");
    await settle();
    b.ws.send("close over");
    await settle();
    expect(Chat.log).toEqual([
      "closed 4001 bye true a 1 3",
      "close over",
      "closed 4000 over true b 0 3",
    ]);
    expect(a.log).toEqual(["close 4001 bye"]);
    expect(b.log).toEqual(["close 4000 over"]);
    expect(await stub.count()).toBe(0);
    expect(host.webSockets).toBe(0);
    expect(await evict(stub)).toBe(true);
  });

  it("wakes the object for its end, too", async () => {
    const { stub } = await room();
    const client = await open(stub, "/?tag=a");
    await evict(stub);
    client.ws.close(1000);
    await settle();
    expect(Chat.log).toEqual(["closed 1000  true a 0 3"]);
    expect(Chat.starts).toBe(2);
  });

  it("ends when whoever asked gives up, without a close", async () => {
    const { stub, host } = await room();
    const giveUp = new AbortController();
    const init = { headers: { Upgrade: "websocket" }, signal: giveUp.signal };
    await stub.fetch(`${URL_OF}/?tag=a`, init);
    await evict(stub);
    giveUp.abort(new Error("gone"));
    await settle();
    expect(Chat.log).toEqual([
      "closed 1006 WebSocket disconnected without sending Close frame. false a 0 3",
    ]);
    expect(host.webSockets).toBe(0);
  });

  it("ends when the request is given up, whoever still holds the rest of it", async () => {
    const { stub, host } = await room();
    const hook = holderOf(stub)![HOLD](false);
    const down = new Foreign((call) => call.returns());
    const held: Hook[] = [];
    const context = new Foreign((call) => {
      held.push(call.params.caps[0]!.addRef());
      call.returns(new Payload(ONE_CAPABILITY, [down.hook()]));
    });
    const head: RequestHead = {
      method: "GET",
      url: URL_OF,
      headers: [["Upgrade", "websocket"]],
      size: 0,
    };
    const params = new Payload(writeRequest(head), [context.hook()]);
    const request = new CallRequest(SERVICE_HI, SERVICE_LO, SERVICE_REQUEST, params);
    const results = hook.call(request);
    await settle();
    expect([held.length, host.webSockets]).toEqual([1, 1]);
    results.cancel();
    await settle();
    expect(Chat.log).toHaveLength(1);
    expect([host.webSockets, down.drops, context.drops]).toEqual([0, 1, 1]);
    held[0]!.release();
    hook.release();
  });

  it("is closing for the next activation, too, until the client has closed it", async () => {
    const { stub, host } = await room();
    const response = await stub.fetch(URL_OF, { headers: { Upgrade: "websocket" } });
    await stub.closeAll();
    expect(await stub.states()).toEqual([2]);
    expect(await evict(stub)).toBe(true);
    expect(await stub.states()).toEqual([2]);
    (response as HttpResponse).webSocket!.accept();
    await settle();
    expect(Chat.log).toEqual(["closed 4000 all true  0 3"]);
    expect(host.webSockets).toBe(0);
  });

  it("is out of reach for what is left of an activation that was evicted", async () => {
    const { stub } = await room();
    const client = await open(stub);
    const [left] = Chat.accepted;
    expect(await evict(stub)).toBe(true);
    left!.send("from the past");
    await stub.say("from now");
    await settle();
    expect(client.log).toEqual(["from now"]);
  });

  it("is closed with 1011 when the object breaks, asleep or not, and its own code hears nothing of it", async () => {
    const { stub, host } = await room();
    const a = await open(stub);
    const b = await open(stub);
    await evict(stub);
    a.ws.send("abort no more");
    await settle();
    expect(a.log).toEqual(["close 1011 the object is broken"]);
    expect(b.log).toEqual(["close 1011 the object is broken"]);
    expect(Chat.log).toEqual(["abort no more"]);
    expect([host.webSockets, host.activeObjects]).toEqual([0, 0]);
  });

  it("is closed with 1011 when the object does not start", async () => {
    const { stub, host } = await room();
    const client = await open(stub);
    await evict(stub);
    Chat.log.push("refuse to start");
    client.ws.send("echo hello");
    await settle();
    expect(client.log).toEqual(["close 1011 the object is broken"]);
    expect(host.webSockets).toBe(0);
    Chat.reset();
    expect(await host.env.ROOMS.getByName("lobby").hello()).toBe("hello");
  });

  it("is closed with 1001 when the host is closed, asleep or not", async () => {
    const { stub, host } = await room();
    const asleep = await open(host.env.ROOMS.getByName("other"));
    await evict(host.env.ROOMS.getByName("other"));
    const awake = await open(stub);
    await host.close();
    await settle();
    expect(asleep.log).toEqual(["close 1001 the host is closed"]);
    expect(awake.log).toEqual(["close 1001 the object is closed"]);
    expect(host.webSockets).toBe(0);
  });

  it("goes on when a method for it throws, which is reported", async () => {
    const { stub } = await room();
    const client = await open(stub);
    client.ws.send("fail once");
    client.ws.send("echo on");
    await settle();
    expect(client.log).toEqual(["on"]);
    expect(reports.splice(0)).toEqual(["ROOMS/lobby: webSocketMessage: once"]);
  });

  it("is nobody's when the method that accepted it throws, or gives it to nobody", async () => {
    const { stub, host } = await room();
    await expect(open(stub, "/?fail")).rejects.toThrow("changed its mind");
    expect(await stub.count()).toBe(1);
    expect(await evict(stub)).toBe(true);
    expect(host.webSockets).toBe(0);
  });

  it("is not kept when whoever asked has gone before it was given", async () => {
    const { stub, host } = await room();
    const giveUp = new AbortController();
    const init = { headers: { Upgrade: "websocket" }, signal: giveUp.signal };
    const opening = stub.fetch(`${URL_OF}/?wait`, init);
    await settle();
    giveUp.abort(new Error("too long"));
    await expect(opening).rejects.toThrow("too long");
    Chat.gate.resolve();
    await settle();
    expect(await evict(stub)).toBe(true);
    expect(host.webSockets).toBe(0);
  });

  it("comes in one order with the calls of the stub", async () => {
    const { stub } = await room();
    const opening = open(stub);
    const count = stub.count();
    expect(await count).toBe(1);
    await opening;
  });
});

describe("backpressure", () => {
  it("reaches a client while the object cannot be woken, and loses nothing", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    const client = await open(stub);
    await evict(stub);
    store.hold = { reads: true };
    for (let i = 0; i < 20; i++) client.ws.send(`${i} ${"x".repeat(20_000)}`);
    await settle(100);
    // What the object cannot take stays with the client, but for a window.
    expect(client.ws.bufferedAmount).toBeGreaterThan(300_000);
    expect(Chat.log).toEqual([]);
    store.hold = {};
    store.releaseReads();
    await settle(100);
    expect(client.ws.bufferedAmount).toBe(0);
    expect(Chat.log.map((text) => Number.parseInt(text, 10))).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
  });

  it("reaches the object when a client does not read, and keeps it active", async () => {
    const { stub } = await room();
    const response = await stub.fetch(URL_OF, { headers: { Upgrade: "websocket" } });
    const slow = (response as unknown as { webSocket: Awaited<ReturnType<typeof open>>["ws"] })
      .webSocket;
    const fast = await open(stub);
    await stub.say("flood");
    for (let i = 0; i < 20; i++) await stub.say("y".repeat(20_000));
    await settle(50);
    expect(fast.log.length).toBe(21);
    expect(await stub.buffered()).toBeGreaterThan(300_000);
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    let got = 0;
    slow.addEventListener("message", () => got++);
    slow.accept();
    await settle(100);
    expect(got).toBe(21);
    expect(await stub.buffered()).toBe(0);
    expect(await evict(stub)).toBe(true);
  });

  it("lets the object go on through its gate", async () => {
    const store = new FaultyStore();
    const { stub } = await room({ store });
    const response = await stub.fetch(URL_OF, { headers: { Upgrade: "websocket" } });
    const { webSocket } = response as HttpResponse;
    // More than what goes on its way at once.
    await stub.say("z".repeat(100_000));
    const drained = stub.drain();
    await settle();
    store.hold = { reads: true };
    const reads = stub.reads();
    await settle();
    webSocket!.accept();
    await settle();
    expect(store.pendingReads).toBe(1);
    store.hold = {};
    store.releaseReads();
    await Promise.all([drained, reads]);
    expect(Chat.log).toEqual(["read", "drained undefined"]);
  });
});

describe("an automatic answer", () => {
  it("is given without waking the object, and it is known when", async () => {
    const clock = new VirtualClock(5000);
    const { stub } = await room({ clock });
    const client = await open(stub);
    client.ws.send("ping");
    client.ws.send("answered");
    client.ws.send("auto");
    client.ws.send("ping");
    await settle();
    expect(await evict(stub)).toBe(true);
    clock.jump(6000);
    client.ws.send("ping");
    client.ws.send(new TextEncoder().encode("ping"));
    await settle();
    client.ws.send("answered");
    await settle();
    expect(client.log).toEqual(["null", "pong", "pong", "6000"]);
    expect(Chat.log).toEqual(["ping", "answered", "auto", "4 bytes", "answered"]);
    expect(Chat.starts).toBe(2);
  });
});

describe("limits", () => {
  it("of tags, sockets, attachments and automatic answers are refused with their codes", async () => {
    const { stub } = await room({ limits: { sockets: 3, attachmentBytes: 100 } });
    await open(stub);
    const eleven = Array.from({ length: 11 }, (_, i) => `tag${i}`);
    expect(await stub.tryAccept(eleven)).toBe("limit-exceeded");
    expect(await stub.tryAccept(["x".repeat(257)])).toBe("limit-exceeded");
    expect(await stub.tryAccept([7])).toBe("invalid-argument");
    expect(await stub.tryAccept([], true)).toBe("invalid-state");
    expect(await stub.count()).toBe(1);
    expect(await stub.tryAccept(eleven.slice(1))).toBe("accepted");
    expect(await stub.tryAccept(["x".repeat(256)])).toBe("accepted");
    expect(await stub.tryAccept([])).toBe("limit-exceeded");
    expect(await stub.tryAttach(200)).toBe("limit-exceeded");
    expect(await stub.tryAttach(20)).toBe("attached");
    expect(await stub.tryAutoResponse(2049)).toBe("limit-exceeded");
    expect(await stub.tryAutoResponse(2048)).toBe("2048");
  });
});
