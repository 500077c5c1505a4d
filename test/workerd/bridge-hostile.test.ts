// What the bridge makes of answers and calls that are not as they should be: typed errors that name what is wrong, and nothing left over.
// The other side is an object of this process that answers by hand.

import { describe, expect, it } from "vitest";
import { RpcError, RpcTarget, type RpcStub } from "../../src/node.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { DEFAULT_TERMS } from "../../src/cap/dynamic/terms.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { ContentBuilder, type StructBuilder, StructReader } from "../../src/wire/struct.js";
import { makers } from "../../src/workerd/makers.js";
import { methodOf } from "../../src/workerd/protocol.js";
import { EntryReach } from "../../src/workerd/reach.js";
import { stubOf } from "../../src/workerd/stub.js";
import "../../src/workerd/serve.js";
import { encode } from "./help.js";

interface Api extends RpcTarget {
  call(...args: unknown[]): unknown;
}

type Answer = (results: StructBuilder, caps: Hook[], call: LocalCall) => void;

const builder = new ContentBuilder();
const scheduler = processScheduler();

/** A capability of theirs, and whether it was let go of. */
class Held {
  released = false;
  readonly hook = new LocalHook(
    { dispatch: (call) => call.returns(), dropped: () => void (this.released = true) },
    scheduler,
  );
}

/** A Worker whose one method answers with `answer`. */
class FakeWorker {
  readonly session = new Held();
  readonly theirs = new Held();
  released = false;
  private readonly answer: Answer;

  constructor(answer: Answer) {
    this.answer = answer;
  }

  stub(): RpcStub<Api> {
    const target = { dispatch: (call: LocalCall) => this.call(call) };
    const dispatcher = {
      dispatch: (call: LocalCall) => {
        const results = builder.root(0, 2);
        results.capability(0, 0);
        results.capability(1, 1);
        const caps = [new LocalHook(target, scheduler), this.session.hook];
        call.returns(new Payload(builder.finish(), caps));
      },
    };
    const worker = {
      dispatch: (call: LocalCall) => {
        builder.root(0, 1).capability(0, 0);
        call.returns(new Payload(builder.finish(), [new LocalHook(dispatcher, scheduler)]));
      },
      dropped: () => void (this.released = true),
    };
    const reach = new EntryReach(new LocalHook(worker, scheduler));
    return stubOf(reach, DEFAULT_TERMS).proxy as RpcStub<Api>;
  }

  private call(call: LocalCall): void {
    const caps: Hook[] = [];
    const results = builder.root(1, 3);
    this.answer(results, caps, call);
    call.returns(new Payload(builder.finish(), caps));
  }
}

async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof RpcError) return error;
    throw error;
  }
  throw new Error("it did not fail");
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Bytes of a value that names one stub, and of one that names nothing. */
const ONE_STUB = Uint8Array.of(0xff, 15, 0x5c, 1);
const SEVEN = encode(7);

/** Results with one external of this tag, and the capability in it. */
function external(tag: number, bytes: Uint8Array, withCap = true, encoding = 0): Answer {
  return (results, caps) => {
    const value = results.struct(0, 0, 2);
    const [one] = value.structs(1, 1, 3, 2);
    one!.u16(0, tag);
    one!.u16(2, encoding);
    if (withCap) {
      const held = new Held();
      one!.capability(0, caps.push(held.hook) - 1);
    }
    value.data(0, bytes);
  };
}

describe("answers that are not as they should be", () => {
  const REFUSED: [string, Answer, RegExp][] = [
    ["a socket", external(10, SEVEN), /a socket \(external 10\)/],
    ["an external of tomorrow", external(77, SEVEN), /something \(external 77\)/],
    ["a delayed token", external(8, SEVEN), /delayed service's stub/],
    ["a stub that the value does not name", external(1, SEVEN), /external/],
    ["a stub without a capability", external(1, ONE_STUB, false), /without a capability/],
    ["another kind than the value names", external(2, ONE_STUB), /kind stub, and another came/],
    ["a compressed stream", external(3, Uint8Array.of(0xff, 15, 0x5c, 3), true, 1), /encoding 1/],
    ["a stream not made here", external(3, Uint8Array.of(0xff, 15, 0x5c, 3)), /not made here/],
    ["no value at all", () => {}, /./],
    [
      "bytes that are no value",
      (results) => results.struct(0, 0, 2).data(0, encode("x").slice(0, 3)),
      /./,
    ],
  ];
  it.each(REFUSED)("%s", async (_, answer, says) => {
    const fake = new FakeWorker(answer);
    const stub = fake.stub();
    const error = await failure(stub.call());
    expect(error.message).toMatch(says);
    expect(["invalid-payload", "limit-exceeded"]).toContain(error.code);
    stub[Symbol.dispose]();
    await settled();
    expect(fake).toMatchObject({ released: true, session: { released: true } });
  });

  it("more capabilities than anybody names are let go of", async () => {
    const extra = new Held();
    const fake = new FakeWorker((results, caps) => {
      caps.push(extra.hook);
      results.struct(0, 0, 2).data(0, SEVEN);
    });
    using stub = fake.stub();
    expect(await stub.call()).toBe(7);
    await settled();
    expect(extra.released).toBe(true);
    expect(fake.session.released).toBe(true);
  });

  it("structs that are larger than ours are read", async () => {
    const fake = new FakeWorker((_, caps) => {
      const results = builder.root(4, 6);
      results.u64(24, 99n);
      const value = results.struct(0, 2, 4);
      const [one] = value.structs(1, 1, 5, 4);
      one!.u16(0, 1);
      one!.capability(0, caps.push(fake.theirs.hook) - 1);
      value.data(0, ONE_STUB);
    });
    using stub = fake.stub();
    const got = (await stub.call()) as RpcStub<Api>;
    expect(fake.theirs.released).toBe(false);
    got[Symbol.dispose]();
    await settled();
    expect(fake.theirs.released).toBe(true);
    expect(fake.session.released).toBe(true);
  });
});

describe("calls that are not as they should be", () => {
  const TARGET = [0xa1a96525, 0x142a9d98] as const;

  class Mine extends RpcTarget {
    add(a: number, b: number): number {
      return a + b;
    }
  }

  async function ask(build: (params: StructBuilder) => void): Promise<Payload> {
    const hook = makers.serve(new Mine(), scheduler, DEFAULT_TERMS);
    build(builder.root(1, 3));
    const results = hook.call(new CallRequest(...TARGET, 0, new Payload(builder.finish())));
    hook.release();
    return new Promise((resolve, reject: (error: RpcError) => void) => {
      results.observe({
        immediate: false,
        resultsSettled() {
          results.dropPipeline();
          if (results.error === null) resolve(results.takePayload());
          else reject(results.error);
        },
      });
    });
  }

  it("is answered when it is well", async () => {
    const payload = await ask((params) => {
      params.text(0, "add");
      params.struct(1, 0, 2).data(0, encode([1, 2]));
    });
    expect(StructReader.of(payload.content).struct(0).data(0)).toEqual(encode(3));
    expect(payload.caps).toHaveLength(0);
  });

  const BAD: [string, (params: StructBuilder) => void, RegExp][] = [
    ["an operation of tomorrow", (p) => p.u16(2, 2), /not known/],
    ["a name of tomorrow", (p) => p.u16(0, 2), /not known/],
    [
      "arguments that are no Array",
      (p) => (p.text(0, "add"), p.struct(1, 0, 2).data(0, SEVEN)),
      /list/,
    ],
    ["a value that is empty", (p) => (p.text(0, "add"), void p.struct(1, 0, 2)), /./],
    ["a member that is none", (p) => p.text(0, "constructor"), /no member/],
    ["an object that is no function", (p) => (p.u16(0, 1), p.texts(0, [])), /not a function/],
    [
      "a path of thousands",
      (p) => (
        p.u16(0, 1),
        p.texts(
          0,
          Array.from({ length: 2000 }, () => "a"),
        )
      ),
      /path/,
    ],
  ];
  it.each(BAD)("%s", async (_, build, says) => {
    const error = await failure(ask(build));
    expect(error.message).toMatch(says);
    // In words that workerd takes for an error of JavaScript.
    expect(error.message).toMatch(/^jsg\./);
  });

  it("tells methods apart", () => {
    expect(methodOf(TARGET[0] | 0, TARGET[1] | 0, 0)).toBe("call");
    expect(methodOf(TARGET[0] | 0, TARGET[1] | 0, 1)).toBe("unknown");
  });
});
