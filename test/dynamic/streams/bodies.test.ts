// What has bytes that come later: Blobs, Files, and the bodies of Requests and Responses.

import { expect, it, vi } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { RpcTarget } from "../../../src/cap/dynamic/index.js";
import { processScheduler } from "../../../src/cap/scheduler.js";
import { receiveBlob } from "../../../src/cap/stream/blob.js";
import { Source } from "../../../src/cap/stream/source.js";
import type { Values } from "../../../src/cap/stream/values.js";
import { LocalHook } from "../../../src/hook/local.js";
import { Payload } from "../../../src/hook/payload.js";
import { Content } from "../../../src/wire/content.js";
import { failure, Pair } from "../kit.js";
import { Producer, streamOf } from "./kit.js";

class Api extends RpcTarget {
  blob: Blob = new Blob(["abc"], { type: "text/x" });
  async text(value: { blob: Blob; twice?: Blob }): Promise<string> {
    return `${value.blob.type} ${value.blob.size} ${value.blob === value.twice} ${await value.blob.text()}`;
  }
  give(): Blob {
    return this.blob;
  }
  async fetch(request: Request): Promise<Response> {
    const body = await request.text();
    return new Response(body.toUpperCase(), {
      status: 201,
      headers: { "x-path": new URL(request.url).pathname, "x-method": request.method },
    });
  }
  echo(request: Request): Response {
    return new Response(request.body);
  }
}

it("a Blob arrives with its bytes and its type, in arguments and results, one object", async () => {
  const pair = new Pair(new Api());
  const blob = new Blob(["hello ", "blob"], { type: "text/y" });
  expect(await pair.run(pair.api.text({ blob, twice: blob }))).toBe("text/y 10 true hello blob");
  const given = await pair.run(pair.api.give());
  expect([given.type, await given.text()]).toEqual(["text/x", "abc"]);
  // Sending it takes nothing from it.
  expect(await blob.text()).toBe("hello blob");
  await pair.done();
});

it("a File keeps its name; a Blob of nothing and one of many writes arrive whole", async () => {
  const pair = new Pair(new Api());
  pair.target.blob = new File(["x"], "a.txt", { lastModified: 5, type: "text/z" });
  const file = (await pair.run(pair.api.give())) as File;
  expect(file).toBeInstanceOf(File);
  expect([file.name, file.lastModified, await file.text()]).toEqual(["a.txt", 5, "x"]);
  pair.target.blob = new Blob([]);
  expect((await pair.run(pair.api.give())).size).toBe(0);
  const bytes = Uint8Array.from({ length: 300_001 }, (_, i) => i * 3);
  pair.target.blob = new Blob([bytes]);
  const large = await pair.run(pair.api.give());
  expect(Buffer.from(await large.arrayBuffer()).equals(Buffer.from(bytes))).toBe(true);
  await pair.done();
});

it("a Blob that is too large to hold is refused, and says what to do", async () => {
  const pair = new Pair(new Api());
  const blob = new Blob([new Uint8Array(16 * 1024 * 1024 + 1)]);
  expect(() => pair.api.text({ blob })).toThrow(
    /args\[0\]\.blob cannot be sent: .*blob\.stream\(\)/,
  );
  await pair.done();
});

it("a Blob that is lost on its way fails the call that it was for", async () => {
  const pair = new Pair(new Api());
  pair.target.blob = new Blob([new Uint8Array(1_000_000)]);
  const failed = failure(pair.run(pair.api.give()));
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
    pair.net.advance(60);
  }
  pair.net.cut("guest", "host");
  await pair.rest();
  expect(await failed).toMatchObject({ type: "disconnected" });
  pair.api[Symbol.dispose]();
});

it("a Blob that comes in chunks of a byte, or of none, keeps its bytes and no chunk", async () => {
  const kept: unknown[] = [];
  const native = globalThis.Blob;
  vi.stubGlobal(
    "Blob",
    class extends native {
      constructor(parts: BlobPart[], options?: BlobPropertyBag) {
        super(parts, options);
        kept.push(...parts);
      }
    },
  );
  const left: unknown[] = [{ type: "", size: 300 }];
  for (let i = 0; i < 300; i++) left.push(new Uint8Array(0), Uint8Array.of(i));
  const packed: Values = {
    failure: (reason) => RpcError.from(reason),
    shown: (error) => error,
    pack: () => new Payload(Content.NULL),
    unpack: (_payload, _scheduler, received) => {
      received({ type: "", size: 300 });
      return () => {};
    },
  };
  const scheduler = processScheduler();
  const source = new LocalHook(new Source(streamOf(...left).getReader(), packed), scheduler);
  try {
    const blob = await new Promise<Blob>((resolve, reject) => {
      receiveBlob(source, packed, resolve, reject);
    });
    expect(kept).toHaveLength(1);
    expect(new Uint8Array(await blob.arrayBuffer())).toEqual(
      Uint8Array.from({ length: 300 }, (_, i) => i),
    );
  } finally {
    vi.unstubAllGlobals();
  }
});

it("a Request and a Response travel with their bodies", async () => {
  const pair = new Pair(new Api());
  const request = new Request("http://x/y", { method: "POST", body: "shout" });
  const response = await pair.run(pair.api.fetch(request));
  expect([
    response.status,
    response.headers.get("x-path"),
    response.headers.get("x-method"),
  ]).toEqual([201, "/y", "POST"]);
  expect(await pair.run(response.text())).toBe("SHOUT");
  // It was sent: it is not here any more.
  expect(request.bodyUsed || request.body!.locked).toBe(true);
  expect(() => pair.api.fetch(request)).toThrow("cannot be sent");
  await pair.done();
});

it("C-FLO-23: a body streams, stops when it is not read, and is canceled at its source", async () => {
  const pair = new Pair(new Api());
  const producer = new Producer(Infinity, undefined, false, () => new Uint8Array(4096));
  const request = new Request("http://x/", {
    method: "POST",
    body: producer.stream,
    duplex: "half",
  } as RequestInit);
  const response = await pair.run(pair.api.echo(request));
  const reader = response.body!.getReader();
  expect((await pair.run(reader.read())).value).toHaveLength(4096);
  for (let i = 0; i < 4; i++) await pair.rest();
  expect(producer.asked).toBeLessThan(24);
  await pair.run(reader.cancel("seen enough"));
  await pair.rest();
  expect(producer.canceled).toBe("seen enough");
  await pair.done();
});

it("C-FLO-23: a response flows while its request still does, and a request that fails ends the response", async () => {
  const pair = new Pair(new Api());
  const open = async () => {
    let send!: ReadableStreamDefaultController<Uint8Array>;
    const body = new ReadableStream<Uint8Array>({ start: (given) => void (send = given) });
    const init = { method: "POST", body, duplex: "half" } as RequestInit;
    const response = await pair.run(pair.api.echo(new Request("http://x/", init)));
    return { send, reader: response.body!.getReader() };
  };
  const whole = await open();
  for (let i = 1; i < 4; i++) {
    whole.send.enqueue(new Uint8Array(i));
    expect((await pair.run(whole.reader.read())).value).toHaveLength(i);
  }
  whole.send.close();
  expect((await pair.run(whole.reader.read())).done).toBe(true);

  const broken = await open();
  broken.send.enqueue(new Uint8Array(1));
  expect((await pair.run(broken.reader.read())).value).toHaveLength(1);
  broken.send.error(new RangeError("no more"));
  expect(await failure(pair.run(broken.reader.read()))).toMatchObject({ message: "no more" });
  await pair.done();
});
