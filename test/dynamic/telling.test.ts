// Errors that go as values, by every way that a value can take: what the peer is told of them is decided where they leave.

import { describe, expect, it } from "vitest";
import type { ErrorRedactor, LeavingError } from "../../src/base/errors.js";
import { callContext, RpcStub, RpcTarget } from "../../src/cap/dynamic/index.js";
import { Counter, Pair } from "./kit.js";
import { all, Consumer } from "./streams/kit.js";

const secret = (): Error => Object.assign(new RangeError("secret"), { own: "secret" });

class Api extends RpcTarget {
  readonly got: unknown[] = [];
  readonly controller = new AbortController();
  consumer = new Consumer();
  local: RpcStub<Api> | null = null;
  take(value: unknown): void {
    this.got.push(value);
  }
  hasDeadline(error: Error): boolean {
    this.got.push(error);
    return callContext().deadline !== undefined;
  }
  give(): unknown {
    return { at: [secret()] };
  }
  giveWithReference(): unknown {
    return { error: secret(), counter: new Counter() };
  }
  get error(): Error {
    return secret();
  }
  list(): number[] {
    return [1];
  }
  async ask(callback: RpcStub<(error: Error) => unknown>): Promise<void> {
    this.got.push(await callback(secret()));
  }
  chunks(): ReadableStream {
    return new ReadableStream({
      start(controller) {
        controller.enqueue({ error: secret() });
        controller.close();
      },
    });
  }
  broken(): ReadableStream {
    return new ReadableStream({ start: (controller) => controller.error(secret()) });
  }
  sink(): WritableStream {
    return this.consumer.stream;
  }
  signal(): AbortSignal {
    return this.controller.signal;
  }
  later(): AbortSignal {
    return AbortSignal.abort(secret());
  }
  passed(): unknown {
    return this.local!.give();
  }
  hold(): Api {
    return this;
  }
}

/** An object of the guest's that leads on to the host's. */
class Front extends RpcTarget {
  readonly inner: RpcStub<Api>;
  constructor(inner: RpcStub<Api>) {
    super();
    this.inner = inner;
  }
  get api(): RpcStub<Api> {
    return this.inner;
  }
}

/** Both sides say "told" of every error, and none of its properties; and count them. */
class Sides {
  readonly byHost: LeavingError[] = [];
  readonly byGuest: LeavingError[] = [];
  readonly pair: Pair<Api>;
  constructor(sendTrace = false) {
    const redact =
      (seen: LeavingError[]): ErrorRedactor =>
      (leaving) => {
        seen.push(leaving);
        return { message: "told", properties: [], details: [], trace: leaving.trace && "a place" };
      };
    this.pair = new Pair(new Api(), {
      host: { redactError: redact(this.byHost), sendTrace },
      guest: { redactError: redact(this.byGuest), sendTrace },
    });
  }
}

function expectTold(error: unknown, place = ""): void {
  expect(error).toBeInstanceOf(RangeError);
  expect(error).toMatchObject({ message: "told" });
  expect(Object.keys(error as object)).toEqual([]);
  if (place === "") expect((error as Error).stack ?? "").not.toMatch(/secret|telling/);
  else expect((error as Error).stack).toBe(place);
}

describe("an error in a value is what the redaction hook leaves of it", () => {
  it("in a result that is awaited, and in a member", async () => {
    const { pair, byHost, byGuest } = new Sides(true);
    const { at } = (await pair.run(pair.api.give())) as { at: Error[] };
    expectTold(at[0], "a place");
    expectTold(await pair.run(pair.api.error), "a place");
    expect(byHost).toHaveLength(2);
    expect(byHost[0]).toMatchObject({ message: "secret", properties: ["own"], details: [] });
    expect(byHost[0]!.trace).toMatch(/secret[\s\S]*telling\.test/);
    expect(byHost[0]!.cause).toBeInstanceOf(RangeError);
    expect(byGuest).toEqual([]);
    await pair.done();
  });

  it("in a result with references, and in one that is asked for later, or again", async () => {
    const { pair } = new Sides();
    const got = (await pair.run(pair.api.giveWithReference())) as {
      error: Error;
      counter: RpcStub<Counter>;
    } & Disposable;
    expectTold(got.error);
    expect(await pair.run(got.counter.add(2))).toBe(2);
    got[Symbol.dispose]();
    using held = pair.api.give();
    await pair.rest();
    for (let i = 0; i < 2; i++) expectTold(((await pair.run(held)) as { at: Error[] }).at[0]);
    held[Symbol.dispose]();
    await pair.done();
  });

  it("in arguments, in those of a call that a stub there passes on, and in a callback's", async () => {
    const { pair, byGuest, byHost } = new Sides();
    await pair.run(pair.api.take({ deep: new Map([[1, secret()]]) }));
    expectTold((pair.target.got[0] as { deep: Map<number, Error> }).deep.get(1));
    expect(byGuest).toHaveLength(1);
    const asked = pair.api.ask((error) => {
      expectTold(error);
      return secret();
    });
    await pair.run(asked);
    expectTold(pair.target.got[1]);
    expect(byHost).toHaveLength(1);
    // What is known of a call only when it is made is in what leaves, too.
    const limited = pair.api.with({ deadline: Date.now() + 60_000 });
    expect(await pair.run(limited.hasDeadline(secret()))).toBe(true);
    expectTold(pair.target.got.pop());
    // A stub of this vat leads on to the peer.
    const front = new Front(pair.api.dup());
    using local = new RpcStub(front, { scheduler: pair.guest.scheduler });
    await pair.run(local.api.take(secret()));
    expectTold(pair.target.got[2]);
    local[Symbol.dispose]();
    front.inner[Symbol.dispose]();
    await pair.done();
  });

  it("in what a program of map holds, at any depth, and gives", async () => {
    const { pair } = new Sides();
    using list = pair.api.list();
    const mapped = list.map((n) => {
      void pair.api.take(secret());
      const inner = pair.api.list().map(() => [pair.api.take(secret()), secret()]);
      return [n, secret(), inner, pair.api.give()];
    });
    const [row] = (await pair.run(mapped)) as unknown as [
      [number, Error, [[null, Error]], { at: Error[] }],
    ];
    expectTold(row[1]);
    expectTold(row[2][0][1]);
    expectTold(row[3].at[0]);
    expect(pair.target.got).toHaveLength(2);
    for (const error of pair.target.got) expectTold(error);
    list[Symbol.dispose]();
    // Passed on by a stub of this vat.
    const front = new Front(pair.api.dup());
    using local = new RpcStub(front, { scheduler: pair.guest.scheduler });
    using there = local.api.list();
    const passed = there.map(() => [secret()]);
    const [[error]] = (await pair.run(passed)) as unknown as [[Error]];
    expectTold(error);
    there[Symbol.dispose]();
    local[Symbol.dispose]();
    front.inner[Symbol.dispose]();
    await pair.done();
  });

  it("in chunks, and as the reason why a stream fails, is given up or aborted", async () => {
    const { pair } = new Sides();
    const chunks = await pair.run(pair.api.chunks());
    const [chunk] = (await pair.run(all(chunks))) as [{ error: Error }];
    expectTold(chunk.error);
    const broken = await pair.run(pair.api.broken());
    const reason = await pair.run(all(broken).catch((error: unknown) => error));
    expectTold(reason);
    const sink = await pair.run(pair.api.sink());
    await pair.run(sink.abort(secret()));
    await pair.rest();
    expectTold(pair.target.consumer.aborted);
    await pair.done();
  });

  it("as the reason of a signal, before and after it went", async () => {
    const { pair } = new Sides();
    const aborted = await pair.run(pair.api.later());
    expectTold(aborted.reason);
    const signal = await pair.run(pair.api.signal());
    pair.target.controller.abort(secret());
    await pair.rest();
    expectTold(signal.reason);
    (aborted as Partial<Disposable>)[Symbol.dispose]?.();
    (signal as Partial<Disposable>)[Symbol.dispose]?.();
    await pair.done();
  });

  it("where it leaves, and not on the way there: within a vat it is a copy without a stack", async () => {
    const { pair, byHost } = new Sides();
    using local = new RpcStub(new Api(), { scheduler: pair.host.scheduler });
    const there = await pair.run(local.error);
    expect(there).toMatchObject({ message: "secret", own: "secret" });
    expect(there.stack ?? "").not.toMatch(/telling/);
    expect(byHost).toEqual([]);
    pair.target.local = local;
    const { at } = (await pair.run(pair.api.passed())) as { at: Error[] };
    expectTold(at[0]);
    local[Symbol.dispose]();
    await pair.done();
  });
});

it("an error in a value has its stack only where its session sends traces", async () => {
  for (const sendTrace of [false, true]) {
    const pair = new Pair(new Api(), { host: { sendTrace } });
    const { at } = (await pair.run(pair.api.give())) as { at: Error[] };
    expect(at[0]).toMatchObject({ message: "secret", own: "secret" });
    if (sendTrace) expect(at[0]!.stack).toMatch(/secret[\s\S]*telling\.test/);
    else expect(at[0]!.stack ?? "").not.toMatch(/telling/);
    // The guest sends none, whatever came with the error.
    await pair.run(pair.api.take(at[0]));
    expect((pair.target.got[0] as Error).stack ?? "").not.toMatch(/telling/);
    await pair.done();
  }
});

describe("the redaction hook may call", () => {
  class Journal extends RpcTarget {
    readonly noted: unknown[] = [];
    note(...values: unknown[]): Counter {
      this.noted.push(...values);
      return new Counter();
    }
  }
  class Service extends RpcTarget {
    journal: RpcStub<Journal> | null = null;
    keep(journal: RpcStub<Journal>): void {
      this.journal = journal.dup();
    }
    give(): unknown {
      return { error: secret(), list: [1, 2, 3] };
    }
    giveWithReference(): { error: Error; counter: Counter } {
      return { error: secret(), counter: new Counter() };
    }
    async tell(callback: RpcStub<(error: Error, counter: Counter) => number>): Promise<number> {
      return await callback(secret(), new Counter());
    }
  }

  it("by the same connection, and what it calls and what is told keep what each has", async () => {
    const service = new Service();
    const pair = new Pair(service, {
      host: {
        redactError: () => {
          const made = service.journal!.note(new Counter(), new Counter());
          // Which makes the call, so that there is something to refer to.
          made.dup()[Symbol.dispose]();
          made[Symbol.dispose]();
          return { message: "told" };
        },
      },
    });
    const journal = new Journal();
    await pair.run(pair.api.keep(journal));
    expect(await pair.run(pair.api.give())).toMatchObject({
      error: { message: "told" },
      list: [1, 2, 3],
    });
    using given = await pair.run(pair.api.giveWithReference());
    expect(await pair.run(given.counter.add(3))).toBe(3);
    const told = pair.api.tell((_error, counter) => counter.add(5) as PromiseLike<number> as never);
    expect(await pair.run(told)).toBe(5);
    expect(journal.noted).toHaveLength(6);
    service.journal![Symbol.dispose]();
    given[Symbol.dispose]();
    await pair.done();
  });

  it("or end the connection", async () => {
    for (const ask of ["give", "giveWithReference"] as const) {
      const service = new Service();
      const pair = new Pair(service, {
        host: {
          redactError: () => {
            pair.net.cut("guest", "host");
            return null;
          },
        },
      });
      expect(await pair.run(pair.api[ask]().then(String, (error: Error) => error.name))).toMatch(
        "RpcError",
      );
      await pair.done();
    }
  });
});
