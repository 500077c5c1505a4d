// The bridge to the real workerd: streams, signals, requests and responses as values, and fetch.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RpcError, type RpcStub } from "../../src/node.js";
import { connectWorkerd, type Workerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import type { Api, Desk, Room } from "./bridge/api.js";
import { type Started, startBridge } from "./bridge/start.js";

function streamOf(chunks: number, size: number, pulled: { count: number }): ReadableStream {
  return new ReadableStream(
    {
      pull(controller) {
        if (pulled.count === chunks) return controller.close();
        pulled.count++;
        controller.enqueue(new Uint8Array(size).fill(pulled.count));
      },
    },
    { highWaterMark: 0 },
  );
}

async function sizeOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of stream) size += chunk.length;
  return size;
}

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("streams to and from workerd", () => {
  const before = resources();
  let started: Started;
  let workerd: Workerd;

  beforeAll(async () => {
    started = await startBridge("tcp");
    workerd = await connectWorkerd(started.url);
  });
  afterAll(async () => {
    await workerd.close();
    await started.stop();
    await expectNoResidue(before);
  });

  async function quiet(stubs = 1): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { questions, answers, imports, exports } = workerd.stats();
      const left = { questions, answers, imports, exports };
      const none = { questions: 0, answers: 0, imports: 1 + stubs, exports: 0 };
      if (JSON.stringify(left) === JSON.stringify(none)) return;
      if (tries === 300) expect(left).toEqual(none);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  const room = (): RpcStub<Room> => workerd.getObject("main", "Room", "ab".repeat(32));
  const desk = (): RpcStub<Desk> => workerd.getEntrypoint("main", "Desk");
  const BOTH: [string, () => RpcStub<Api>][] = [
    ["a durable object", room],
    ["an entry point", desk],
  ];

  describe.each(BOTH)("%s", (_, open) => {
    it("reads a stream of ours", async () => {
      using api = open();
      expect(await api.size(streamOf(40, 5000, { count: 0 }))).toBe(200_000);
      expect(await api.size(streamOf(0, 1, { count: 0 }))).toBe(0);
      await quiet();
    });

    it("gives a stream", async () => {
      using api = open();
      expect(await sizeOf(await api.stream(200_000))).toBe(200_000);
      await quiet();
    });

    it("holds back while nobody reads, and is let go of when nobody will", async () => {
      using api = open();
      const { messagesIn } = workerd.stats();
      const stream = await api.stream(10_000_000, 10_000);
      const reader = stream.getReader();
      expect((await reader.read()).value).toHaveLength(10_000);
      await new Promise((resolve) => setTimeout(resolve, 100));
      // Of a thousand writes: workerd has 64 KiB on their way at most.
      expect(workerd.stats().messagesIn - messagesIn).toBeLessThan(40);
      await reader.cancel();
      await quiet();
    });

    it("breaks a stream of ours that breaks", async () => {
      using api = open();
      const broken = new ReadableStream({
        start(controller) {
          controller.enqueue(new Uint8Array(10));
          controller.error(new Error("the disk is gone"));
        },
      });
      await expect(Promise.resolve(api.size(broken))).rejects.toThrow(RpcError);
      const full = new WritableStream({
        write() {
          throw new RangeError("the disk is full");
        },
      });
      const error = await Promise.resolve(api.writeInto(full, 5)).catch(
        (reason: unknown) => reason,
      );
      expect(error).toMatchObject({ message: "the disk is full" });
      expect((error as RpcError).cause).toBeInstanceOf(RangeError);
      await quiet();
    });

    it("lets go of a stream of ours with the call that it was for", async () => {
      using api = open();
      let canceled: unknown = null;
      const endless = new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(1000)),
        cancel: (reason) => void (canceled = reason),
      });
      const controller = new AbortController();
      const call = api.with({ signal: controller.signal }).size(endless);
      call.catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 30));
      controller.abort();
      await expect(call).rejects.toMatchObject({ code: "call-canceled" });
      await quiet();
      expect(canceled).toMatchObject({ code: "call-canceled" });
    });

    it("writes into a stream of ours, and gives one to write into", async () => {
      using api = open();
      const chunks: number[] = [];
      let ended = false;
      const writable = new WritableStream<Uint8Array>({
        write: (chunk) => void chunks.push(chunk.length),
        close: () => void (ended = true),
      });
      await api.writeInto(writable, 5);
      expect(chunks.reduce((a, b) => a + b)).toBe(5000);
      expect(ended).toBe(true);
      using made = await api.sink();
      const writer = made.writable.getWriter();
      for (let i = 0; i < 10; i++) await writer.write(new Uint8Array(3000));
      await writer.close();
      expect(await made.size()).toBe(30_000);
      made[Symbol.dispose]();
      await quiet();
    });

    it("gives a stream to write into by itself, and keeps its event until the end", async () => {
      using api = open();
      const writer = (await api.sinkAlone()).getWriter();
      await new Promise((resolve) => setTimeout(resolve, 30));
      for (let i = 0; i < 3; i++) await writer.write(new Uint8Array(1000 + i));
      await writer.close();
      await expect.poll(() => api.lastSize()).toBe(3003);
      const given = (await api.sinkAlone()).getWriter();
      await given.abort(new Error("not today"));
      await quiet();
    });

    it("pipes the one into the other by a shorter way", async () => {
      using api = open();
      let size = 0;
      const into = new WritableStream<Uint8Array>({
        write: (chunk) => void (size += chunk.length),
      });
      await api.copy(streamOf(30, 4000, { count: 0 }), into);
      expect(size).toBe(120_000);
      expect(await sizeOf(await api.echoStream(streamOf(30, 4000, { count: 0 })))).toBe(120_000);
      await quiet();
    });

    it("follows a signal of ours", async () => {
      using api = open();
      const controller = new AbortController();
      const reason = api.aborted(controller.signal);
      reason.then(undefined, () => {});
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.abort("enough");
      expect(await reason).toBe("enough");
      expect(await api.aborted(AbortSignal.abort("before"))).toBe("before");
      // One that has not fired has nothing left behind when the call is over.
      expect(await api.echoSignal(new AbortController().signal)).toBe(false);
      await quiet();
    });

    it("takes a Request and gives a Response, with their bodies", async () => {
      using api = open();
      const request = new Request("http://any.name/path", {
        method: "POST",
        headers: { "x-ask": "why" },
        body: "the body",
      });
      const response = await api.answer(request);
      expect(response.status).toBe(201);
      expect(response.headers.get("x-answer")).toBe("why");
      expect(await response.text()).toBe("POST /path the body");
      await quiet();
    });

    it("takes Blobs, and calls through such a call", async () => {
      using api = open();
      const blob = new Blob(["hel", "lo"], { type: "text/x-test" });
      expect(await api.describeBlob(blob)).toBe("text/x-test: hello");
      using echoed = api.echoParts({ blob, list: [1, 2] });
      expect(await echoed.list).toEqual([1, 2]);
      echoed[Symbol.dispose]();
      await quiet();
    });

    it("answers requests", async () => {
      using api = open();
      const hello = await api.fetch("http://any.name/there");
      expect(await hello.text()).toBe("hello from /there");
      const echo = await api.fetch("http://any.name/", {
        method: "POST",
        body: streamOf(20, 5000, { count: 0 }),
        duplex: "half",
      });
      expect(await sizeOf(echo.body!)).toBe(100_000);
      const failed = await api.fetch("http://any.name/fails").catch((error: unknown) => error);
      expect(failed).toMatchObject({ message: "no such page", code: "remote-exception" });
      expect((failed as RpcError).cause).toBeInstanceOf(TypeError);
      await quiet();
    });

    it("opens WebSockets", async () => {
      using api = open();
      const response = await api.fetch("http://any.name/", { headers: { upgrade: "websocket" } });
      const socket = response.webSocket!;
      const message = new Promise((resolve) => {
        socket.addEventListener("message", (event: { data: unknown }) => resolve(event.data));
      });
      socket.accept();
      socket.send("hi");
      expect(await message).toBe("got hi");
      socket.close(1000, "done");
      await quiet();
    });
  });

  it("breaks streams of ours when the call that they went with fails", async () => {
    // Of its own: a write that nobody reads is answered when the Worker's garbage is collected.
    await using own = await connectWorkerd(started.url);
    using api = own.getObject<Api>("main", "Room", "ab".repeat(32));
    let canceled: unknown = null;
    const endless = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(1000)),
      cancel: (reason) => void (canceled = reason),
    });
    await expect(Promise.resolve(api.refuses(endless))).rejects.toThrow("no streams here");
    await expect.poll(() => canceled).toMatchObject({ message: "no streams here" });
    let aborted: unknown = null;
    const writable = new WritableStream({ abort: (reason) => void (aborted = reason) });
    await expect(Promise.resolve(api.refuses(writable))).rejects.toThrow("no streams here");
    await expect.poll(() => aborted).toMatchObject({ message: "no streams here" });
  });

  it("gives and takes the stub of an object as workerd does", async () => {
    using api = desk();
    using call = api.room("lobby");
    // Through the promise it can be called.
    expect(await call.add(1, 2)).toBe(3);
    const token = await call;
    expect(await api.token(token)).toBe(42);
    call[Symbol.dispose]();
    await quiet();
  });
});
