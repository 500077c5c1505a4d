// What plain JavaScript can hand over and the types refuse: an error that names it, at once, and nobody else is harmed.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  batchResponse,
  connect as connectPortably,
  DEFAULT_LIMITS,
  limitsWith,
  memoryPair,
  reconnecting,
  type RpcError,
  RpcStub,
  RpcTarget,
  serve,
  Session,
} from "../../src/index.js";
import { connect as connectFromPage } from "../../src/browser.js";
import { batchHandler, connect, listen, type ListenOptions } from "../../src/node.js";
import { connectWorker, serveWorkerd } from "../../src/workerd.node.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { failure } from "../support/vats.js";

class Api extends RpcTarget {
  hello(): string {
    return "hello";
  }
}

/** As a program without types sees it. */
type Untyped = never;

function thrown(what: () => unknown): RpcError {
  try {
    what();
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("it did not fail");
}

function refused(error: RpcError, ...says: string[]): void {
  expect(error).toMatchObject({ type: "failed", code: "invalid-argument" });
  for (const text of says) expect(error.message).toContain(text);
}

describe("arguments that are none", () => {
  let before: Map<string, number>;
  let open: { close(): Promise<unknown> }[];

  beforeEach(() => {
    before = resources();
    open = [];
  });

  afterEach(async () => {
    for (const one of open.reverse()) await one.close();
    await expectNoResidue(before);
  });

  async function served(options: ListenOptions = {}, at: string | URL = "tcp://127.0.0.1:0") {
    const listener = await listen(at, { bootstrap: () => serve(new Api()), ...options });
    open.push(listener);
    return listener;
  }

  /** Every door that takes options of a session, each given `options`. */
  async function doors(options: object, says: string): Promise<void> {
    const given = options as Untyped;
    const { url } = await served();
    refused(await failure(listen("tcp://127.0.0.1:0", given)), says);
    refused(await failure(listen("http://127.0.0.1:0", given)), says);
    refused(await failure(connect(url, given)), says);
    refused(await failure(connect("http://127.0.0.1:1", given)), says);
    refused(await failure(connectPortably("ws://127.0.0.1:1", given)), says);
    const [near, far] = memoryPair();
    refused(
      thrown(() => new Session(near, given)),
      says,
    );
    near.close();
    far.close();
    refused(
      thrown(() => batchHandler(given)),
      says,
    );
    refused(await failure(batchResponse(new Request("http://h/"), given)), says);
  }

  it("a bootstrap that is no capability is refused where it is given", async () => {
    using stub = new RpcStub(new Api());
    for (const bootstrap of [new Api(), stub, stub.hello, {}, "x", 5, true, { _hook: 5 }])
      await doors({ bootstrap }, "bootstrap is no capability: serve(object)");
  });

  it("what a bootstrap function gives that is none fails that Bootstrap alone", async () => {
    const api = serve(new Api());
    using stub = new RpcStub(new Api());
    const given: (() => unknown)[] = [
      () => new Api(),
      async () => new Api(),
      () => Promise.reject(new Error("late")),
      () => stub,
      () => "x",
      () => null,
      () => undefined,
      () => api.addRef(),
    ];
    const count = given.length;
    const listener = await served({ bootstrap: (() => given.shift()!()) as Untyped });
    const session = await connect(listener.url);
    open.push(session);
    for (let i = 1; i < count; i++) {
      using root = session.bootstrap(RpcStub<Api>);
      const error = await failure(root.hello());
      expect(error).toMatchObject({ type: "failed", code: "remote-exception" });
      expect(error.message).toContain("bootstrap is no capability: serve(object)");
    }
    using root = session.bootstrap(RpcStub<Api>);
    expect(await root.hello()).toBe("hello");
    api.release();
  });

  it("limits are all there, or refused", async () => {
    const { nesting: _, ...lacking } = DEFAULT_LIMITS;
    const cases = [
      5,
      "x",
      {},
      { answers: 1000 },
      lacking,
      { ...DEFAULT_LIMITS, nesting: Number.NaN },
    ];
    for (const limits of cases) {
      const says = "use limitsWith({...})";
      await doors({ limits }, says);
      const given = { limits } as Untyped;
      refused(
        thrown(() => serve(new Api(), given)),
        says,
      );
      refused(
        thrown(() => new RpcStub(new Api(), given)),
        says,
      );
      refused(
        thrown(() => reconnecting(() => connect("tcp://127.0.0.1:1"), given)),
        says,
      );
      refused(await failure(serveWorkerd("tcp://127.0.0.1:0", given)), says);
    }
    refused(
      thrown(() => serve(new Api(), { limits: lacking as Untyped })),
      "nesting",
    );
  });

  it("limitsWith names what is none", () => {
    refused(
      thrown(() => limitsWith({ foo: 1 } as Untyped)),
      "there is no limit foo",
    );
    for (const nesting of [0, 1.5, -1, Infinity, undefined, "5"])
      refused(
        thrown(() => limitsWith({ nesting } as Untyped)),
        `nesting must be a whole number from 1 on, not ${nesting}`,
      );
    expect(limitsWith({ nesting: 3 })).toEqual({ ...DEFAULT_LIMITS, nesting: 3 });
  });

  it("a dial is a function", () => {
    for (const dial of ["tcp://127.0.0.1:1", undefined, null, {}])
      refused(
        thrown(() => reconnecting(dial as Untyped)),
        "dial is no function",
      );
    const dial = () => connect("tcp://127.0.0.1:1");
    for (const [options, says] of [
      [5, "options"],
      [{ signal: {} }, "signal"],
      [{ open: 5 }, "open"],
      [{ onConnected: "x" }, "onConnected"],
    ] as const)
      refused(
        thrown(() => reconnecting(dial, options as Untyped)),
        says,
      );
  });

  it("a dial that gives no session is not tried again", async () => {
    using stub = new RpcStub(new Api());
    for (const given of [undefined, null, 5, {}, stub, async () => undefined]) {
      let dials = 0;
      const dial = (): unknown => {
        dials++;
        return given;
      };
      const link = reconnecting(dial as Untyped);
      open.push(link);
      using api = link.bootstrap(RpcStub<Api>);
      refused(await failure(api.hello()), "dial must return a session; is a `return` missing?");
      expect(link.state).toBe("closed");
      expect(dials).toBe(1);
      await link.close();
    }
  });

  it("what is called later is a function", async () => {
    const { url } = await served();
    const session = await connect(url);
    open.push(session);
    const link = reconnecting(() => connect(url), { lazy: true });
    open.push(link);
    for (const type of [null, 5, {}])
      for (const from of [session, link])
        refused(
          thrown(() => from.bootstrap(type as Untyped)),
          "type",
        );
    using api = session.bootstrap(RpcStub<Api>);
    for (const listener of [undefined, null, 5])
      for (const listen of [
        () => api.onRpcBroken(listener as Untyped),
        () => session.onStateChange(listener as Untyped),
        () => link.onStateChange(listener as Untyped),
      ])
        refused(thrown(listen), "listener");
    expect(await api.hello()).toBe("hello");
    await doors({ redactError: 5 }, "redactError");
  });

  it("options are what they say, before anything is opened", async () => {
    const { url } = await served();
    for (const [options, says] of [
      [5, "options"],
      ["x", "options"],
      [null, "options"],
      [{ connectTimeout: "x" }, "connectTimeout"],
      [{ signal: {} }, "signal"],
      [{ signal: 5 }, "signal"],
    ] as const) {
      const given = options as Untyped;
      refused(await failure(connect(url, given)), says);
      refused(await failure(connect("http://127.0.0.1:1", given)), says);
      refused(await failure(connectPortably("ws://127.0.0.1:1", given)), says);
      refused(await failure(connectWorker(url, "host", given)), says);
    }
    for (const [options, says] of [
      [5, "options"],
      [null, "options"],
      [{ origins: "x" }, "origins"],
      [{ origins: 5 }, "origins"],
      [{ origins: null }, "origins"],
      [{ onSession: 5 }, "onSession"],
      [{ onError: "x" }, "onError"],
    ] as const) {
      const given = options as Untyped;
      refused(await failure(listen("ws://127.0.0.1:0", given)), says);
      refused(await failure(listen("tcp://127.0.0.1:0", given)), says);
      refused(
        thrown(() => batchHandler(given)),
        says,
      );
      refused(await failure(batchResponse(new Request("http://h/"), given)), says);
    }
  });

  it("an address may be a URL", async () => {
    const listener = await served({}, new URL("tcp://127.0.0.1:0"));
    const session = await connect(new URL(listener.url));
    open.push(session);
    using api = session.bootstrap(RpcStub<Api>);
    expect(await api.hello()).toBe("hello");
    refused(await failure(connectPortably(new URL(listener.url))), "need Node");
    refused(await failure(connectFromPage(new URL(listener.url))), "has the scheme tcp:");
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan ä-"));
    const socket = new URL(`unix:${folder}/a b`);
    const beside = await served({}, socket);
    expect(fs.readdirSync(folder)).toEqual(["a b"]);
    await (await connect(socket)).close();
    await beside.close();
    fs.rmSync(folder, { recursive: true });
    for (const address of [5, null, {}]) refused(await failure(connect(address as Untyped)));
  });
});
