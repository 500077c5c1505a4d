// The command `capstan serve`, as a process: what it writes where, and how it ends.

import { once } from "node:events";
import fs from "node:fs";
import net from "node:net";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { runObjects } from "../../src/cli/objects.node.js";
import { openLmdbStore } from "../../src/host.node.js";
import { metaKey } from "../../src/host/storage/keys.js";
import { get, put, run, serve, serveCommands, testFolder } from "./serve-kit.js";

serveCommands();

/** @returns true, later. */
const pause = (ms: number): Promise<boolean> =>
  new Promise((resolve) => {
    setTimeout(() => resolve(true), ms);
  });

/** Has a data directory be of another format. */
async function writeFormat(directory: string, format: number): Promise<void> {
  const store = await openLmdbStore(directory);
  await store.write([{ key: metaKey("format"), value: Uint8Array.of(format) }]).flushed;
  await store.close();
}

const COUNTER = `import { DurableObject, env } from "cloudflare:workers";
import page from "./page.html";
export class Counter extends DurableObject {
  async increment(): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    void this.ctx.storage.put("count", count);
    return count;
  }
}
console.log("loaded with", Object.keys(env).join());
export default {
  async fetch(request: Request, env: Record<string, any>): Promise<Response> {
    if (request.url.endsWith("/throw")) throw new Error("the password is 1234");
    const namespace = env.COUNTERS ?? env.Counter;
    return new Response(\`\${env.GREETING ?? "hello"} \${await namespace.getByName("a").increment()} \${page}\`);
  },
};
`;

describe("capstan serve", { timeout: 300_000 }, () => {
  it("helps on stdout, in lines that fit a terminal", () => {
    const { status, stdout, stderr } = run("--help");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toMatch(/^usage: capstan serve \[MODULE\] \[options\]\n/);
    expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
  });

  it("ends with 2 when it is called wrongly", () => {
    for (const [args, message] of [
      [[], "name a MODULE: there is no configuration that names one"],
      [["a.ts", "b.ts"], "one MODULE is served, and no more"],
      [["a.ts", "--port", "70000"], "--port takes a whole number from 0 to 65535, not 70000"],
      [["a.ts", "--port", "1e3"], "--port takes a whole number from 0 to 65535, not 1e3"],
      [["a.ts", "--bind", "ROOMS"], "--bind takes NAME=CLASS, not ROOMS"],
      [["a.ts", "--var", "NOT_THERE"], "--var NOT_THERE is not in the environment"],
      [["a.ts", "--var", "1=2"], "--var takes NAME=TEXT, not 1=2"],
      [["a.ts", "--no-config", "--config", "x"], "--config and --no-config contradict each other"],
    ] as const)
      expect(run(...args)).toEqual({
        status: 2,
        stdout: "",
        stderr: `capstan: ${message}\ntry capstan --help\n`,
      });
    expect(run("a.ts", "--nonsense")).toMatchObject({ status: 2, stdout: "" });
  });

  it("ends with 1 when something is wrong, and says what", () => {
    put("page.html", "");
    put("syntax.ts", "export default {\n  fetch: =>\n};");
    put("throws.ts", `type A = 1;\nthrow new Error("not today");`);
    put(
      "name.ts",
      `import { WorkflowEntrypoint } from "cloudflare:workers";\nexport default WorkflowEntrypoint;`,
    );
    put("bad/wrangler.toml", "main = 1");
    put("counter.ts", COUNTER);
    const failed = (...args: string[]): string => {
      const { status, stdout, stderr } = run(...args);
      expect({ args, status, stdout }).toEqual({ args, status: 1, stdout: "" });
      return stderr;
    };
    expect(failed("none.ts")).toBe("capstan: there is no module none.ts\n");
    expect(failed("syntax.ts")).toBe("capstan: syntax.ts:2:10: Unexpected token\n");
    const thrown = failed("throws.ts");
    expect(thrown).toMatch(/^.*Error: not today\n +at .*throws\.ts:2:7/ms);
    expect(thrown).toMatch(/\ncapstan: the module threw while it was loaded: not today\n$/);
    expect(failed("name.ts")).toMatch(
      /\ncapstan: the module imports WorkflowEntrypoint, which is not there: .+\n$/,
    );
    expect(failed("--config", "bad/wrangler.toml")).toBe(
      "capstan: bad/wrangler.toml: main must be a string, not a number\n",
    );
    expect(failed("counter.ts", "--bind", "A=Nope")).toMatch(
      /capstan: the module does not export Nope, the class of a binding; it exports Counter\n$/,
    );
  });

  it("serves a module without a configuration, with its objects by their own names", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    const served = await serve("counter.ts", "--port", "0");
    expect(served.url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    expect(await (await get(served.url)).text()).toBe("hello 1 <p>");
    const failure = await get(`${served.url}throw`);
    expect([failure.status, await failure.text()]).toEqual([500, "500 Internal Server Error\n"]);
    const { status, stdout, stderr } = await served.end("SIGTERM");
    expect([status, stdout]).toEqual([0, `${served.url}\n`]);
    expect(stderr).toMatch(
      /^loaded with \nloaded with \ncapstan: GET \/throw: Error: the password is 1234\n +at .*counter\.ts:13:/,
    );
    // The same objects again.
    const again = await serve("counter.ts", "--port", "0", "--data", ".capstan");
    expect(await (await get(again.url)).text()).toBe("hello 2 <p>");
    expect((await again.end("SIGINT")).status).toBe(0);
  });

  it("takes a configuration, and flags before it", async () => {
    put("src/page.html", "<p>");
    put("src/counter.ts", COUNTER);
    put(
      "wrangler.toml",
      `name = "counter"
      main = "src/counter.ts"
      kv_namespaces = [{ binding = "KV", id = "x" }]
      [vars]
      GREETING = "good day"
      [[durable_objects.bindings]]
      name = "COUNTERS"
      class_name = "Counter"
      [dev]
      port = 1
      `,
    );
    const served = await serve("--port", "0", "--data", "data");
    expect(await (await get(served.url)).text()).toBe("good day 1 <p>");
    const { status, stderr } = await served.end("SIGTERM");
    expect([status, stderr]).toEqual([
      0,
      `capstan: wrangler.toml: kv_namespaces is not understood: the module does without it\n${"loaded with GREETING\n".repeat(2)}`,
    ]);
    const flags = [
      "--port",
      "0",
      "--data",
      "data",
      "--var",
      "GREETING=a=b",
      "--bind",
      "OTHERS=Counter",
    ];
    const again = await serve("src/counter.ts", ...flags);
    expect(await (await get(again.url)).text()).toBe("a=b 2 <p>");
    expect((await again.end("SIGTERM")).status).toBe(0);
  });

  it.each(["0", "2"])(
    "has objects collected of which a flag or the configuration says so: --processes %s",
    async (processes) => {
      put(
        "parts.ts",
        `import { DurableObject } from "cloudflare:workers";
        export class Owner extends DurableObject {}
        export class Part extends DurableObject {}
        export default {
          fetch: (request: Request, env: Record<string, any>) =>
            Response.json(Object.keys(env).sort().map((name) => [name, typeof env[name].create, typeof env[name].getByName])),
        };`,
      );
      const flags = ["parts.ts", "--port", "0", "--processes", processes];
      const isPublic = ["undefined", "function"];
      const isPrivate = ["function", "undefined"];
      const found = async (...args: string[]): Promise<unknown> => {
        const served = await serve(...flags, ...args);
        const answer = await (await get(served.url)).json();
        expect((await served.end("SIGTERM")).status).toBe(0);
        return answer;
      };
      expect(await found("--collect", "Part")).toEqual([
        ["Owner", ...isPublic],
        ["Part", ...isPrivate],
      ]);
      put(
        "wrangler.toml",
        `[[durable_objects.bindings]]\nname = "ONE"\nclass_name = "Part"\ncollect = true`,
      );
      expect(await found()).toEqual([["ONE", ...isPrivate]]);
      // The class of the flag is another one, of which nothing was said.
      expect(await found("--bind", "ONE=Owner")).toEqual([["ONE", ...isPublic]]);
    },
  );

  it("finds in all processes whom nobody holds, when capstan objects asks", async () => {
    put(
      "keeper.ts",
      `import { DurableObject } from "cloudflare:workers";
      export class Part extends DurableObject {
        name(name: string) { void this.ctx.storage.put("name", name); }
      }
      export class Keeper extends DurableObject<Record<string, any>> {
        async make(name: string) {
          using part = this.env.Part.create();
          await part.name(name);
          await this.ctx.storage.put(name, part);
        }
        lose(name: string) { void this.ctx.storage.delete(name); }
      }
      const held = new Map<string, unknown>();
      export default {
        async fetch(request: Request, env: Record<string, any>) {
          const [what, name] = new URL(request.url).pathname.slice(1).split("/");
          if (what === "hold") {
            const part = env.Part.create();
            await part.name(name);
            held.set(name, part);
          } else await env.Keeper.getByName("a")[what](name);
          return new Response("done");
        },
      };`,
    );
    const data = path.join(testFolder(), "data");
    const flags = ["--port", "0", "--processes", "2", "--collect", "Part", "--data", data];
    const served = await serve("keeper.ts", ...flags);
    for (const way of ["make/a", "make/b", "hold/c", "lose/a"])
      expect(await (await get(new URL(way, served.url).href)).text()).toBe("done");
    let report: { unreachable: unknown[] };
    do {
      let text = "";
      const args = ["gc", "--dry-run", "--json", "--data", data];
      expect(await runObjects(args, (line) => (text += line))).toBe(0);
      report = JSON.parse(text) as typeof report;
      // What has just been called is active, and so holds itself, for ten seconds.
    } while (report.unreachable.length === 0 && (await pause(500)));
    expect(report).toMatchObject({ checked: 3, collected: [], unreachable: [{}] });
    expect((await served.end("SIGTERM")).status).toBe(0);
  });

  it("goes on when the module throws where nobody catches it", async () => {
    put(
      "stray.ts",
      `export default {
        fetch(request: Request, env: { HOME: string }): Response {
          setTimeout(() => { throw new Error("a stray"); });
          void Promise.reject(new Error("forgotten"));
          return new Response(env.HOME);
        },
      };`,
    );
    for (const processes of ["1", "0"]) {
      const flags = ["--port", "0", "--processes", processes, "--var", "HOME", "--json"];
      const served = await serve("stray.ts", ...flags);
      expect(await (await get(served.url)).text()).toBe(process.env["HOME"]);
      await served.said("capstan: nobody caught: Error: a stray\n");
      await served.said("capstan: nobody caught: Error: forgotten\n");
      expect((await get(served.url)).status).toBe(200);
      expect(served.events.filter(({ role }) => role === "front")).toHaveLength(Number(processes));
      expect((await served.end("SIGTERM")).status).toBe(0);
    }
  });

  it("says that a port or the data is taken", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    const served = await serve("counter.ts", "--port", "0", "--data", "one");
    const { port } = new URL(served.url);
    expect(run("counter.ts", "--port", port, "--data", "two")).toMatchObject({
      status: 1,
      stdout: "",
      stderr: expect.stringMatching(
        new RegExp(
          `\ncapstan: cannot listen at tcp://127.0.0.1:${port}: somebody listens there already`,
        ),
      ),
    });
    expect(run("counter.ts", "--port", "0", "--data", "one")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^capstan: .*one.* is in use by another process/),
    });
    expect((await served.end("SIGTERM")).status).toBe(0);
  });

  it("says that the data is damaged, or of another version, and leaves it as it is", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    const served = await serve("counter.ts", "--port", "0", "--data", "data");
    expect(await (await get(served.url)).text()).toBe("hello 1 <p>");
    expect((await served.end("SIGTERM")).status).toBe(0);
    const file = path.join(testFolder(), "data/data.mdb");
    const good = fs.readFileSync(file);
    const refused = (flags: string[], why: RegExp): void => {
      const before = fs.readFileSync(file);
      const { status, stdout, stderr } = run(
        "counter.ts",
        "--port",
        "0",
        "--data",
        "data",
        ...flags,
      );
      expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
      expect(stderr).toMatch(why);
      expect(fs.readFileSync(file).equals(before)).toBe(true);
    };
    for (const flags of [[], ["--processes", "0"]]) {
      fs.writeFileSync(file, Buffer.alloc(50_000, "no database"));
      refused(flags, /^capstan: data\/data\.mdb cannot be opened: it is no LMDB database$/m);
      fs.writeFileSync(file, good.subarray(0, -8192));
      refused(flags, /^capstan: data\/data\.mdb cannot be opened: .* it was cut off$/m);
      fs.writeFileSync(file, good);
      await writeFormat(path.join(testFolder(), "data"), 9);
      refused(flags, /^capstan: the data is of format 9, and this version reads 1$/m);
    }
    fs.writeFileSync(file, good);
    const again = await serve("counter.ts", "--port", "0", "--data", "data");
    expect(await (await get(again.url)).text()).toBe("hello 2 <p>");
    expect((await again.end("SIGTERM")).status).toBe(0);
  });

  it("names classes whose objects are stored and which the module does not have; they are there when it has them again", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    const other = COUNTER.replaceAll("Counter", "Other");
    const warning =
      "capstan: objects of Counter are stored, and the module has no such class: they stay as they are\n";
    const served = await serve("counter.ts", "--port", "0");
    expect(await (await get(served.url)).text()).toBe("hello 1 <p>");
    put("counter.ts", other);
    served.kill("SIGHUP");
    await served.said(warning);
    expect(await (await get(served.url)).text()).toBe("hello 1 <p>");
    // A configuration that names it is no good without.
    put(
      "wrangler.toml",
      `durable_objects.bindings = [{ name = "COUNTERS", class_name = "Counter" }]`,
    );
    served.kill("SIGHUP");
    await served.said("the version before goes on: the module does not export Counter,");
    expect(await (await get(served.url)).text()).toBe("hello 2 <p>");
    expect((await served.end("SIGTERM")).stderr.split(warning)).toHaveLength(2);
    fs.rmSync(path.join(testFolder(), "wrangler.toml"));
    const alone = await serve("counter.ts", "--port", "0", "--processes", "0");
    expect((await alone.end("SIGTERM")).stderr).toContain(warning);
    put("counter.ts", COUNTER);
    const again = await serve("counter.ts", "--port", "0");
    expect(await (await get(again.url)).text()).toBe("hello 2 <p>");
    expect((await again.end("SIGTERM")).stderr).toContain("objects of Other are stored");
  });

  it("tells of its processes, as many as it was told to have", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    const served = await serve("counter.ts", "--port", "0", "--json", "--processes", "2");
    const pids = served.events.filter(({ event }) => event === "process").map(({ pid }) => pid);
    expect(new Set(pids).size).toBe(3);
    const told = served.events.map(({ pid: _pid, url: _url, ...rest }) => rest);
    expect(told).toContainEqual({ event: "process", role: "objects", slot: 0 });
    expect(told).toContainEqual({ event: "process", role: "objects", slot: 1 });
    expect(told.slice(-2)).toEqual([{ event: "process", role: "front" }, { event: "serving" }]);
    expect(served.events.at(-1)).toMatchObject({ url: served.url, pid: expect.any(Number) });
    expect(await (await get(served.url)).text()).toBe("hello 1 <p>");
    expect((await served.end("SIGTERM")).status).toBe(0);
    const alone = await serve("counter.ts", "--port", "0", "--json", "--processes", "0");
    expect(alone.events.map(({ event }) => event)).toEqual(["serving"]);
    expect(await (await get(alone.url)).text()).toBe("hello 2 <p>");
    const { status, stderr } = await alone.end("SIGTERM");
    expect([status, stderr]).toEqual([0, "loaded with \n"]);
  });

  it("has a new version take over at SIGHUP, if it is good", async () => {
    put("page.html", "<p>");
    put("counter.ts", COUNTER);
    put("wrangler.toml", `vars = { GREETING = "good day" }`);
    const served = await serve("counter.ts", "--port", "0");
    expect(await (await get(served.url)).text()).toBe("good day 1 <p>");
    put("page.html", "<b>");
    put("wrangler.toml", `vars = { GREETING = "good night" }`);
    served.kill("SIGHUP");
    await served.said("capstan: the new version has taken over\n");
    expect(fs.readdirSync(path.join(testFolder(), ".capstan/module"))).toHaveLength(1);
    expect(await (await get(served.url)).text()).toBe("good night 2 <b>");
    put("counter.ts", "export default {");
    served.kill("SIGHUP");
    await served.said("capstan: the version before goes on: counter.ts:");
    put("counter.ts", "export default {};");
    served.kill("SIGHUP");
    await served.said(
      "capstan: the version before goes on: the default export of the module has no fetch\n",
    );
    put("wrangler.toml", "vars = 1");
    served.kill("SIGHUP");
    await served.said("capstan: the version before goes on: wrangler.toml: vars must be a table");
    expect(await (await get(served.url)).text()).toBe("good night 3 <b>");
    expect((await served.end("SIGTERM")).status).toBe(0);
  });

  it("has the last of several versions take over", async () => {
    const version = (text: string): string =>
      `await new Promise((resolve) => { setTimeout(resolve, 1000); });
       export default { fetch: () => new Response(${JSON.stringify(text)}) };`;
    put("worker.ts", version("one"));
    const served = await serve("worker.ts", "--port", "0");
    const bundles = (): number => fs.readdirSync(path.join(testFolder(), ".capstan/module")).length;
    put("worker.ts", version("two"));
    served.kill("SIGHUP");
    while (bundles() < 2) await new Promise((resolve) => void setTimeout(resolve, 5));
    put("worker.ts", version("three"));
    for (let i = 0; i < 3; i++) served.kill("SIGHUP");
    const taken = "capstan: the new version has taken over\n";
    await served.said(taken + taken);
    expect(await (await get(served.url)).text()).toBe("three");
    const { status, stderr } = await served.end("SIGTERM");
    expect([status, stderr]).toEqual([0, taken + taken]);
  });

  it("names an object that does not yield for as long as it may, and serves it again", async () => {
    put(
      "spin.ts",
      `import { DurableObject } from "cloudflare:workers";
      export class Room extends DurableObject {
        async spin() { await this.ctx.storage.get("x"); for (;;); }
        hello() { return "hello"; }
      }
      export default {
        async fetch(request, env) {
          const room = env.Room.getByName("lobby");
          if (request.url.endsWith("/spin")) return new Response(await room.spin());
          return new Response(await room.hello());
        },
      };`,
    );
    const served = await serve("spin.ts", "--port", "0", "--yield-time", "1");
    expect((await get(`${served.url}/spin`)).status).toBe(500);
    await served.said("Room/lobby ended the process: it did not yield for 1000 ms");
    expect(await (await get(served.url)).text()).toBe("hello");
    const { status } = await served.end("SIGTERM");
    expect(status).toBe(0);
  });

  it("ends at the second signal, whatever is under way", async () => {
    put(
      "never.ts",
      `export default { fetch: () => new Response(new ReadableStream({ start: (body) => body.enqueue(new Uint8Array(1)) })) };`,
    );
    const served = await serve("never.ts", "--port", "0", "--grace", "3600");
    const { hostname, port } = new URL(served.url);
    const socket = net.connect(Number(port), hostname);
    socket.write(`GET / HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`);
    await once(socket, "data");
    const refused = async (): Promise<void> => {
      // From the first signal on it does not listen.
      while ((await get(served.url).catch(() => null)) !== null)
        await new Promise((resolve) => void setTimeout(resolve, 10));
    };
    const first = served.end("SIGTERM");
    await refused();
    void served.end("SIGINT");
    expect((await first).status).toBe(1);
    socket.destroy();
  });
});
