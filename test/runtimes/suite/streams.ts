// Streams and what has one: bytes and values, there and back, each runtime's own classes.

import type { RpcStub } from "../../../src/index.js";
import { equal, ok, scenario } from "../harness.js";

const it = scenario("streams");

function streamOf(...chunks: unknown[]): ReadableStream {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

it("of bytes, more than one write holds, go there and back", async ({ api }) => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => i * 7);
  const back = (await api.echo(streamOf(bytes.slice(0, 5), bytes.slice(5)))) as ReadableStream;
  equal(new Uint8Array(await new Response(back).arrayBuffer()), bytes);
});

it("of values go there and back, and what is in them goes by reference", async ({ api }) => {
  const add = (x: number): number => x + 1;
  const back = (await api.echo(streamOf("a", new Map([[1, -0]]), add))) as ReadableStream;
  const chunks: unknown[] = [];
  const reader = back.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read())
    chunks.push(next.value);
  const called = chunks.pop() as RpcStub<typeof add>;
  equal(chunks, ["a", new Map([[1, -0]])]);
  equal(await called(1), 2);
  called[Symbol.dispose]();
});

it("that fail, fail at the other side", async ({ api }) => {
  const failing = new ReadableStream({
    pull: (controller) => controller.error(new RangeError("no more")),
  });
  const back = (await api.echo(failing)) as ReadableStream;
  const error: unknown = await back
    .getReader()
    .read()
    .catch((thrown: unknown) => thrown);
  ok(error instanceof RangeError, "it is the error");
  equal(error.message, "no more");
});

it("to write to go there", async ({ api }) => {
  const { readable, writable } = new TransformStream<string, string>();
  const reading = readable.getReader();
  const writing = api.write(writable, ["a", "b"]);
  equal((await reading.read()).value, "a");
  equal((await reading.read()).value, "b");
  equal((await reading.read()).done, true);
  await writing;
});

it("are the bodies of a Request and a Response", async ({ api }) => {
  const sent = new Request("https://example.org/", {
    method: "PUT",
    body: streamOf(new TextEncoder().encode("x")),
    duplex: "half",
  } as RequestInit);
  const request = (await api.echo(sent)) as Request;
  ok(request instanceof Request, "it is a Request");
  equal([request.method, await request.text()], ["PUT", "x"]);
  const response = (await api.echo(new Response("body", { status: 201 }))) as Response;
  equal([response.status, await response.text()], [201, "body"]);
});

it("are how a Blob goes", async ({ api }) => {
  const blob = (await api.echo(new Blob(["a", "bc"], { type: "text/plain" }))) as Blob;
  ok(blob instanceof Blob, "it is a Blob");
  equal([blob.type, await blob.text()], ["text/plain", "abc"]);
});
