// fetch and WebSockets against the real workerd, by its debug port: an entrypoint and a Durable Object that it runs.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { programPath } from "../../interop/workerd/workerd.js";
import { CallRequest, connect, type Hook, Payload, type Session } from "../../src/node.js";
import { HttpClient, type HttpResponse, type PairedWebSocket } from "../../src/http.js";
import { ContentBuilder } from "../../src/wire/struct.js";
import { streamOf } from "../dynamic/streams/kit.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { failure } from "./kit.js";

const DEBUG_PORT = [0xea5b0b48, 0x7aea7327] as const;
const WORKER_BOOTSTRAP = [0x878048cd, 0xa334ade3] as const;
const EVENT_DISPATCHER = [0xf2069747, 0x5ec1752d] as const;
const builder = new ContentBuilder();

/** Calls, and gives the capability that is the first pointer of what comes back. */
function ask(on: Hook, [hi, lo]: readonly [number, number], method: number, texts: string[]): Hook {
  const params = builder.root(1, 3);
  texts.forEach((text, index) => {
    if (text !== "") params.text(index, text);
  });
  const results = on.call(new CallRequest(hi, lo, method, new Payload(builder.finish())));
  const hook = results.pipeline([0]);
  results.cancel();
  return hook;
}

/** The service of one event of the Worker or the object behind `bootstrap`. */
function openEvent(bootstrap: Hook, cf: unknown): Hook {
  const texts = cf === undefined ? [] : [JSON.stringify(cf)];
  const dispatcher = ask(bootstrap, WORKER_BOOTSTRAP, 0, texts);
  const service = ask(dispatcher, EVENT_DISPATCHER, 0, []);
  dispatcher.release();
  return service;
}

const url = (name: string): string => `http://worker.test/${name}`;

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("with workerd", () => {
  let folder: string;
  let stop: () => Promise<void>;
  let session: Session;
  let debugPort: Hook;
  const before = resources();

  beforeAll(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-http-"));
    const socket = path.join(folder, "debug-port");
    const config = path.join(import.meta.dirname, "workerd/config.capnp");
    const child = spawn(
      programPath(),
      ["serve", config, `--debug-port=unix:${socket}`, "--control-fd=3"],
      { stdio: ["ignore", "inherit", "pipe", "pipe"] },
    );
    let complaint = "";
    child.stderr!.on("data", (chunk) => (complaint = (complaint + String(chunk)).slice(-4000)));
    const ended = once(child, "close");
    stop = async () => {
      child.kill("SIGKILL");
      await ended;
      if (complaint !== "") console.log(`workerd said: ${complaint.trim()}`);
    };
    await Promise.race([once(child.stdio[3] as Readable, "data"), ended]);
    session = await connect(`unix:${socket}`);
    debugPort = session.bootstrap();
  });
  afterAll(async () => {
    debugPort.release();
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { exports, questions, answers } = session["link"].connection.stats();
    await session.close();
    await stop();
    fs.rmSync(folder, { recursive: true, force: true });
    expect({ exports, questions, answers }).toEqual({ exports: 0, questions: 0, answers: 0 });
    await expectNoResidue(before);
  });

  const places = ["entrypoint", "object"] as const;
  let bootstrap: Hook;

  describe.each(places)("%s", (place) => {
    let http: HttpClient;
    beforeAll(() => {
      bootstrap =
        place === "object"
          ? ask(debugPort, DEBUG_PORT, 1, ["main", "Room", "ca".repeat(32)])
          : ask(debugPort, DEBUG_PORT, 0, ["main"]);
      const to = bootstrap;
      http = new HttpClient((cf) => openEvent(to, cf));
    });
    afterAll(() => bootstrap.release());

    async function open(name: string): Promise<{ socket: PairedWebSocket; log: string[] }> {
      const response = (await http.fetch(url(name), {
        headers: { Upgrade: "websocket" },
      })) as HttpResponse;
      expect(response.status).toBe(101);
      const socket = response.webSocket!;
      const log: string[] = [];
      socket.addEventListener("message", ({ data }) => {
        log.push(typeof data === "string" ? data : `${(data as ArrayBuffer).byteLength} bytes`);
      });
      socket.addEventListener("close", ({ code, reason }) => log.push(`close ${code} ${reason}`));
      socket.accept();
      return { socket, log };
    }

    const logged = async (log: string[], count: number): Promise<void> => {
      await expect.poll(() => log.length, { timeout: 60_000 }).toBe(count);
    };

    it("carries heads", async () => {
      const response = await http.fetch(url("head"), {
        method: "OPTIONS",
        headers: { "X-A": "1", "Accept-Encoding": "gzip, deflate", Cookie: "c=3" },
        cf: { colo: "XYZ" },
      });
      expect(response).toMatchObject({ status: 202, statusText: "Taken" });
      expect(response.headers.getSetCookie()).toEqual(["a=1", "b=2"]);
      expect(response.headers.get("x-b")).toBe("2");
      expect(await response.json()).toEqual({
        method: "OPTIONS",
        url: url("head"),
        headers: [
          ["accept-encoding", "gzip, deflate"],
          ["cookie", "c=3"],
          ["x-a", "1"],
        ],
        cf: { colo: "XYZ" },
      });
    });

    it("sends bodies whose size is known, and whose is not", async () => {
      const known = await http.fetch(url("size"), { method: "POST", body: "x".repeat(200_000) });
      expect(await known.text()).toBe("200000");
      const body = streamOf(new Uint8Array(5), new Uint8Array(100_000));
      const unknown = await http.fetch(url("size"), { method: "POST", body });
      expect(await unknown.text()).toBe("100005");
    });

    it("has a body echoed whole, which workerd passes on without looking", async () => {
      const chunks = Array.from({ length: 40 }, (_, i) => new Uint8Array(10_000).fill(i));
      const response = await http.fetch(url("echo"), { method: "POST", body: streamOf(...chunks) });
      const echoed = new Uint8Array(await response.arrayBuffer());
      expect(echoed.length).toBe(400_000);
      expect(echoed.every((byte, at) => byte === Math.floor(at / 10_000))).toBe(true);
    });

    it("streams both ways at once", async () => {
      let send!: ReadableStreamDefaultController<Uint8Array>;
      const body = new ReadableStream<Uint8Array>({ start: (at) => void (send = at) });
      const encoder = new TextEncoder();
      // Its head comes with the first bytes of its body.
      const asked = http.fetch(url("upper"), { method: "POST", body });
      send.enqueue(encoder.encode("one"));
      const reader = (await asked).body!.getReader();
      const read = async (): Promise<string> =>
        new TextDecoder().decode((await reader.read()).value);
      expect(await read()).toBe("ONE");
      send.enqueue(encoder.encode("two"));
      expect(await read()).toBe("TWO");
      send.close();
      expect((await reader.read()).done).toBe(true);
    });

    it("reads a long body, slowly at first", async () => {
      const response = await http.fetch(url("count"));
      await new Promise((resolve) => setTimeout(resolve, 20));
      const body = new Uint8Array(await response.arrayBuffer());
      expect(body.length).toBe(5_000_000);
      expect(body.every((byte, at) => byte === Math.floor(at / 50_000))).toBe(true);
    });

    it("has no body for 204 and HEAD", async () => {
      const none = await http.fetch(url("none"));
      expect([none.status, none.body]).toEqual([204, null]);
      const head = await http.fetch(url("count"), { method: "HEAD" });
      expect([head.status, head.body]).toEqual([200, null]);
      const absent = await http.fetch(url("absent"));
      expect([absent.status, await absent.text()]).toEqual([404, "no such thing"]);
    });

    it("fails with what the handler throws, and when a body breaks off", async () => {
      const thrown = await failure(http.fetch(url("throw")));
      expect(thrown).toMatchObject({
        type: "failed",
        message: expect.stringContaining("not in this room") as unknown,
      });
      const response = await http.fetch(url("break"));
      expect(await failure(response.text())).toBeInstanceOf(Error);
    });

    it("cancels a response that flows", async () => {
      const control = new AbortController();
      const response = await http.fetch(url("forever"), { signal: control.signal });
      const reader = response.body!.getReader();
      await reader.read();
      const reason = new Error("enough");
      control.abort(reason);
      expect(await failure(reader.read())).toBe(reason);
    });

    it("opens a WebSocket: texts, bytes, and a close from here", async () => {
      const { socket, log } = await open("socket");
      socket.send("hello");
      socket.send(new Uint8Array(70_000));
      await logged(log, 2);
      expect(log).toEqual(["got hello", "70000 bytes"]);
      socket.close(1000, "bye");
      await logged(log, 3);
      expect(log.at(-1)).toBe("close 1000 bye");
      const closes = (await (await http.fetch(url("closes"))).json()) as string[];
      expect(closes).toContain("1000 bye");
    });

    it("is closed by the other side", async () => {
      const { socket, log } = await open("socket");
      socket.send("close me");
      await logged(log, 1);
      expect(log).toEqual(["close 4321 as you wish"]);
    });

    // skip: an entrypoint has no sockets that outlive it
    it.runIf(place === "object")("opens one that hibernates", async () => {
      const { socket, log } = await open("hibernate");
      socket.send("still there?");
      await logged(log, 1);
      socket.close(1000);
      await logged(log, 2);
      expect(log).toEqual(["still there?", "close 1000 "]);
    });
  });
});
