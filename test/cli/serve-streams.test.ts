// Large bodies and WebSockets through the whole of `capstan serve`: a front process, an object process, and a client that is slow or does
// not read at all. What is held on the way is bounded, and nothing is lost.

import { once } from "node:events";
import fs from "node:fs";
import http, { type IncomingMessage } from "node:http";
import { expect, it } from "vitest";
import { WebSocket } from "ws";
import { get, put, type Served, serve, serveCommands } from "./serve-kit.js";

serveCommands();

const MIB = 1 << 20;
const SIZE = 96 * MIB;
const CHUNK = 64 * 1024;
/** Of a body or a WebSocket that nobody reads, in the kernel's buffers and all processes together. */
const MOST_HELD = 16 * MIB;
/** What a process may grow by, its garbage included. Who held a body as a whole would grow by more. */
const MOST_GROWTH = 80 * MIB;

const MODULE = `import { DurableObject } from "cloudflare:workers";
const SIZE = ${SIZE}, CHUNK = ${CHUNK};
export class Pipe extends DurableObject {
  made = 0;
  go: () => void = () => {};
  gone = new Promise<void>((resolve) => { this.go = resolve; });
  async fetch(request: Request): Promise<Response> {
    const { pathname } = new URL(request.url);
    if (pathname === "/made") return new Response(String(this.made));
    if (pathname === "/go") return new Response(String(this.go()));
    if (pathname === "/echo") return new Response(request.body);
    if (pathname === "/source") {
      const pull = (controller: any): void => {
        this.made += CHUNK;
        controller.enqueue(new Uint8Array(CHUNK));
        if (this.made >= SIZE) controller.close();
      };
      return new Response(new ReadableStream({ type: "bytes", pull }));
    }
    if (pathname === "/sink") {
      await this.gone;
      let size = 0;
      for await (const chunk of request.body as any) size += chunk.length;
      return new Response(String(size));
    }
    const { 0: client, 1: server } = new WebSocketPair() as any;
    server.accept();
    void this.tell(server);
    return new Response(null, { status: 101, webSocket: client } as any);
  }
  async tell(socket: any): Promise<void> {
    for (; this.made < SIZE; this.made += CHUNK) {
      socket.send(new Uint8Array(CHUNK));
      await socket.drained();
    }
    socket.close(1000);
  }
}
export default {
  fetch: (request: Request, env: any): Promise<Response> => env.Pipe.getByName("a").fetch(request),
};
`;

async function served(): Promise<
  Served & { text(path: string): Promise<string>; peaks(): number[] }
> {
  put("pipe.ts", MODULE);
  const one = await serve("pipe.ts", "--port", "0", "--json");
  const pids = one.events.filter(({ event }) => event === "process").map(({ pid }) => pid);
  const peak = (pid: unknown): number => {
    const status = fs.readFileSync(`/proc/${String(pid)}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(status)![1]) * 1024;
  };
  return {
    ...one,
    text: async (path) => (await get(one.url + path)).text(),
    peaks: () => pids.map(peak),
  };
}

/** What `count` comes to when nothing moves any more. A machine that is slow may be taken for one where nothing moves: no harm. */
async function atRest(count: () => number | Promise<number>): Promise<number> {
  let last = -1;
  for (let same = 0; same < 10;) {
    const now = await count();
    same = now === last && now > 0 ? same + 1 : 0;
    last = now;
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
  return last;
}

/** A request whose body is written as fast as it is taken. */
function upload(url: string): { written: () => number; response: Promise<IncomingMessage> } {
  const request = http.request(url, { method: "POST", headers: { "Content-Length": SIZE } });
  const response = once(request, "response").then(([one]) => one as IncomingMessage);
  let written = 0;
  const write = async (): Promise<void> => {
    while (written < SIZE) {
      written += CHUNK;
      if (!request.write(new Uint8Array(CHUNK))) await once(request, "drain");
    }
    request.end();
  };
  void write();
  return { written: () => written, response };
}

async function sizeOf(response: IncomingMessage): Promise<number> {
  let size = 0;
  for await (const chunk of response) size += (chunk as Buffer).length;
  return size;
}

it("bodies of 96 MiB flow up and down, held back by whoever does not read, in bounded memory", async () => {
  const { url, text, peaks, end } = await served();
  await text("made");
  const before = peaks();
  const sink = upload(`${url}sink`);
  expect(await atRest(sink.written)).toBeLessThan(MOST_HELD);
  await text("go");
  expect(await sizeOf(await sink.response)).toBe(String(SIZE).length);

  const [source] = (await once(http.get(`${url}source`), "response")) as [IncomingMessage];
  source.pause();
  expect(await atRest(async () => Number(await text("made")))).toBeLessThan(MOST_HELD);
  expect(await sizeOf(source)).toBe(SIZE);

  const echo = upload(`${url}echo`);
  expect(await sizeOf(await echo.response)).toBe(SIZE);
  for (const [i, peak] of peaks().entries()) expect(peak - before[i]!).toBeLessThan(MOST_GROWTH);
  expect((await end("SIGTERM")).status).toBe(0);
}, 300_000);

it("a WebSocket is held back by a client that does not read, and loses nothing", async () => {
  const { url, text, end } = await served();
  const at = url.replace("http", "ws");
  const deaf = new WebSocket(`${at}tell`);
  await once(deaf, "open");
  deaf.pause();
  expect(await atRest(async () => Number(await text("made")))).toBeLessThan(MOST_HELD);
  let heard = 0;
  deaf.on("message", (bytes: Buffer) => (heard += bytes.length));
  deaf.resume();
  await once(deaf, "close");
  expect(heard).toBe(SIZE);
  expect((await end("SIGTERM")).status).toBe(0);
}, 300_000);
