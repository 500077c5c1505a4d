// A stream to workerd in which nothing happens: its source hears nevertheless that workerd is gone.

import { expect, it } from "vitest";
import { RpcTarget } from "../../src/node.js";
import { connectWorkerd, serveWorkerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { SLOWLY, startCaller } from "./bridge/start.js";
import type { Caller } from "./serve/api.js";

class Source extends RpcTarget {
  canceledBy: unknown = null;

  quiet(): ReadableStream<Uint8Array> {
    return new ReadableStream({
      start: (controller) => controller.enqueue(Uint8Array.of(7)),
      cancel: (reason) => void (this.canceledBy = reason),
    });
  }
}

// skip: where npm has no workerd; missingWorkerd prints the reason
it.skipIf(missingWorkerd() !== null)("a quiet stream ends with its connection", async () => {
  const before = resources();
  const source = new Source();
  const listener = await serveWorkerd("tcp://:0", { entrypoint: source });
  const started = await startCaller(listener.url.replace("tcp://", ""));
  const workerd = await connectWorkerd(started.url);
  using caller = workerd.getEntrypoint<Caller>("main", "Caller");
  const stream = (await caller.call(["quiet"])) as unknown as ReadableStream<Uint8Array>;
  const reader = stream.getReader();
  expect((await reader.read()).value).toEqual(Uint8Array.of(7));
  const rest = reader.read().catch(() => "broken");
  await started.stop();
  await expect.poll(() => source.canceledBy, SLOWLY).toMatchObject({ type: "disconnected" });
  expect(await rest).toBe("broken");
  await workerd.close();
  await listener.close();
  await expectNoResidue(before);
});
