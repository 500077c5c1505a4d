// The part of the bootstrap object that is about capabilities.

import { RpcError } from "capstan/node";
import { type Client, type Pipeline, serve, type Struct } from "capstan/typed";
import {
  type Callback,
  type Handle,
  type Holder,
  Node,
  type Objects,
  Recorder,
} from "./generated/interop.capnp.js";
import { BouncerServer, NodeServer } from "./objects.js";
import { Counted, promised, type Tally } from "./support.js";

class HolderServer extends Counted implements Holder.Server {
  private readonly recorders: Recorder[];

  constructor(tally: Tally, recorders: Iterable<Recorder>) {
    super(tally);
    this.recorders = Array.from(recorders, (recorder) => recorder.dup());
    tally.held += this.recorders.length;
  }

  get({ index }: { readonly index: number }): { recorder: Recorder } {
    const recorder = this.recorders[index];
    if (recorder === undefined) throw new Error(`no recorder with index ${index}`);
    return { recorder: recorder.dup() };
  }

  all(): { recorders: Recorder[] } {
    return { recorders: this.recorders.map((recorder) => recorder.dup()) };
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    for (const recorder of this.recorders) recorder[Symbol.dispose]();
    this.tally.held -= this.recorders.length;
  }
}

/** Keeps a call going until it is dropped. */
class HandleServer extends Counted implements Handle.Server {
  private readonly call: Pipeline<Struct>;

  constructor(tally: Tally, call: Pipeline<Struct>) {
    super(tally);
    this.call = call;
  }

  override [Symbol.dispose](): void {
    super[Symbol.dispose]();
    this.call[Symbol.dispose]();
  }
}

async function sumOf(callback: Callback, count: number): Promise<number> {
  const callOnce = async (value: number): Promise<number> => {
    using answer = await callback.call({ value });
    return answer.value;
  };
  let sum = 0;
  const half = Math.floor(count / 2);
  for (let value = 0; value < half; value++) sum += await callOnce(value);
  const rest = Array.from({ length: count - half }, (_, i) => callOnce(half + i));
  for (const value of await Promise.all(rest)) sum += value;
  return sum;
}

/** What comes after the gate opened. Both clients are of the caller's params, which end with the call. */
async function after<C extends Client>(gate: Promise<unknown>, result: () => C): Promise<C> {
  await gate;
  return result();
}

export function objectMethods(tally: Tally): Objects.Server {
  const newNode = (path: string): NodeServer => new NodeServer(tally, path);
  return {
    async root(params) {
      if (params.hasGate()) await params.gate.pass();
      return { node: newNode("root") };
    },

    async rootEarly({ gate }, context) {
      using node = serve(Node, newNode("root"));
      context.setPipeline({ node: node.dup() });
      await gate.pass();
      return { node: node.dup() };
    },

    makeNodes: ({ count }) => ({
      nodes: Array.from({ length: count }, (_, i) => newNode(String(i))),
    }),

    hold: ({ recorders }) => ({ holder: new HolderServer(tally, recorders) }),

    return: ({ recorder }) => ({ recorder }),

    returnLater({ recorder, gate }) {
      const kept = recorder.dup();
      return {
        recorder: promised(
          Recorder,
          after(gate.pass().then(), () => kept),
        ),
      };
    },

    returnBroken({ gate, reason }) {
      const broken = (): never => {
        throw new RpcError("overloaded", "method-failed", reason);
      };
      return { recorder: promised(Recorder, after(gate.pass().then(), broken)) };
    },

    callBack: async ({ callback, count }) => ({ sum: await sumOf(callback, count) }),

    tail: ({ callback, value }, context) => context.tailCall(callback).call({ value }),

    bouncer: () => ({ bouncer: new BouncerServer(tally, "server") }),

    async hangOn({ hanger }, { signal }) {
      await hanger.hang({}, { signal });
    },

    startHang: ({ hanger }) => ({ handle: new HandleServer(tally, hanger.hang()) }),

    async markTwice({ recorder, first }) {
      const answers = [
        recorder.mark({ sequence: first }),
        recorder.mark({ sequence: first + 1 }),
      ] as const;
      await answers[0];
      return { second: (await answers[1]).position };
    },

    abandonHang({ hanger }) {
      hanger.hang().then(undefined, (error: unknown) => {
        if (RpcError.is(error) && error.type === "disconnected") tally.hangsLost++;
      });
    },
  };
}
