// Peers that send what no honest one sends: each gets an error for its call, and nothing else of ours is touched.

import { describe, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import {
  METHOD_CALL,
  METHOD_GET,
  METHOD_MAP,
  OBJECT_HI,
  OBJECT_LO,
  patchRequest,
  UNDEFINED,
  WANT_EITHER,
  WANT_OBJECT,
  writeRequest,
  writeResult,
} from "../../src/cap/dynamic/protocol.js";
import { type Program, type Step, writeMap } from "../../src/cap/dynamic/map/program.js";
import { encodeValue, spanOf } from "../../src/cap/dynamic/values/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { answer, type Cap, hosted, none, promised, RawPeer, table } from "../support/raw-peer.js";
import { Content } from "../../src/wire/content.js";
import { ContentBuilder } from "../../src/wire/struct.js";
import { Counter, failure } from "./kit.js";

class Api extends RpcTarget {
  readonly seen: unknown[] = [];
  note(...values: unknown[]): void {
    this.seen.push(...values);
  }
  make(): Counter {
    return new Counter();
  }
  get list(): number[] {
    return [1, 2];
  }
  plain(): object {
    return { a: 1 };
  }
  async use(f: () => number): Promise<number> {
    return f();
  }
}

/** A value in which `marks` stand for references. */
const value = (content: unknown, ...slots: { kind: number; index: number }[]): Uint8Array => {
  let next = 0;
  return encodeValue(content, { reference: () => slots[next++] });
};
const mark = (): void => {};

interface Options {
  method?: number;
  want?: number;
  flags?: number;
  content?: Content;
  hi?: number;
}

/** A peer that holds export 0, an Api. */
class Peer extends RawPeer {
  readonly api: Api;
  private readonly hook;

  constructor() {
    const api = new Api();
    const hook = serve(api);
    super({ bootstrap: () => hook.addRef() });
    // Served by the process's scheduler: jobs run when that is drained.
    this.api = api;
    this.hook = hook;
    this.bootstrap(99);
    hook.scheduler.drain();
    this.finish(99, false);
  }

  ask(
    question: number,
    target: number | Cap,
    path: string[],
    args: Uint8Array | null,
    kinds: number[],
    caps: Cap[],
    { method = METHOD_CALL, want = 0, flags = 0, content, hi = OBJECT_HI }: Options = {},
  ): string[] {
    const body = content ?? writeRequest(path, args === null ? null : spanOf(args), kinds);
    if (content === undefined) patchRequest(body, want, 0);
    const to =
      typeof target === "number" ? { kind: 0, id: target, path: [] } : { ...target, kind: 1 };
    const lines = this.send((w) =>
      w.call(question, to.kind, to.id, to.path, hi, OBJECT_LO, method, flags, 0, body, table(caps)),
    );
    this.hook.scheduler.drain();
    return [...lines, ...this.drain()];
  }

  ends(): void {
    expect(this.over, "what ended the connection").toBe(null);
    this.release(0);
    this.hook.release();
    this.hook.scheduler.drain();
    this.done();
  }
}

const GARBAGE = Uint8Array.of(0xc1, 0xff, 0xff, 0xff);

describe("a call", () => {
  const bad: [string, (peer: Peer) => string[], RegExp][] = [
    ["of arguments that are no list", (p) => p.ask(1, 0, ["note"], value("x"), [], []), /a list/],
    ["of arguments that are garbage", (p) => p.ask(1, 0, ["note"], GARBAGE, [], []), /value/],
    ["of empty arguments", (p) => p.ask(1, 0, ["note"], new Uint8Array(0), [], []), /value/],
    [
      "with a reference that did not come",
      (p) => p.ask(1, 0, ["note"], value([mark], { kind: 0, index: 3 }), [0], [hosted(7)]),
      /reference 3 of kind 0/,
    ],
    [
      "with a reference of another kind than it said",
      (p) => p.ask(1, 0, ["note"], value([mark], { kind: 1, index: 0 }), [0], [hosted(7)]),
      /reference 0 of kind 1/,
    ],
    [
      "with a reference of an unknown kind",
      (p) => p.ask(1, 0, ["note"], value([mark], { kind: 9, index: 0 }), [9], [hosted(7)]),
      /kind 9/,
    ],
    [
      "with a reference and no list of them",
      (p) => p.ask(1, 0, ["note"], value([mark], { kind: 0, index: 0 }), [], []),
      /did not come with it/,
    ],
    [
      "of a path that is too long",
      (p) =>
        p.ask(
          1,
          0,
          Array.from({ length: 65 }, () => "a"),
          null,
          [],
          [],
        ),
      /65 elements/,
    ],
    [
      "of a method that the interface lacks",
      (p) => p.ask(1, 0, [], null, [], [], { method: 7 }),
      /js\.capnp/,
    ],
    ["of another interface", (p) => p.ask(1, 0, [], null, [], [], { hi: 1 }), /js\.capnp/],
    ["of an object that is no function", (p) => p.ask(1, 0, [], null, [], []), /not a function/],
    [
      "whose params are no struct",
      (p) =>
        p.ask(1, 0, [], null, [], [], {
          content: new Content(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0)),
        }),
      /./,
    ],
  ];

  it.each(bad)("%s fails, and nothing else", (_name, act, message) => {
    const peer = new Peer();
    const lines = act(peer).filter((line) => !line.startsWith("release"));
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^return 1 exception/);
    expect(lines[0]).toMatch(message);
    peer.finish(1);
    expect(peer.api.seen).toEqual([]);
    // The object still serves.
    expect(peer.ask(2, 0, ["note"], value([5]), [], [])).toEqual([
      "return 2 results value=1 noFinish",
    ]);
    expect(peer.api.seen).toEqual([5]);
    peer.ends();
  });

  it("with a null reference gives a stub on which every call fails", async () => {
    const peer = new Peer();
    const lines = peer.ask(1, 0, ["use"], value([mark], { kind: 0, index: 0 }), [0], [none]);
    expect(lines).toEqual([]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(peer.drain()).toEqual([expect.stringMatching(/^return 1 exception .*null capability/)]);
    peer.finish(1);
    peer.ends();
  });

  it("that wants what is unknown gets the object", () => {
    const peer = new Peer();
    expect(peer.ask(1, 0, ["plain"], null, [], [], { want: 77 })).toEqual([
      expect.stringMatching(/^return 1 results .*caps=\[senderHosted/),
    ]);
    peer.finish(1);
    peer.ends();
  });

  it("that wants nothing but the pipeline gets no Return, and its result is let go of with the Finish", () => {
    const peer = new Peer();
    const id = 2 ** 31;
    expect(peer.ask(id, 0, ["plain"], null, [], [], { want: WANT_OBJECT, flags: 4 })).toEqual([]);
    expect(peer.ask(1, answer(id, 1), ["a"], null, [], [], { method: METHOD_GET })).toEqual([
      "return 1 results value=1 noFinish",
    ]);
    peer.finish(id);
    peer.ends();
  });

  it("with a promise of its own that breaks, fails; that never comes, ends with the Finish", () => {
    const peer = new Peer();
    const args = value([mark], { kind: 1, index: 0 });
    const [get] = peer.ask(1, 0, ["note"], args, [1], [promised(5)]);
    const question = /^call (\d+) import 5 method=1 noPipelining$/.exec(get!)![1];
    expect(peer.breaks(5, "broken")).toEqual(["release 5 x1"]);
    const lines = peer.fails(Number(question), "broken");
    expect(lines.some((line) => line.startsWith('return 1 exception failed "broken"'))).toBe(true);
    peer.finish(1);
    expect(peer.ask(2, 0, ["note"], args, [1], [promised(6)])[0]).toMatch(/^call /);
    const after = peer.finish(2);
    processScheduler().drain();
    after.push(...peer.drain());
    expect(after.join("\n")).toMatch(/return 2 canceled/);
    expect(after.join("\n")).toMatch(/finish/);
    const asked = Number(/^finish (\d+)/m.exec(after.join("\n"))![1]);
    peer.returnsTag(asked, 2);
    peer.ends();
  });

  it("with a promise whose value is a promise, and so on for ever, fails at a limit", () => {
    const peer = new Peer();
    let [line]: (string | undefined)[] = peer.ask(
      1,
      0,
      ["note"],
      value([mark], { kind: 1, index: 0 }),
      [1],
      [hosted(5)],
    );
    const again = writeResult(spanOf(value(mark, { kind: 1, index: 0 })), [1], false, false).own();
    for (let i = 0; i < 100 && line !== undefined && line.startsWith("call"); i++) {
      const question = Number(line.split(" ")[1]);
      const lines = peer.returns(question, { content: again, caps: [hosted(5)] });
      line =
        lines.find((one) => one.startsWith("call")) ??
        lines.find((one) => one.startsWith("return"));
    }
    expect(line).toMatch(/^return 1 exception .*more than 64 promises/);
    peer.finish(1);
    peer.ends();
  });
});

describe("a program of map", () => {
  const step = (changes: Partial<Step>): Step => ({
    on: 0,
    onReference: false,
    operation: METHOD_GET,
    path: [],
    args: null,
    program: null,
    ...changes,
  });
  const nested = (levels: number): Program => ({
    steps: levels === 0 ? [] : [step({ operation: METHOD_MAP, program: nested(levels - 1) })],
    result: value(1),
  });
  const variable = (index: number): Uint8Array => value(mark, { kind: 2, index });
  const bad: [string, Program, RegExp][] = [
    ["names a variable that is not set", { steps: [], result: variable(1) }, /variable 1/],
    [
      "names a variable of a level that is not there",
      { steps: [], result: variable(1 << 16) },
      /level 1/,
    ],
    [
      "calls a variable that is not set",
      { steps: [step({ on: 9 })], result: value(1) },
      /variable 9/,
    ],
    [
      "calls a reference that did not come",
      { steps: [step({ onReference: true })], result: value(1) },
      /no reference 0/,
    ],
    [
      "has an unknown operation",
      { steps: [step({ operation: 9 })], result: value(1) },
      /operation 9/,
    ],
    [
      "has a map without a program",
      { steps: [step({ operation: METHOD_MAP })], result: value(1) },
      /operation 2/,
    ],
    [
      "has arguments that are no list",
      { steps: [step({ operation: METHOD_CALL, args: value(3) })], result: value(1) },
      /no list/,
    ],
    ["has a result that is garbage", { steps: [], result: GARBAGE }, /value/],
    ["is nested too deep", nested(9), /inside one another/],
    [
      "is too long",
      { steps: Array.from({ length: 1001 }, () => step({})), result: value(1) },
      /too many steps/,
    ],
  ];

  it.each(bad)("that %s fails, and nothing else", async (_name, program, message) => {
    const peer = new Peer();
    const content = writeMap(["list"], program, [], 0);
    const lines = peer.ask(1, 0, [], null, [], [], { method: METHOD_MAP, content });
    await new Promise((resolve) => setTimeout(resolve, 0));
    processScheduler().drain();
    lines.push(...peer.drain());
    expect(lines).toEqual([expect.stringMatching(/^return 1 exception/)]);
    expect(lines[0]).toMatch(message);
    peer.finish(1);
    peer.ends();
  });
});

describe("a result", () => {
  const bad: [string, Content, Cap[], RegExp][] = [
    ["without the value", writeResult(null, [], false, false).own(), [], /value was asked for/],
    ["that is garbage", writeResult(spanOf(GARBAGE), [], false, false).own(), [], /value/],
    [
      "with references that did not come",
      writeResult(spanOf(value([mark], { kind: 0, index: 1 })), [0], false, false).own(),
      [hosted(9)],
      /reference 1/,
    ],
    ["that is no struct", new Content(Uint8Array.of(1, 0, 0, 0, 2, 0, 0, 0)), [], /./],
  ];

  it.each(bad)("%s fails that call", async (_name, content, caps, message) => {
    const peer = new RawPeer();
    const stub = new RpcStub<Counter>(peer.remote(hosted(4)));
    const failed = failure(stub.add(1));
    await Promise.resolve();
    await Promise.resolve();
    const [line] = peer.drain();
    expect(line).toMatch(/^call \d+ import 4 method=0 noPipelining$/);
    peer.returns(Number(line!.split(" ")[1]), { content, caps, noFinish: caps.length === 0 });
    const error = await failed;
    expect(error.message).toMatch(message);
    expect(error.method).toBe("add");
    stub[Symbol.dispose]();
    peer.drain();
    peer.done();
  });

  it("that says it is the object, and brings none, fails that call", async () => {
    const peer = new RawPeer();
    const stub = new RpcStub<Api>(peer.remote(hosted(4)));
    const promise = stub.make();
    await Promise.resolve();
    await Promise.resolve();
    const [line] = peer.drain();
    const builder = new ContentBuilder();
    builder.root(1, 0).u8(0, 2);
    peer.returns(Number(line!.split(" ")[1]), { content: builder.finish().own() });
    const failed = failure(promise);
    await Promise.resolve();
    await Promise.resolve();
    peer.drain();
    expect((await failed).message).toMatch(/neither its value nor an object/);
    promise[Symbol.dispose]();
    stub[Symbol.dispose]();
    peer.drain();
    peer.done();
  });

  it("of a call that wanted either, may bring the value without an object", async () => {
    const peer = new RawPeer();
    const stub = new RpcStub<Counter>(peer.remote(hosted(4)));
    const promise = stub.add(1);
    await Promise.resolve();
    await Promise.resolve();
    const [line] = peer.drain();
    expect(line).toMatch(/^call \d+ import 4 method=0$/);
    peer.returns(Number(line!.split(" ")[1]), {
      content: writeResult(spanOf(value(7)), [], false, false).own(),
      noFinish: true,
    });
    expect(await promise).toBe(7);
    stub[Symbol.dispose]();
    peer.drain();
    peer.done();
  });
});

it("the numbers that travel are those of the schema", () => {
  expect([METHOD_CALL, METHOD_GET, WANT_OBJECT, WANT_EITHER]).toEqual([0, 1, 1, 2]);
  expect(UNDEFINED.to - UNDEFINED.from).toBe(0);
});
