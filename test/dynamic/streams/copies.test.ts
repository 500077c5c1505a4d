// A writer may change its chunk as soon as it may go on: the copies that are sent share no memory while they are on their way.

import { once } from "node:events";
import { afterEach, beforeEach, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../../src/cap/dynamic/index.js";
import { connect, listen } from "../../../src/node.js";
import { expectNoResidue, resources } from "../../support/residue.js";

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

class Api extends RpcTarget {
  readonly seen: string[] = [];
  /** Until it is aborted nothing is taken. */
  readonly gate = new AbortController();
  open(): WritableStream<Uint8Array> {
    const { signal } = this.gate;
    return new WritableStream({
      write: async (chunk) => {
        if (!signal.aborted) await once(signal, "abort");
        const first = chunk[0];
        this.seen.push(
          `${chunk.length} ${chunk.every((byte) => byte === first) ? first : "mixed"}`,
        );
      },
    });
  }
}

for (const address of ["tcp://127.0.0.1:0", "ws://127.0.0.1:0"])
  it(`C-FRM-21: over ${address.slice(0, 3)} chunks of every size arrive as they were when they were written`, async () => {
    const target = new Api();
    const listener = await listen(address, { bootstrap: () => serve(target) });
    const session = await connect(listener.url);
    const api = session.bootstrap(RpcStub<Api>);
    const expected: string[] = [];
    const streams: Promise<unknown>[] = [];
    // Two at once, so that several copies are made in one turn, and wait for a reader that takes none.
    for (const writer of [(await api.open()).getWriter(), (await api.open()).getWriter()]) {
      const memory = new Uint8Array(64 * 1024);
      streams.push(
        (async () => {
          for (let i = 0; i < 60; i++) {
            const size = [64 * 1024, 33_000, 20_000, 5000, 64 * 1024 - 1][i % 5]!;
            memory.fill(i);
            expected.push(`${size} ${i}`);
            await writer.write(memory.subarray(0, size));
          }
          await writer.close();
        })(),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    target.gate.abort();
    await Promise.all(streams);
    expect([...target.seen].sort()).toEqual(expected.sort());
    api[Symbol.dispose]();
    await session.close();
    await listener.close();
  });
