// Streams of bytes and of values, in both directions: what comes through, how fast, how it ends; and what holds streams.

import { equal, fails, ok, pause, scenario, until } from "../harness.js";
import { all, concat, pattern, streamOf } from "../stream-objects.js";

const it = scenario("streams");

/** The least window, in chunks of 4 KiB, and what may be on its way beside it; more where carriers keep some. */
const MOST = 40;

it("values come out of theirs, each as it was, once", async ({ api }) => {
  const values = [1, "two", { three: [3] }, new Map([["four", 4n]]), null, undefined];
  using streams = api.streams();
  equal(await all(await streams.give(...values)), values);
});

it("values come out of ours, as an argument", async ({ api }) => {
  using streams = api.streams();
  equal(await streams.collect(streamOf<unknown>(1, { two: [2n] }, new Set([3]))), [
    1,
    { two: [2n] },
    new Set([3]),
  ]);
});

it("bytes come out of theirs and of ours, whatever their number", async ({ api }) => {
  using streams = api.streams();
  for (const length of [0, 1, 70_001])
    equal(concat(await all(await streams.bytes(length))), pattern(length));
  const chunks = Array.from({ length: 300 }, (_, i) => Uint8Array.of(i & 1));
  equal(await streams.sum(streamOf(...chunks, new Uint8Array(100_000).fill(1))), 100_150);
});

it("bytes can be read into memory of the reader's", async ({ api }) => {
  using streams = api.streams();
  const reader = (await streams.bytes(25_000)).getReader({ mode: "byob" });
  const chunks: Uint8Array[] = [];
  for (let memory = new ArrayBuffer(7000); ;) {
    const { done, value } = await reader.read(new Uint8Array(memory));
    if (done) break;
    chunks.push(value.slice());
    memory = value.buffer;
  }
  equal(concat(chunks), pattern(25_000));
});

it("nested in a result and in arguments they are streams", async ({ api }) => {
  using streams = api.streams();
  const { title, body } = await streams.nested("a", "b");
  equal([title, await all(body)], ["nested", ["a", "b"]]);
  const value = {
    streams: new Map([
      ["one", streamOf(1)],
      ["two", streamOf(2, 3)],
    ]),
  };
  equal(await streams.collectIn(value), [[1], [2, 3]]);
});

it("what is written to theirs is taken in order, and closed when the writer's close resolves", async ({
  api,
}) => {
  using streams = api.streams();
  const writer = (await streams.open()).getWriter();
  const bytes = pattern(10);
  await writer.write("text");
  await writer.write(bytes);
  bytes.fill(0);
  await writer.write({ n: 1 });
  await writer.close();
  equal(await streams.closed(), true);
  equal(await streams.taken(), ["text", pattern(10), { n: 1 }]);
});

it("a reader that stops, stops the producer; then it goes on", async ({ api }) => {
  using streams = api.streams();
  const reader = (await streams.endless()).getReader();
  await reader.read();
  await until("the window is full", async () => (await streams.made()) > 10);
  await pause(50);
  const made = await streams.made();
  ok(made <= MOST, `${made} chunks were made`);
  await pause(20);
  equal(await streams.made(), made);
  for (let i = 0; i < 100; i++) await reader.read();
  ok((await streams.made()) >= 100, "it goes on");
  await reader.cancel("enough");
  await until("it is canceled there", async () => (await streams.reason()) === "enough");
});

it("a consumer that stops, stops the writer", async ({ api }) => {
  using streams = api.streams();
  const writer = (await streams.open(true)).getWriter();
  let written = 0;
  const writing = (async () => {
    for (; written < 1000; written++) await writer.write(new Uint8Array(4096));
  })().catch(() => {});
  await until("the window is full", () => written > 5);
  await pause(50);
  ok(written <= MOST, `${written} were written`);
  await writer.abort("enough");
  await writing;
  await until("it is aborted there", async () => {
    await streams.goOn();
    return (await streams.reason()) === "enough";
  });
});

it("a source that fails, fails at the reader after what came before, either way", async ({
  api,
}) => {
  using streams = api.streams();
  const reader = (await streams.fails("out of range")).getReader();
  equal((await reader.read()).value, "first");
  const failed = await reader.read().then(
    () => null,
    (error: unknown) => error,
  );
  ok(failed instanceof RangeError && failed.message === "out of range", String(failed));
  const mine = new ReadableStream({ start: (controller) => controller.error(new Error("mine")) });
  await fails(streams.collect(mine), { message: "mine" });
});

it("what is written to fails at the writer with the reason", async ({ api }) => {
  using streams = api.streams();
  const writer = (await streams.full("no room")).getWriter();
  const closed = await Promise.allSettled([writer.closed, writer.write(1), writer.close()]);
  const reason = (closed[0] as PromiseRejectedResult).reason as Error;
  ok(reason instanceof RangeError && reason.message === "no room", String(reason));
});

it("chunks carry references, which are given", async ({ api }) => {
  using streams = api.streams();
  const chunks = (await all(await streams.counters())) as unknown as ({
    counter: { add(by: number): PromiseLike<number> };
  } & Disposable)[];
  equal(chunks.length, 2);
  for (const chunk of chunks) {
    equal(await chunk.counter.add(3), 3);
    chunk[Symbol.dispose]();
  }
});

it("a TransformStream goes as its two ends", async ({ api }) => {
  using streams = api.streams();
  const pair = await streams.doubling();
  equal(await all(streamOf(1, 2, 3).pipeThrough(pair)), [2, 4, 6]);
});

it("a Blob and a File come with their bytes", async ({ api }) => {
  const blob = (await api.echo(new Blob([pattern(70_000)], { type: "a/b" }))) as Blob;
  equal([blob.type, blob.size], ["a/b", 70_000]);
  equal(new Uint8Array(await blob.arrayBuffer()), pattern(70_000));
  const file = (await api.echo(new File(["text"], "name.txt"))) as File;
  equal([file.name, await file.text()], ["name.txt", "text"]);
});

it("a Request and a Response come with their bodies", async ({ api }) => {
  using streams = api.streams();
  const request = new Request("http://example.com/path", { method: "POST", body: "hello" });
  const response = await streams.shout(request);
  equal([response.status, response.headers.get("x-seen")], [201, "http://example.com/path"]);
  equal(await response.text(), "HELLO");
});
