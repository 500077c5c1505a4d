// The events of a module: which `ctx` and `env` they have, and what becomes of one that fails.

import { describe, expect, it } from "vitest";
import { runIn } from "../../../src/host/module/ambient.node.js";
import { type EntryPoint, Events } from "../../../src/host/module/events.js";
import { RpcError } from "../../../src/index.js";
import { env as ambientEnv, waitUntil, WorkerEntrypoint } from "../../../src/workers.node.js";
import { later } from "../kit.js";

interface Env {
  readonly NAME: string;
}

function events(
  entryPoint: unknown,
  env: object = { NAME: "here" },
): { events: Events; reports: string[] } {
  const reports: string[] = [];
  const report = (error: unknown, what: string): void =>
    void reports.push(`${what}: ${(error as Error).message}`);
  return {
    events: new Events({ entryPoint: entryPoint as EntryPoint, env, report, run: runIn }),
    reports,
  };
}

const REQUEST = new Request("http://host.test/path?secret");

describe("an entry point", () => {
  it("is an object with fetch(request, env, ctx)", async () => {
    const { events: one } = events({
      greeting: "hello",
      fetch(request: Request, env: Env, ctx: { props: unknown; passThroughOnException(): void }) {
        ctx.passThroughOnException();
        return Response.json([
          (this as unknown as { greeting: string }).greeting,
          request.url,
          env.NAME,
          ctx.props,
        ]);
      },
    });
    const answer = await one.fetch(REQUEST);
    expect(await answer.json()).toEqual(["hello", "http://host.test/path?secret", "here", {}]);
  });

  it("or a class, of which each event has an object", async () => {
    let made = 0;
    class Main extends WorkerEntrypoint<Env> {
      readonly number = ++made;
      fetch(request: Request): Response {
        return new Response(
          `${this.number} ${this.env.NAME} ${request.method} ${typeof this.ctx.waitUntil}`,
        );
      }
    }
    const { events: one } = events(Main);
    expect(await (await one.fetch(REQUEST)).text()).toBe("1 here GET function");
    expect(await (await one.fetch(REQUEST)).text()).toBe("2 here GET function");
  });

  it("finds env and waitUntil without being given them, each event its own", async () => {
    const gate = later();
    const make = (name: string): Events =>
      events(
        {
          async fetch() {
            await gate.promise;
            return Response.json([ambientEnv["NAME"], { ...ambientEnv }, "NAME" in ambientEnv]);
          },
        },
        { NAME: name },
      ).events;
    const answers = [make("a").fetch(REQUEST), make("b").fetch(REQUEST)];
    gate.resolve();
    const found = await Promise.all(answers.map(async (answer) => (await answer).json()));
    expect(found).toEqual([
      ["a", { NAME: "a" }, true],
      ["b", { NAME: "b" }, true],
    ]);
    expect(() => waitUntil(Promise.resolve())).toThrow("nothing of a host runs here");
    expect(() => {
      (ambientEnv as Record<string, unknown>)["NAME"] = 1;
    }).toThrow(TypeError);
  });
});

describe("what fails", () => {
  it.each([
    [() => Promise.reject(new Error("the password is 1234")), "the password is 1234"],
    [() => undefined, "fetch returned no Response"],
  ])("is a 500 that tells nothing, and reported: %s", async (fetch, message) => {
    const { events: one, reports } = events({ fetch });
    const answer = await one.fetch(REQUEST);
    expect([answer.status, await answer.text()]).toEqual([500, "500 Internal Server Error\n"]);
    expect(reports).toEqual([`GET /path: ${message}`]);
  });

  it("as overloaded is a 503", async () => {
    const { events: one, reports } = events({
      fetch() {
        throw new RpcError("overloaded", "limit-exceeded", "too much");
      },
    });
    expect((await one.fetch(REQUEST)).status).toBe(503);
    expect(reports).toEqual(["GET /path: too much"]);
  });

  it("in a constructor is no more than that", async () => {
    const { events: one, reports } = events(
      class {
        constructor() {
          throw new Error("no start");
        }
        fetch(): void {}
      },
    );
    expect((await one.fetch(REQUEST)).status).toBe(500);
    expect(reports).toEqual(["GET /path: no start"]);
  });
});

describe("waitUntil", () => {
  it("is waited for after the response, and what it is rejected with reported", async () => {
    const gate = later();
    const { events: one, reports } = events({
      fetch(_: Request, __: Env, ctx: { waitUntil(promise: Promise<unknown>): void }) {
        ctx.waitUntil(gate.promise.then(() => waitUntil(Promise.reject(new Error("late")))));
        return new Response("at once");
      },
    });
    expect(await (await one.fetch(REQUEST)).text()).toBe("at once");
    let over = false;
    const settled = one.settled(3_600_000).then(() => (over = true));
    await new Promise((resolve) => void setImmediate(resolve));
    expect(over).toBe(false);
    gate.resolve();
    await settled;
    expect(reports).toEqual(["waitUntil: late"]);
  });
});
