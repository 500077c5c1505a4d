// What a client scenario is, and the few helpers all of them share.
//
// A scenario throws when an answer is not the expected one. It disposes what it gets: at its end both sides must be empty.

import type { Session } from "capstan/node";
import { RpcError, type RpcErrorType } from "capstan/node";
import { Callback, Gate, Hanger, Interop, Node, Recorder } from "./generated/interop.capnp.js";
import {
  CallbackServer,
  type CallbackFunction,
  GateServer,
  HangerServer,
  type Latch,
  NodeServer,
  RecorderServer,
} from "./objects.js";
import { serve } from "capstan/typed";
import { sleep, Tally } from "./support.js";

export type Scenario = (run: Run) => Promise<void>;

/** One run of a scenario. */
export class Run {
  readonly session: Session;
  readonly address: string;
  /** The objects this client lends. */
  readonly tally = new Tally();
  readonly notes: string[] = [];

  constructor(session: Session, address: string) {
    this.session = session;
    this.address = address;
  }

  /** The server's bootstrap object, to be disposed. */
  interop(): Interop {
    return this.session.bootstrap(Interop);
  }

  /** The server's counts, as of after every call that this client sent before. */
  async serverCounts(): Promise<Tally> {
    using server = this.interop();
    using results = await server.counts();
    const { objects, hanging, canceled, held, hangsLost } = results.counts;
    return Object.assign(new Tally(), { objects, hanging, canceled, held, hangsLost });
  }

  /** Asks again and again until the condition holds; throws after ten seconds. For what nobody tells: releases, cancellations. */
  async eventually(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const end = performance.now() + 10_000;
    while (performance.now() < end) {
      if (await condition()) return;
      await sleep(5);
    }
    const there = this.session.error === null ? JSON.stringify(await this.serverCounts()) : "gone";
    throw new Error(
      `waited in vain until ${what}: ${JSON.stringify(this.tally)} here, ${there} at the server`,
    );
  }

  newNode(path: string): Node {
    return serve(Node, new NodeServer(this.tally, path));
  }

  newRecorder(marks: number[]): Recorder {
    return serve(Recorder, new RecorderServer(this.tally, marks));
  }

  newGate(latch: Latch): Gate {
    return serve(Gate, new GateServer(this.tally, latch));
  }

  newHanger(): Hanger {
    return serve(Hanger, new HangerServer(this.tally));
  }

  newCallback(run: CallbackFunction): Callback {
    return serve(Callback, new CallbackServer(this.tally, run));
  }
}

/** Waits for the answer and throws unless it is an error of this type whose message ends in `reason`. */
export async function mustFail(
  answer: PromiseLike<unknown>,
  type: RpcErrorType,
  reason = "",
): Promise<void> {
  let error: unknown;
  try {
    await answer;
  } catch (thrown) {
    error = thrown;
  }
  if (error === undefined) throw new Error(`a call that must fail was answered: ${reason}`);
  if (!RpcError.is(error)) throw error;
  if (error.type !== type || !error.message.endsWith(reason))
    throw new Error(`a call failed as ${error.type} (${error.message}), not ${type} (${reason})`);
}

/** child("a") of the node, child("b") of that, and so on to "e", pipelined. The result is the caller's. */
export function fiveDeep(node: Node): Node {
  let deepest = node.dup();
  for (const name of ["a", "b", "c", "d", "e"]) {
    using parent = deepest;
    using call = parent.child({ name });
    deepest = call.node.dup();
  }
  return deepest;
}
