// The bridge to the real workerd: nothing is left of ten thousand calls, here or there, and an end of workerd is one of its stubs.

import { describe, expect, it } from "vitest";
import { RpcError, RpcStub, RpcTarget } from "../../src/node.js";
import { connectWorker, connectWorkerd } from "../../src/workerd.node.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { cleaningUp } from "../support/residue.js";
import type { Api, Counter, Desk, Guest as GuestApi } from "./bridge/api.js";
import { SLOWLY, startBridge } from "./bridge/start.js";

class Guest extends RpcTarget implements GuestApi {
  get name(): string {
    return "guest";
  }

  friend(): Guest {
    return new Guest();
  }

  greet(whom: string): string {
    return `hello ${whom}`;
  }
}

/** Five calls of each kind, a stub among them. */
async function visit(api: RpcStub<Api>): Promise<void> {
  using counter = await api.counter(1);
  using made = api.counter(2);
  const [sum, count, more, back] = await Promise.all([
    api.add(1, 2),
    counter.add(1),
    made.add(1),
    api.callBack((n: number) => n + 1, 1),
  ]);
  if (sum !== 3 || count !== 2 || more !== 3 || back !== 2) throw new Error("a call went wrong");
  await api.visit(new Guest());
  await api.fails("type").catch(() => {});
}

/** How many calls that is. */
const IN_A_VISIT = 8;
/** The heap of the Worker grows by 100 MB in the first 20,000 calls, to where it is collected, and by some MB up and down then. */
const WARM_UP = 25_000;
const MORE_KB = 40_000;

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("what is left", () => {
  const cleanUp = cleaningUp();

  it("is nothing, after ten thousand calls", { timeout: 200_000 }, async () => {
    const started = await startBridge();
    cleanUp(() => started.stop());
    const workerd = await connectWorkerd(started.url);
    cleanUp(() => workerd.close());
    const stubs: RpcStub<Api>[] = [
      workerd.getObject("main", "Room", "cd".repeat(32)),
      workerd.getEntrypoint("main", "Desk"),
    ];
    const rounds = async (calls: number): Promise<void> => {
      for (let done = 0; done < calls; done += 20 * IN_A_VISIT)
        await Promise.all(Array.from({ length: 20 }, (_, i) => visit(stubs[i % 2]!)));
    };
    await rounds(WARM_UP);
    const before = started.residentKb();
    await rounds(10_000);
    await expect
      .poll(() => workerd.stats(), SLOWLY)
      .toMatchObject({ questions: 0, answers: 0, imports: 3, exports: 0, embargoes: 0 });
    const more = started.residentKb() - before;
    console.log(`workerd: ${more} KB more after 10,000 calls`);
    expect(more).toBeLessThan(MORE_KB);
    for (const stub of stubs) stub[Symbol.dispose]();
    await expect.poll(() => workerd.stats().imports, SLOWLY).toBe(1);
  });

  it("is an error that says so, when workerd ends", async () => {
    const started = await startBridge();
    cleanUp(() => started.stop());
    const workerd = await connectWorkerd(started.url);
    cleanUp(() => workerd.close());
    const api = workerd.getObject<Api>("main", "Room", "cd".repeat(32));
    const counter = await api.counter(1);
    const broken = new Promise((resolve) => counter.onRpcBroken(resolve));
    // Whoever was given it is told, too.
    const toldOther = new Promise((resolve) => {
      using other = new RpcStub((stub: RpcStub<Counter>) => {
        stub.dup().onRpcBroken(resolve);
      });
      void other(counter).then();
    });
    const waiting = Promise.resolve(api.never()).catch((error: unknown) => error);
    await started.stop();
    const error = await waiting;
    expect(error).toBeInstanceOf(RpcError);
    expect(error).toMatchObject({ type: "disconnected" });
    expect(await broken).toMatchObject({ type: "disconnected" });
    expect(await toldOther).toMatchObject({ type: "disconnected" });
    await expect(Promise.resolve(counter.add(1))).rejects.toMatchObject({ type: "disconnected" });
    expect(workerd.stats()).toMatchObject({ questions: 0, answers: 0, imports: 0, exports: 0 });
    counter[Symbol.dispose]();
    api[Symbol.dispose]();
  });

  it("is nothing of a connection by CONNECT, which reaches one entry point", async () => {
    const started = await startBridge();
    cleanUp(() => started.stop());
    await using socket = await connectWorker<Desk>(started.deskUrl, "rpc.test");
    const { entrypoint } = socket;
    await visit(entrypoint);
    // Of an object that it gives, what is called through the promise reaches that.
    using call = entrypoint.room("lobby");
    expect(await call.add(20, 22)).toBe(42);
    expect(await (await entrypoint.fetch("http://any.name/x")).text()).toBe("hello from /x");
    call[Symbol.dispose]();
    await expect
      .poll(() => socket.stats(), SLOWLY)
      .toMatchObject({ questions: 0, answers: 0, imports: 1, exports: 0 });
    await expect(connectWorker(started.deskUrl, "another.test")).rejects.toMatchObject({
      code: "http-refused",
      delivery: "not-sent",
    });
    await expect(connectWorker(started.deskUrl, "a host\r\n")).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });

  it("is nothing when nobody answers, or the address is none", async () => {
    await expect(connectWorkerd("unix:/nowhere/at/all")).rejects.toMatchObject({
      code: "connect-failed",
    });
    await expect(connectWorkerd("http://127.0.0.1:1/")).rejects.toMatchObject({
      code: "invalid-argument",
    });
  });
});
