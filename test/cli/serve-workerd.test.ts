// `capstan serve` beside the real workerd: a module that calls objects there, and is called from there.

import { describe, expect, it } from "vitest";
import { connectWorkerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { SLOWLY, type StartedWorkerd, startBridge, startCaller } from "../workerd/bridge/start.js";
import type { Caller } from "../workerd/serve/api.js";
import { get, put, run, type Served, serve, serveCommands } from "./serve-kit.js";

serveCommands();

const MODULE = `import { DurableObject, WorkerEntrypoint, env } from "cloudflare:workers";
let disposed = 0;
export class Room extends DurableObject<any> {
  async say(text: string): Promise<string> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    void this.ctx.storage.put("count", count);
    return \`\${this.ctx.id.name}: \${text} (\${count})\`;
  }
  async far(n: number): Promise<number> {
    using room = this.env.FAR.getByName("a");
    return await room.add(n, 1);
  }
}
export class Chat extends WorkerEntrypoint<any> {
  room(name: string) {
    return this.env.Room.getByName(name);
  }
  names(): string[] {
    return Object.keys(env).sort();
  }
  later(): number {
    this.ctx.waitUntil(Promise.reject(new Error("what came later")));
    return disposed;
  }
  fetch(request: Request): Response {
    if (request.url.endsWith("/fails")) throw new Error("the password is 1234");
    return new Response(\`chat at \${new URL(request.url).pathname} with \${Object.keys(env).length}\`);
  }
  [Symbol.dispose](): void {
    disposed++;
  }
}
export class Other extends WorkerEntrypoint {}
export default {
  async fetch(request: Request, env: any): Promise<Response> {
    const n = Number(new URL(request.url).searchParams.get("n"));
    if (request.url.includes("/desk")) return new Response(await env.DESK.add(n, 1));
    using far = env.FAR.getByName("a");
    return Response.json([await far.add(n, 1), await env.Room.getByName("b").far(n)]);
  },
};
`;

const EXPOSED = "worker.ts --port 0 --json --workerd-port 0 --workerd-entrypoint Chat".split(" ");

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)(
  "capstan serve and workerd",
  { timeout: 120_000 },
  () => {
    const toUrl = ({ url }: StartedWorkerd, query: string): string =>
      `${url}?service=main&${query}`;

    async function calling<T>(
      served: Served,
      body: (caller: Awaited<ReturnType<typeof connectedTo>>) => Promise<T>,
    ): Promise<T> {
      const { workerd } = served.events.find(({ event }) => event === "serving") as {
        workerd: string;
      };
      const started = await startCaller(workerd);
      const connected = await connectedTo(started);
      try {
        return await body(connected);
      } finally {
        await connected.workerd.close();
        await started.stop();
      }
    }

    async function connectedTo(started: StartedWorkerd) {
      const workerd = await connectWorkerd(started.url);
      return { workerd, caller: workerd.getEntrypoint<Caller>("main", "Caller") };
    }

    for (const processes of ["0", "1"])
      it(`with ${processes} object processes: a module calls what lives in workerd`, async () => {
        const far = await startBridge();
        const objects = "class_name=Room&unique_key=capstan-bridge-room";
        put("worker.ts", MODULE);
        put(
          "wrangler.toml",
          `[[capstan.workerd]]
name = "FAR"
url = "${far.url}"
service = "main"
class_name = "Room"
unique_key = "capstan-bridge-room"
`,
        );
        const flags = ["--port", "0", "--json", "--processes", processes];
        const desk = `DESK=${toUrl(far, "entrypoint=Desk")}`;
        try {
          const served = await serve("worker.ts", ...flags, "--workerd", desk);
          expect(await (await get(`${served.url}?n=4`)).json()).toEqual([5, 5]);
          expect(await (await get(`${served.url}desk?n=6`)).text()).toBe("7");
          const end = await served.end("SIGTERM");
          expect({ status: end.status, stderr: end.stderr }).toEqual({ status: 0, stderr: "" });
          // A flag takes the place of what the file says.
          const flag = `FAR=${toUrl(far, objects)}`;
          const other = await serve("worker.ts", ...flags, "--workerd", desk, "--workerd", flag);
          expect(await (await get(`${other.url}?n=1`)).json()).toEqual([2, 2]);
          await other.end("SIGTERM");
        } finally {
          await far.stop();
        }
      });

    for (const processes of ["0", "1"])
      it(`with ${processes} object processes: a Worker calls the entry point that was named, and nothing else`, async () => {
        put("worker.ts", MODULE);
        const served = await serve(...EXPOSED, "--processes", processes);
        await calling(served, async ({ caller }) => {
          expect(await caller.pipelined()).toBe("lobby: hi (1)");
          expect(await caller.call(["names"])).toEqual(["Room"]);
          for (const name of ["env", "ctx", "Room", "say"])
            expect(await caller.fails([name, "getByName"], "lobby")).toMatchObject({
              code: "method-unimplemented",
            });
          const response = (await caller.call(
            ["fetch"],
            "http://chat/here",
          )) as unknown as Response;
          expect(await response.text()).toBe("chat at /here with 1");
          const failed = (await caller.call(["fetch"], "http://chat/fails")) as unknown as Response;
          expect([failed.status, await failed.text()]).toEqual([
            500,
            "500 Internal Server Error\n",
          ]);
          await served.said("Chat, called by workerd: Error: the password is 1234");
          // Each event has an object of its own, and is over by itself.
          await expect.poll(() => caller.call(["later"]), SLOWLY).toBeGreaterThan(3);
          await served.said("waitUntil: Error: what came later");
        });
        expect((await served.end("SIGTERM")).status).toBe(0);
      });

    it("is called again after the front was killed, and by a new version", async () => {
      put("worker.ts", MODULE);
      const served = await serve(...EXPOSED);
      await calling(served, async ({ caller }) => {
        expect(await caller.pipelined()).toBe("lobby: hi (1)");
        const front = served.events.filter(({ role }) => role === "front");
        process.kill(front.at(-1)!["pid"] as number, "SIGKILL");
        await expect.poll(() => caller.fails(["names"]), SLOWLY).toBeNull();
        expect(await caller.pipelined()).toBe("lobby: hi (2)");
        put("worker.ts", MODULE.replace("${text}", "${text}!"));
        served.kill("SIGHUP");
        await served.said("the new version has taken over");
        await expect.poll(() => caller.fails(["names"]), SLOWLY).toBeNull();
        expect(await caller.pipelined()).toBe("lobby: hi! (3)");
        put("worker.ts", MODULE.replace("class Chat", "class Chatt"));
        served.kill("SIGHUP");
        await served.said("the version before goes on: workerd is to call a class of the module");
        expect(await caller.pipelined()).toBe("lobby: hi! (4)");
      });
      expect((await served.end("SIGTERM")).status).toBe(0);
    });

    it("says what is wrong with what it was told", () => {
      put("worker.ts", MODULE);
      const failed = (...args: string[]): string => {
        const { status, stdout, stderr } = run("worker.ts", ...args);
        expect({ args, status, stdout }).toEqual({ args, status: 1, stdout: "" });
        return stderr;
      };
      expect(failed("--workerd", "FAR=http://a:1")).toContain(
        "--workerd FAR: url is no address of a workerd: workerd is at unix:/path or tcp://host:port, not at http://a:1",
      );
      expect(failed("--workerd", "FAR=tcp://a:1")).toContain("--workerd FAR has no service");
      expect(failed("--workerd", "FAR=tcp://a:1?service=s&class_name=C")).toContain(
        "--workerd FAR has no unique_key",
      );
      expect(failed("--workerd", "FAR=tcp://a:1?service=s&service=t")).toContain("is there twice");
      expect(failed("--workerd", "FAR=tcp://a:1?service=s&props={")).toContain("props is no JSON");
      expect(failed("--workerd", "FAR=tcp://a:1?connect_host=h&service=s")).toContain(
        "service is none of name, url, connect_host",
      );
      const which = (name: string): string =>
        `as ${name}, and it is none; those that are: Chat, Other`;
      for (const processes of ["0", "1"]) {
        const at = ["--workerd-port", "0", "--processes", processes];
        expect(failed(...at)).toContain(which("its default export"));
        expect(failed(...at, "--workerd-entrypoint", "Room")).toContain(which("an export Room"));
      }
      expect(run("worker.ts", "--workerd-entrypoint", "Chat")).toMatchObject({
        status: 2,
        stderr: expect.stringContaining("say more of --workerd-port") as unknown,
      });
    });
  },
);
