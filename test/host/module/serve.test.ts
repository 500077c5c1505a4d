// A module being served in this process: objects, pages, WebSockets, addresses, and the end of it.

import { once } from "node:events";
import http, { type IncomingMessage } from "node:http";
import net from "node:net";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { readConfig } from "../../../src/host/module/config.js";
import { type Serving, serveModule } from "../../../src/host/module/serve.node.js";
import type { Control } from "../../../src/host/process/control.node.js";
import { controlAddress } from "../../../src/host/process/paths.node.js";
import { HttpResponse } from "../../../src/http.js";
import { RpcError, RpcStub } from "../../../src/index.js";
import { connect } from "../../../src/vat/connect.node.js";
import { cleaningUp } from "../../support/residue.js";
import { failureOf, moduleFolder } from "./kit.js";

const MODULE = `
import { DurableObject, env, waitUntil } from "cloudflare:workers";
export class Counter extends DurableObject {
  async increment() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    waitUntil(this.ctx.storage.put("count", count));
    return count;
  }
  others() { return [Object.keys(env), env.COUNTERS === this.env.COUNTERS, env.COUNTERS.idFromName("a").name]; }
}
export class Part extends DurableObject {
  async add() {
    await this.ctx.storage.put("count", 1);
    return 1;
  }
}
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    if (pathname === "/count") return new Response(await env.COUNTERS.getByName("a").increment());
    if (pathname === "/part") {
      const part = env.PARTS.create();
      const count = await part.add();
      part[Symbol.dispose]();
      return Response.json([count, typeof env.PARTS.create, typeof env.PARTS.getByName]);
    }
    if (pathname === "/others") return Response.json(await env.COUNTERS.getByName("a").others());
    if (pathname === "/address") return Response.json([...request.headers].filter(([name]) => name.startsWith("cf-")));
    if (pathname === "/throw") throw new Error("the password is 1234");
    if (pathname === "/globals") return Response.json([
      new Response() instanceof Response, Response.error() instanceof Response, {} instanceof Response,
      Response.name, typeof CloseEvent, new (class Mine extends Response {})() instanceof Response,
    ]);
    if (pathname === "/slow") return new Response(new ReadableStream({
      start(body) {
        body.enqueue(new TextEncoder().encode("slow"));
        setTimeout(() => body.close(), 50);
      },
    }));
    if (pathname === "/late") await new Promise(globalThis.late);
    if (pathname === "/never") return new Response(new ReadableStream({
      start: (body) => body.enqueue(new Uint8Array(1)),
    }));
    if (pathname === "/socket") {
      const { 0: client, 1: server } = new WebSocketPair();
      server.accept();
      server.addEventListener("message", ({ data }) => server.send(env.PREFIX + data));
      return new Response(null, { status: 101, webSocket: client });
    }
    return new Response("none", { status: 404 });
  },
};`;

const TREE = {
  vars: { PREFIX: "you said " },
  durable_objects: { bindings: [{ name: "COUNTERS", class_name: "Counter" }] },
};

describe("a module that is served", () => {
  const later = cleaningUp();
  const folder = moduleFolder();

  async function serve(options: { tree?: unknown; addressHeader?: string } = {}): Promise<{
    serving: Serving;
    reports: string[];
    get(path: string, headers?: Record<string, string>): Promise<Response>;
  }> {
    const reports: string[] = [];
    const serving = await serveModule({
      main: folder.put("worker.js", MODULE),
      config: readConfig(options.tree ?? TREE, "w"),
      data: path.join(folder.path, "data"),
      address: "127.0.0.1",
      port: 0,
      addressHeader: options.addressHeader ?? null,
      processes: 0,
      report: (error, what) => reports.push(`${what}: ${(error as Error).message}`),
      warn: (line) => reports.push(line),
    });
    later(() => serving.close(0));
    // Without a connection that is kept.
    const get = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
      fetch(new URL(path, serving.url), { headers: { connection: "close", ...headers } });
    return { serving, reports, get };
  }

  it("counts in an object, also after it was closed and served again", async () => {
    const first = await serve();
    expect(await (await first.get("count")).text()).toBe("1");
    expect(await (await first.get("count")).text()).toBe("2");
    await first.serving.close(1000);
    const second = await serve();
    expect(await (await second.get("count")).text()).toBe("3");
    expect([...first.reports, ...second.reports]).toEqual([]);
  });

  it("finds a renamed class's objects", async () => {
    const first = await serve();
    expect(await (await first.get("count")).text()).toBe("1");
    await first.serving.close(1000);
    const renamed = {
      ...TREE,
      migrations: [{ tag: "1", renamed_classes: [{ from: "Counter", to: "Clicks" }] }],
      durable_objects: { bindings: [{ name: "COUNTERS", class_name: "Clicks" }] },
    };
    const reports: string[] = [];
    const serving = await serveModule({
      main: folder.put("next.js", MODULE.replace("class Counter", "class Clicks")),
      config: readConfig(renamed, "w"),
      data: path.join(folder.path, "data"),
      address: "127.0.0.1",
      port: 0,
      processes: 0,
      addressHeader: null,
      report: (error, what) => reports.push(`${what}: ${String(error)}`),
      warn: (line) => reports.push(line),
    });
    later(() => serving.close(0));
    const answer = await fetch(new URL("count", serving.url), { headers: { connection: "close" } });
    expect(await answer.text()).toBe("2");
    expect(reports).toEqual([]);
  });

  it("has private namespaces, and a socket for whoever manages it", async () => {
    const bindings = [
      ...TREE.durable_objects.bindings,
      { name: "PARTS", class_name: "Part", collect: true },
    ];
    const { get, serving, reports } = await serve({
      tree: { ...TREE, durable_objects: { bindings } },
    });
    expect(await (await get("part")).json()).toEqual([1, "function", "undefined"]);
    const control = await connect(controlAddress(path.join(folder.path, "data")));
    later(() => control.close());
    using host = control.bootstrap(RpcStub<Control>);
    using report = await host.collect(true);
    expect(report).toMatchObject({ checked: 1, collected: [] });
    using active = await host.active();
    const [part] = [...active];
    expect(part).toMatchObject({ namespace: "Part" });
    expect(await host.clear("Part", part!.id)).toBe(true);
    const stray = await failureOf(host.clear("GONE", part!.id));
    expect(stray.message).toContain("GONE");
    expect(await host.evict("GONE", part!.id)).toBe("inactive");
    using processes = await host.processes();
    expect(processes).toEqual({ objects: [process.pid], front: null });
    expect(
      await failureOf(serving.reload({ main: "", config: readConfig({}, "w") })),
    ).toMatchObject({
      code: "invalid-state",
    });
    expect(reports).toEqual([]);
  });

  it("has each object find its own env by import", async () => {
    const { get } = await serve();
    expect(await (await get("others")).json()).toEqual([["PREFIX", "COUNTERS"], true, "a"]);
  });

  it("hears the address of the client from the connection alone", async () => {
    const { get } = await serve();
    expect(await (await get("address", { "CF-Connecting-IP": "6.6.6.6" })).json()).toEqual([
      ["cf-connecting-ip", "127.0.0.1"],
    ]);
  });

  it("also when the client would have it go no further", async () => {
    const { serving } = await serve();
    const headers = { connection: "close, CF-Connecting-IP" };
    const [answer] = (await once(
      http.get(new URL("address", serving.url), { headers }),
      "response",
    )) as [IncomingMessage];
    let text = "";
    for await (const part of answer) text += String(part);
    expect(JSON.parse(text)).toEqual([["cf-connecting-ip", "127.0.0.1"]]);
  });

  it("or from the proxy that it is told to believe: the last that this one added", async () => {
    const { get } = await serve({ addressHeader: "X-Forwarded-For" });
    expect(await (await get("address", { "X-Forwarded-For": "6.6.6.6, 10.0.0.7" })).json()).toEqual(
      [["cf-connecting-ip", "10.0.0.7"]],
    );
    expect(await (await get("address")).json()).toEqual([["cf-connecting-ip", "127.0.0.1"]]);
  });

  it("fails without telling why to whoever asked", async () => {
    const { get, reports } = await serve();
    const answer = await get("throw");
    expect([answer.status, await answer.text()]).toEqual([500, "500 Internal Server Error\n"]);
    expect(reports).toEqual(["GET /throw: the password is 1234"]);
  });

  it("does not tell of what clients do wrong", async () => {
    const { serving, get, reports } = await serve();
    const { port, hostname } = new URL(serving.url);
    for (const target of ["ftp://a.test/", "/never"]) {
      const socket = net.connect(Number(port), hostname);
      socket.write(`GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await once(socket, "data");
      socket.resetAndDestroy();
      await once(socket, "close");
    }
    await get("throw");
    expect(reports).toEqual(["GET /throw: the password is 1234"]);
  });

  it("has the globals of Workers", async () => {
    const { get } = await serve();
    expect(await (await get("globals")).json()).toEqual([
      true,
      true,
      false,
      "Response",
      "function",
      true,
    ]);
    expect(globalThis.Response.prototype).toBeInstanceOf(HttpResponse);
  });

  it("answers WebSockets", async () => {
    const { serving } = await serve();
    const socket = new WebSocket(new URL("socket", serving.url.replace("http", "ws")));
    const heard = new Promise((resolve) =>
      socket.once("message", (data: Buffer) => resolve(data.toString())),
    );
    socket.once("open", () => socket.send("hello"));
    expect(await heard).toBe("you said hello");
    const closed = new Promise((resolve) => socket.once("close", resolve));
    await serving.close(1000);
    await closed;
  });

  it("ends when what is under way has ended, or when its time is over", async () => {
    const { serving, get } = await serve();
    const slow = await get("slow");
    await serving.close(60_000);
    expect(await slow.text()).toBe("slow");
    const second = await serve();
    // Node 20 takes a body that was cut off for whole when it has asked for the connection to be closed.
    const never = await second.get("never", { connection: "keep-alive" });
    await second.serving.close(1);
    await expect(never.text()).rejects.toThrow("terminated");
  });

  it("says at its end that a connection is over, and does not wait for one that never began", async () => {
    const { serving } = await serve();
    const url = new URL("late", serving.url);
    const silent = net.connect(Number(url.port), url.hostname);
    await once(silent, "connect");
    const agent = new http.Agent({ keepAlive: true });
    const shared = globalThis as { late?: (answer: () => void) => void };
    const asked = new Promise<() => void>((resolve) => (shared.late = resolve));
    const answered = once(http.get(url, { agent }), "response");
    const answer = await asked;
    const closed = serving.close(600_000);
    answer();
    const [{ headers, statusCode }] = (await answered) as [IncomingMessage];
    expect([headers.connection, statusCode]).toEqual(["close", 404]);
    agent.destroy();
    await Promise.all([closed, once(silent, "close")]);
    delete shared.late;
  });

  it("is not served at a port that is taken, and leaves nothing open", async () => {
    const { serving } = await serve();
    const port = Number(new URL(serving.url).port);
    const failure = failureOf(
      serveModule({
        main: folder.put("worker.js", MODULE),
        config: readConfig(TREE, "w"),
        data: path.join(folder.path, "other"),
        address: "127.0.0.1",
        port,
        processes: 0,
        addressHeader: null,
        report: () => {},
        warn: () => {},
      }),
    );
    expect(RpcError.of(await failure)?.code).toBe("listen-failed");
  });
});
