// Peers that break the rules of HTTP by capability: each fails its own request, with a typed error, and leaves nothing behind.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import {
  BYTES_END,
  BYTES_HI,
  BYTES_LO,
  BYTES_WRITE,
  bytesParams,
  ONE_CAPABILITY,
} from "../../src/cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import {
  readRequest,
  writeClose,
  writeHandshake,
  writeRequest,
  writeResponse,
  writeText,
} from "../../src/http/messages.js";
import {
  CONTEXT_HI,
  CONTEXT_LO,
  SERVICE_HI,
  SERVICE_LO,
  SOCKET_CLOSE,
  SOCKET_HI,
  SOCKET_LO,
  SOCKET_TEXT,
} from "../../src/http/protocol.js";
import { HttpResponse } from "../../src/http/response.js";
import { WebSocketPair } from "../../src/http/websocket.js";
import type { MeshVat } from "../../src/testing.js";
import { Content } from "../../src/wire/content.js";
import { ContentBuilder, type StructBuilder } from "../../src/wire/struct.js";
import { Producer, streamOf } from "../dynamic/streams/kit.js";
import { call, failure, Foreign, Pair, URL_OF } from "./kit.js";

const builder = new ContentBuilder();
const bytes = (n: number): Content => bytesParams(new Uint8Array(n));

/** Params of request, with whatever `fill` puts into a sound one. */
function request(fill: (head: StructBuilder) => void, url = URL_OF, context = true): Content {
  const params = builder.root(0, 2);
  const head = params.struct(0, 2, 2);
  if (url !== "") head.text(0, url);
  head.u16(2, 1);
  fill(head);
  if (context) params.capability(1, 0);
  return builder.finish().own();
}

function header(name: string, value: string): (head: StructBuilder) => void {
  return (head) => {
    const struct = head.structs(1, 1, 2, 1)[0]!;
    struct.u16(8, 1);
    const pair = struct.struct(0, 0, 2);
    pair.text(0, name);
    pair.text(1, value);
  };
}

/** A list whose structs claim to have no size. */
function manyHeaders(): Content {
  const content = request((head) => void head.structs(1, 1, 1, 0));
  const view = new DataView(content.bytes.buffer, content.bytes.byteOffset);
  for (let at = 0; at < content.bytes.length; at += 8)
    if (view.getUint32(at, true) === 4 && view.getUint32(at + 4, true) === 1) {
      view.setUint32(at, 4 * 0x0fff_ffff, true);
      view.setUint32(at + 4, 0, true);
    }
  return content;
}

describe("a service, asked by a stranger", () => {
  const never = (): Response => {
    throw new Error("the handler must not run");
  };

  const cases: [string, Content, string][] = [
    ["no params at all", Content.NULL, "invalid-payload"],
    [
      "params that are no struct",
      new Content(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0)),
      "invalid-payload",
    ],
    ["an unknown method", request((head) => head.u16(0, 28)), "invalid-payload"],
    ["an unknown form of size", request((head) => head.u16(2, 2)), "invalid-payload"],
    ["a size past all numbers", request((head) => head.u64(8, 2n ** 63n)), "invalid-payload"],
    ["no URL", request(() => {}, ""), "invalid-payload"],
    ["a relative URL", request(() => {}, "/path"), "invalid-payload"],
    ["nobody to answer to", request(() => {}, URL_OF, false), "invalid-payload"],
    ["a header with a line break in its name", request(header("a\r\nb", "c")), "invalid-payload"],
    ["a header with no name", request(header("", "c")), "invalid-payload"],
    ["a header with a line break", request(header("a", "b\r\nSet-Cookie: c")), "invalid-payload"],
    ["a header with a NUL", request(header("a", "b\0")), "invalid-payload"],
    [
      "a common header of no number",
      request((head) => void head.structs(1, 1, 2, 1)),
      "invalid-payload",
    ],
    [
      "a common header of an unknown number",
      request((head) => head.structs(1, 1, 2, 1)[0]!.u16(0, 48)),
      "invalid-payload",
    ],
    [
      "a header of an unknown kind",
      request((head) => head.structs(1, 1, 2, 1)[0]!.u16(8, 2)),
      "invalid-payload",
    ],
    [
      "a value of an unknown number",
      request((head) => {
        const struct = head.structs(1, 1, 2, 1)[0]!;
        struct.u16(0, 2);
        struct.u16(2, 2);
      }),
      "invalid-payload",
    ],
    ["headers that claim to be many", manyHeaders(), "invalid-payload"],
  ];
  it.each(cases)("refuses %s", async (_, content, code) => {
    const pair = new Pair(never);
    const context = new Foreign((one) => one.returns());
    const answer = pair.run(
      failure(call(pair.raw, SERVICE_HI, SERVICE_LO, 1, content, [context.hook(pair.guest)])),
    );
    const error = await answer;
    expect(error.type).toBe("failed");
    // Over the wire a code is the callee's own affair.
    expect([code, "remote-exception"]).toContain(error.code);
    expect(error.message).not.toContain("must not run");
    expect(context.calls).toEqual([]);
    await pair.done();
    expect(context.drops).toBe(1);
  });

  it("has no other methods", async () => {
    const pair = new Pair(never);
    for (const [hi, method] of [
      [SERVICE_HI, 0],
      [SERVICE_HI, 2],
      [SERVICE_HI, 3],
      [CONTEXT_HI, 1],
    ] as const)
      expect(await pair.run(failure(call(pair.raw, hi, SERVICE_LO, method)))).toMatchObject({
        type: "unimplemented",
      });
    await pair.done();
  });

  /** Asks with a body; gives what is written to, and how the request ends. */
  function ask(
    pair: Pair,
    size: number | null,
    context: Foreign,
    method = "POST",
  ): { body: Hook; ended: Promise<RpcError | null>; give: () => void } {
    const head = { method, url: URL_OF, headers: [], size };
    const params = new Payload(writeRequest(head), [context.hook(pair.guest)]);
    const results = pair.raw.call(new CallRequest(SERVICE_HI, SERVICE_LO, 1, params));
    const body = results.pipeline([0]);
    results.dropPipeline();
    const ended = new Promise<RpcError | null>((resolve) => {
      results.observe({
        immediate: false,
        resultsSettled() {
          const { error } = results;
          results.cancel();
          resolve(error);
        },
      });
    });
    return { body, ended, give: () => results.cancel() };
  }

  const reading = (seen: unknown[]) => async (got: Request) => {
    try {
      seen.push(await got.text());
    } catch (error) {
      seen.push((error as RpcError).code);
    }
    return new Response("ok");
  };

  /** One that takes an answer, whatever it is. */
  const taker = (): Foreign =>
    new Foreign((one) => {
      if (one.interfaceHi !== CONTEXT_HI) return one.returns();
      one.returns(new Payload(ONE_CAPABILITY, [new Foreign((write) => write.returns()).hook()]));
    });

  it.each([
    ["more than announced", [5, 4], "body-length"],
    ["less than announced", [5], "body-length"],
    ["as much as announced, in many writes", [5, 0, 3], "\0".repeat(8)],
  ])("takes a body of %s for what it is", async (_, sizes, expected) => {
    const seen: unknown[] = [];
    const pair = new Pair(reading(seen));
    const { body, ended } = ask(pair, 8, taker());
    for (const size of sizes)
      await pair.run(call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(size)).catch(() => {}));
    await pair.run(call(body, BYTES_HI, BYTES_LO, BYTES_END).catch(() => {}));
    expect(await pair.run(ended)).toBeNull();
    expect(seen).toEqual([expected]);
    body.release();
    await pair.done();
  });

  it("takes a body that is given up for one that was cut off, and nothing after its end", async () => {
    const seen: unknown[] = [];
    const pair = new Pair(reading(seen));
    const first = ask(pair, null, taker());
    await pair.run(call(first.body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(3)));
    first.body.release();
    first.give();
    await pair.rest();
    const { body, ended } = ask(pair, null, taker());
    await pair.run(call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(3)));
    await pair.run(call(body, BYTES_HI, BYTES_LO, BYTES_END));
    const late = await pair.run(failure(call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(3))));
    expect(late.message).toContain("ended");
    expect(await pair.run(ended)).toBeNull();
    expect(seen).toEqual(["call-canceled", "\0\0\0"]);
    body.release();
    await pair.done();
  });

  it.each(["GET", "POST"])("takes nothing once it has answered: %s", async (method) => {
    let answer!: (response: Response) => void;
    const pair = new Pair(() => new Promise<Response>((resolve) => (answer = resolve)));
    const { body, ended } = ask(pair, null, taker(), method);
    const before = call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(3)).catch(() => {});
    if (method === "GET") await pair.run(before);
    else await pair.rest();
    answer(new Response("ok"));
    expect(await pair.run(ended)).toBeNull();
    await before;
    const late = await pair.run(failure(call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(3))));
    expect(late).toMatchObject({ type: "disconnected" });
    body.release();
    await pair.done();
  });

  it("takes no values for bytes", async () => {
    const { writableOf } = await import("../../src/cap/dynamic/index.js");
    const seen: unknown[] = [];
    const pair = new Pair(reading(seen));
    const { body, ended } = ask(pair, null, taker());
    const writer = writableOf(body).getWriter();
    writer.closed.catch(() => {});
    await pair.run(writer.write({ not: "bytes" }).catch(() => {}));
    expect(await pair.run(ended)).toBeNull();
    expect(seen).toEqual(["invalid-argument"]);
    await pair.rest();
    await pair.done();
  });

  it("ends when whoever asks takes no answer", async () => {
    let aborted = false;
    const pair = new Pair((got) => {
      got.signal.addEventListener("abort", () => (aborted = true));
      return new Response(new Producer(1, undefined, true).stream);
    });
    const refusal = new RpcError("failed", "invalid-state", "no thanks");
    const refusing = new Foreign((one) => one.fails(refusal));
    const first = ask(pair, 0, refusing);
    expect(await pair.run(first.ended)).toMatchObject({ message: "no thanks" });
    expect(aborted).toBe(true);
    first.body.release();
    // It says that it takes a body, and gives nothing to write to.
    const empty = new Foreign((one) => one.returns());
    const second = ask(pair, 0, empty);
    expect(await pair.run(second.ended)).toMatchObject({ type: "failed" });
    second.body.release();
    await pair.done();
  });

  it("breaks a WebSocket that leads nowhere, and one that is closed with a code that is none", async () => {
    const log: string[] = [];
    const pair = new Pair(() => {
      const { 0: client, 1: server } = new WebSocketPair();
      server.addEventListener("close", ({ code }) => log.push(String(code)));
      server.accept();
      server.send("hello");
      return new HttpResponse(null, { status: 101, webSocket: client });
    });
    const params = (context: Foreign): Payload => {
      const headers = [["upgrade", "websocket"] as const];
      const head = { method: "GET", url: URL_OF, headers, size: 0 };
      return new Payload(writeRequest(head), [context.hook(pair.guest)]);
    };
    const asked = (context: Foreign): Promise<RpcError | null> => {
      const results = pair.raw.call(new CallRequest(SERVICE_HI, SERVICE_LO, 1, params(context)));
      results.dropPipeline();
      return new Promise((resolve) => {
        results.observe({
          immediate: false,
          resultsSettled() {
            const { error } = results;
            results.cancel();
            resolve(error);
          },
        });
      });
    };
    await pair.run(asked(new Foreign((one) => one.returns())));
    let up: Hook | null = null;
    const bad = asked(
      new Foreign((one) => {
        up = one.params.caps[0]!.addRef();
        one.returns(
          new Payload(ONE_CAPABILITY, [new Foreign((sent) => sent.returns()).hook(pair.guest)]),
        );
      }),
    );
    await pair.rest();
    expect(await pair.run(failure(call(up!, SOCKET_HI, SOCKET_LO, 3)))).toMatchObject({
      type: "unimplemented",
    });
    const closed = call(up!, SOCKET_HI, SOCKET_LO, SOCKET_CLOSE, writeClose(5000, ""));
    expect(await pair.run(failure(closed))).toMatchObject({ type: "failed" });
    await pair.run(bad);
    const again = call(up!, SOCKET_HI, SOCKET_LO, SOCKET_TEXT, writeText("late"));
    expect(await pair.run(failure(again))).toMatchObject({ message: "this WebSocket is closed" });
    expect(log).toEqual(["1006", "1006"]);
    up!.release();
    await pair.done();
  });
});

it("breaks a WebSocket whose request is given up, though both of its ends are kept", async () => {
  const log: string[] = [];
  const pair = new Pair(() => {
    const { 0: client, 1: server } = new WebSocketPair();
    server.addEventListener("close", ({ code }) => log.push(String(code)));
    server.accept();
    return new HttpResponse(null, { status: 101, webSocket: client });
  });
  let up!: Hook;
  const down = new Foreign((sent) => sent.returns());
  const context = new Foreign((one) => {
    up = one.params.caps[0]!.addRef();
    one.returns(new Payload(ONE_CAPABILITY, [down.hook(pair.guest)]));
  });
  const headers = [["upgrade", "websocket"]] as const;
  const params = writeRequest({ method: "GET", url: URL_OF, headers, size: 0 });
  const results = pair.raw.call(
    new CallRequest(SERVICE_HI, SERVICE_LO, 1, new Payload(params, [context.hook(pair.guest)])),
  );
  await pair.rest();
  expect(log).toEqual([]);
  results.cancel();
  await pair.rest();
  expect(log).toEqual(["1006"]);
  expect(down.drops).toBe(1);
  up.release();
  await pair.done();
});

describe("a client, answered by a stranger", () => {
  /** A service that does with a request what `handle` says. */
  const serving = (handle: (one: LocalCall, context: Hook, vat: MeshVat) => void): Pair =>
    Pair.to((vat) =>
      new Foreign((one) => {
        const { context } = readRequest(one.params.content);
        handle(one, one.params.caps[context]!.addRef(), vat);
      }).hook(vat),
    );
  const answer = (
    context: Hook,
    status: number,
    size: number | null,
    statusText = "",
  ): Promise<Payload> =>
    call(
      context,
      CONTEXT_HI,
      CONTEXT_LO,
      0,
      writeResponse({ status, statusText, headers: [], size }),
    );
  const write = (body: Hook, size: number): Promise<Payload> =>
    call(body, BYTES_HI, BYTES_LO, BYTES_WRITE, bytes(size));
  const end = (body: Hook): Promise<Payload> => call(body, BYTES_HI, BYTES_LO, BYTES_END);

  it("fails when no response comes before the end", async () => {
    const pair = serving((one, context) => {
      context.release();
      one.returns();
    });
    const body = streamOf(new Uint8Array(9));
    const error = await pair.run(failure(pair.http.fetch(URL_OF, { method: "POST", body })));
    expect(error.code).toBe("no-response");
    await pair.done();
  });

  it("waits for a response that never comes until it is told to stop", async () => {
    let canceled = false;
    const pair = serving((one, context) => {
      one.onCancel = () => {
        canceled = true;
        context.release();
        one.fails(new RpcError("failed", "call-canceled", "canceled"));
      };
    });
    const control = new AbortController();
    const asked = failure(pair.http.fetch(URL_OF, { signal: control.signal }));
    await pair.rest();
    const reason = new Error("enough");
    control.abort(reason);
    expect(await asked).toBe(reason);
    await pair.rest();
    expect(canceled).toBe(true);
    await pair.done();
  });

  it("takes one response, and no second one of either kind", async () => {
    const errors: RpcError[] = [];
    const pair = serving((one, context) => {
      void (async () => {
        (await answer(context, 200, 0)).release();
        errors.push(await failure(answer(context, 201, 0)));
        const socket = new Foreign((sent) => sent.returns()).hook();
        errors.push(
          await failure(call(context, CONTEXT_HI, CONTEXT_LO, 1, writeHandshake([]), [socket])),
        );
        errors.push(await failure(call(context, CONTEXT_HI, CONTEXT_LO, 2)));
        context.release();
        one.returns();
      })();
    });
    const response = await pair.run(pair.http.fetch(URL_OF));
    expect(response.status).toBe(200);
    await pair.rest();
    expect(errors.map(({ type }) => type)).toEqual(["failed", "failed", "unimplemented"]);
    expect(errors[0]!.message).toContain("answered before");
    await pair.done();
  });

  it.each([
    ["a status below 200", 101, ""],
    ["a status of zero", 0, ""],
    ["a status above 599", 600, ""],
    ["a line break in its status", 200, "OK\r\nSet-Cookie: a=1"],
  ])("refuses a response with %s", async (_, status, text) => {
    let told!: RpcError;
    const pair = serving((one, context) => {
      void (async () => {
        told = await failure(answer(context, status, 0, text));
        context.release();
        one.returns();
      })();
    });
    const error = await pair.run(failure(pair.http.fetch(URL_OF)));
    expect(error.code).toBe("invalid-payload");
    await pair.rest();
    expect(told.type).toBe("failed");
    await pair.done();
  });

  it("refuses a WebSocket that nobody asked for, and one that leads nowhere", async () => {
    const pair = serving((one, context) => {
      void (async () => {
        const socket = new Foreign((sent) => sent.returns()).hook();
        const { head } = readRequest(one.params.content);
        const caps = head.method === "POST" ? [socket] : [];
        if (caps.length === 0) socket.release();
        await call(context, CONTEXT_HI, CONTEXT_LO, 1, writeHandshake([]), caps).catch(() => {});
        context.release();
        one.returns();
      })();
    });
    const unasked = pair.http.fetch(URL_OF, { method: "POST" });
    expect((await pair.run(failure(unasked))).message).toContain("nobody asked");
    const nowhere = pair.http.webSocket(URL_OF);
    expect((await pair.run(failure(nowhere))).code).toBe("invalid-payload");
    await pair.done();
  });

  interface Ending {
    readonly size: number | null;
    readonly writes: readonly number[];
    readonly ends: boolean;
    readonly fails: boolean;
  }
  it.each<[string, Ending, string]>([
    ["is whole", { size: null, writes: [4], ends: true, fails: false }, "4 bytes"],
    ["is whole and of known size", { size: 4, writes: [4], ends: true, fails: false }, "4 bytes"],
    [
      "ends, and then fails",
      { size: null, writes: [4], ends: true, fails: true },
      "remote-exception",
    ],
    ["is whole, and then fails", { size: 4, writes: [4], ends: true, fails: true }, "4 bytes"],
    ["is too short", { size: 5, writes: [4], ends: true, fails: false }, "body-length"],
    ["is too long", { size: 3, writes: [4], ends: true, fails: false }, "body-length"],
    ["is let go", { size: null, writes: [4], ends: false, fails: false }, "stream-dropped"],
    [
      "is let go at its full size",
      { size: 4, writes: [4], ends: false, fails: false },
      "stream-dropped",
    ],
    [
      "is let go, and the call fails",
      { size: null, writes: [], ends: false, fails: true },
      "remote-exception",
    ],
  ])("tells of a body that %s as it is", async (_, { size, writes, ends, fails }, expected) => {
    const pair = serving((one, context) => {
      void (async () => {
        const results = await answer(context, 200, size);
        const body = results.caps[0]!;
        for (const length of writes) await write(body, length).catch(() => {});
        if (ends) await end(body).catch(() => {});
        results.release();
        context.release();
        if (fails) one.fails(new RpcError("failed", "method-failed", "it broke"));
        else one.returns();
      })();
    });
    const response = await pair.run(pair.http.fetch(URL_OF));
    const told = await pair.run(
      response.arrayBuffer().then(
        (got) => `${got.byteLength} bytes`,
        (error: RpcError) => error.code,
      ),
    );
    expect(told).toBe(expected);
    await pair.done();
  });

  it("gives up a service that writes a body where there is none", async () => {
    let canceled = false;
    const pair = serving((one, context) => {
      one.onCancel = () => {
        canceled = true;
        context.release();
        one.fails(new RpcError("failed", "call-canceled", "canceled"));
      };
      void answer(context, 204, null).then((results) => results.release());
    });
    const response = await pair.run(pair.http.fetch(URL_OF));
    expect(response.body).toBeNull();
    await pair.rest();
    expect(canceled).toBe(true);
    await pair.done();
  });

  it("sees a WebSocket that is let go as one that was lost", async () => {
    let down!: Hook;
    let context!: Hook;
    const pair = serving((one, given, vat) => {
      context = given;
      const up = new Foreign((sent) => sent.returns()).hook(vat);
      const results = given.call(
        new CallRequest(CONTEXT_HI, CONTEXT_LO, 1, new Payload(writeHandshake([]), [up]), 0),
      );
      down = results.pipeline([0]);
      results.cancel();
      one.onCancel = () => one.fails(new RpcError("failed", "call-canceled", "canceled"));
      void call(down, SOCKET_HI, SOCKET_LO, SOCKET_TEXT, writeText("one")).then(() => {
        down.release();
        context.release();
        one.returns();
      });
    });
    const socket = await pair.run(pair.http.webSocket(URL_OF));
    const log: string[] = [];
    socket.onmessage = ({ data }) => log.push(String(data));
    socket.onerror = ({ message }) => log.push(message);
    socket.onclose = ({ code, wasClean }) => log.push(`${code} ${wasClean}`);
    socket.accept();
    await pair.rest();
    expect(log).toEqual(["one", expect.stringContaining("let go of"), "1006 false"]);
    await pair.done();
  });
});
