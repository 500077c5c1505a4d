// A peer that was written from schema/js.capnp and the two pages on JavaScript objects, and stubs and objects of ours.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import { compile } from "../../../src/cap/typed/compiler/index.js";
import { RpcError, RpcStub, RpcTarget, serve, Session, memoryPair } from "../../../src/index.js";
import type { Hook } from "../../../src/hook/hook.js";
import { missingTool } from "../../support/tools.js";
import { settle } from "../../typed/kit.js";
import { failure } from "../kit.js";
import * as js from "./js.capnp.js";
import { callOn, decode, Peer, Ref, servePeer } from "./peer.js";

let near: Session;
let far: Session;

function open(bootstrap: Hook | js.Object): void {
  const [a, b] = memoryPair();
  far = new Session(b, { bootstrap: "_hook" in bootstrap ? bootstrap : () => bootstrap.addRef() });
  near = new Session(a);
}

afterEach(async () => {
  await settle();
  for (const { connection } of [near, far]) {
    connection.check();
    expect(connection.idle, connection.dump()).toBe(true);
  }
  await near.close();
  await far.closed;
});

describe("a stub of ours of an object of the peer's", () => {
  interface Room extends RpcTarget {
    name(): string;
  }
  interface Api extends RpcTarget {
    add(a: number, b: number): number;
    rooms: { open(name: string): Room };
    record(): { id: number; when: Date; none: undefined; tags: string[] };
    ask(callback: (text: string) => string): string;
    nothing(): void;
    fail(): number;
  }

  const peer = (): Peer =>
    new Peer({
      add: (a: number, b: number) => a + b,
      rooms: { open: (name: string) => new Peer({ name: () => `room ${name}` }) },
      record: () => ({ id: 1000, when: new Date(5), none: undefined, tags: ["a", "ü"] }),
      ask: async (callback: js.Object) => callOn(callback, [], ["hello"]),
      nothing: () => undefined,
      fail: () => {
        throw new RpcError("overloaded", "method-failed", "not today");
      },
    });

  function stub(served = peer()): RpcStub<Api> {
    open(servePeer(served));
    return near.bootstrap(RpcStub<Api>);
  }

  it("calls, pipelines on objects and on values, gets, and passes promises and callbacks", async () => {
    using api = stub();
    expect(await api.add(1, 2.5)).toBe(3.5);
    expect(await api.nothing()).toBe(undefined);
    using opened = api.rooms.open("x");
    expect(await opened.name()).toBe("room x");
    using room = await api.rooms.open("y");
    expect(await room.name()).toBe("room y");
    expect(await api.record()).toEqual({
      id: 1000,
      when: new Date(5),
      none: undefined,
      tags: ["a", "ü"],
    });
    using record = api.record();
    expect(await record.tags[1]).toBe("ü");
    expect(await record.id).toBe(1000);
    using two = api.add(1, 1);
    expect(await api.add(record.id, two)).toBe(1002);
    expect(await api.ask((text) => `${text}, you`)).toBe("hello, you");
  });

  it("hears failures as they are, and what the peer does not know as unimplemented", async () => {
    using api = stub();
    expect(await failure(api.fail())).toMatchObject({ type: "overloaded", message: "not today" });
    const loose = api as unknown as { missing(): PromiseLike<unknown> };
    expect(await failure(loose.missing())).toMatchObject({ type: "unimplemented" });
    using record = api.record();
    expect(await failure(record.tags.map((tag) => tag))).toMatchObject({ type: "unimplemented" });
  });

  it("tells the time that is left", async () => {
    const served = peer();
    using api = stub(served);
    await api.with({ deadline: Date.now() + 60_000 }).add(1, 2);
    await api.add(1, 2);
    expect(served.timeouts[0]).toBeGreaterThan(0);
    expect(served.timeouts[0]).toBeLessThanOrEqual(60_000);
    expect(served.timeouts[1]).toBe(0);
  });
});

describe("an object of ours that the peer calls", () => {
  class Counter extends RpcTarget {
    #count = 0;
    add(by: number): number {
      return (this.#count += by);
    }
  }
  class Api extends RpcTarget {
    secret = "own";
    counter(): Counter {
      return new Counter();
    }
    record(): object {
      return { id: 7, none: undefined, when: new Date(9) };
    }
    async ask(callback: RpcStub<(text: string) => string>): Promise<string> {
      return `they say: ${await callback("who?")}`;
    }
    async sum(a: number, b: number): Promise<number> {
      return a + b;
    }
    text(): string {
      return "short";
    }
  }

  function client(): js.Object {
    open(serve(new Api()));
    return near.bootstrap(js.Object);
  }

  it("answers with values, and with objects to pipeline on", async () => {
    using api = client();
    expect(await callOn(api, ["sum"], [2, 40])).toBe(42);
    expect(await callOn(api, ["record"], [])).toEqual({
      id: 7,
      none: undefined,
      when: new Date(9),
    });
    using made = api.call({ path: ["counter"], want: js.Want.object });
    expect(await callOn(made.object, ["add"], [5])).toBe(5);
    expect((await made).isObject).toBe(true);
    // A result that is no object stands for its value: its members, and all of it.
    using record = api.call({ path: ["record"], want: js.Want.object });
    using id = await record.object.get({ path: ["id"] });
    expect(decode(id.value, () => null)).toBe(7);
    using all = await record.object.get({});
    expect(decode(all.value, () => null)).toMatchObject({ id: 7 });
    // A small value comes along where either will do.
    using either = await api.call({ path: ["text"], want: js.Want.either });
    expect(either.hasValue).toBe(true);
    expect(decode(either.value, () => null)).toBe("short");
  });

  it("takes objects of the peer's, and promises in the place of values", async () => {
    using api = client();
    class Callback extends Peer {
      override async call(request: js.Request): Promise<js.Result.Init> {
        const [text] = decode(request.arguments, () => null) as [string];
        return answer(`me, ${text}`);
      }
    }
    const answer = (text: string): js.Result.Init => {
      const utf8 = new TextEncoder().encode(text);
      return { value: Uint8Array.of(0xd9, utf8.length, ...utf8), hasValue: true };
    };
    using callback = servePeer(new Callback({}));
    expect(
      await callOn(
        api,
        ["ask"],
        [new Ref(0, 0)],
        [{ kind: js.Reference_Kind.object, target: callback }],
      ),
    ).toBe("they say: me, who?");
    using sum = api.call({
      path: ["sum"],
      arguments: Uint8Array.of(0x92, 1, 2),
      want: js.Want.object,
    });
    using promised = sum.object.dup();
    expect(
      await callOn(
        api,
        ["sum"],
        [new Ref(1, 0), 4],
        [{ kind: js.Reference_Kind.promise, target: promised }],
      ),
    ).toBe(7);
  });

  it("gives nothing away that is no member", async () => {
    using api = client();
    for (const name of ["secret", "constructor", "__proto__", "then", "toString"])
      expect(await failure(callOn(api, [name], []))).toMatchObject({ type: "unimplemented" });
  });
});

it.skipIf(missingTool("capnp") !== null)("the peer's stubs are those of the schema", () => {
  open(serve(new (class extends RpcTarget {})()));
  const schemas = path.join(import.meta.dirname, "../../../schema");
  const files = ["js.capnp", "byte-stream.capnp"].map((name) => path.join(schemas, name));
  const made = spawnSync("capnp", ["compile", "-o-", `--src-prefix=${schemas}`, ...files]);
  for (const { path: name, text } of compile(made.stdout, { runtime: "../../../src/typed.js" }))
    expect(fs.readFileSync(path.join(import.meta.dirname, name), "utf8"), name).toBe(text);
});
