// Small objects that a server makes and that a client lends: nodes, gates, recorders, callbacks, bouncers, hangers.
// Each counts in the tally it is given. What outlives an object, or is looked at from outside, is in a shared record.

import type { CallContext, Struct } from "capstan/typed";
import {
  type Answer,
  Bouncer,
  type Callback,
  type Gate,
  type Hanger,
  type Node,
  type Recorder,
} from "./generated/interop.capnp.js";
import { Counted, hangForever, type Tally } from "./support.js";

export class NodeServer extends Counted implements Node.Server {
  private readonly ownPath: string;

  constructor(tally: Tally, path: string) {
    super(tally);
    this.ownPath = path;
  }

  path(): { path: string } {
    return { path: this.ownPath };
  }

  child({ name }: { readonly name: string }): { path: string; node: NodeServer } {
    const path = `${this.ownPath}/${name}`;
    return { path, node: new NodeServer(this.tally, path) };
  }
}

/** A gate's state: whoever holds it can open it, once. */
export class Latch {
  /** How many calls of `pass` have come. */
  passed = 0;
  readonly opened: Promise<void>;
  open!: () => void;

  constructor() {
    this.opened = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}

export class GateServer extends Counted implements Gate.Server {
  private readonly latch: Latch;

  constructor(tally: Tally, latch: Latch) {
    super(tally);
    this.latch = latch;
  }

  pass(): Promise<void> {
    this.latch.passed++;
    return this.latch.opened;
  }
}

export class RecorderServer extends Counted implements Recorder.Server {
  private readonly marks: number[];

  /** @param marks gets the sequence numbers in the order of the calls. */
  constructor(tally: Tally, marks: number[]) {
    super(tally);
    this.marks = marks;
  }

  mark({ sequence }: { readonly sequence: number }): { position: number } {
    return { position: this.marks.push(sequence) - 1 };
  }
}

export type CallbackContext = CallContext<Answer, Answer.Init>;
export type CallbackFunction = (
  value: number,
  context: CallbackContext,
) => ReturnType<Callback.Server["call"]>;

/** Answers each call with what the function makes of it; the function may call back into the other side. */
export class CallbackServer extends Counted implements Callback.Server {
  private readonly function: CallbackFunction;

  constructor(tally: Tally, run: CallbackFunction) {
    super(tally);
    this.function = run;
  }

  call(
    { value }: { readonly value: number },
    context: CallbackContext,
  ): ReturnType<CallbackFunction> {
    return this.function(value, context);
  }
}

export class BouncerServer extends Counted implements Bouncer.Server {
  private readonly name: string;

  constructor(tally: Tally, name: string) {
    super(tally);
    this.name = name;
  }

  bounce(
    { other, depth }: { readonly other: Bouncer; readonly depth: number },
    context: CallContext<Answer, Answer.Init>,
  ): ReturnType<Bouncer.Server["bounce"]> {
    if (depth === 0) return { value: 0, node: new NodeServer(this.tally, this.name) };
    return context.tailCall(other).bounce({ other: context.self(Bouncer), depth: depth - 1 });
  }
}

export class HangerServer extends Counted implements Hanger.Server {
  hang(_params: unknown, context: CallContext<Struct, object>): Promise<never> {
    return hangForever(this.tally, context);
  }
}
