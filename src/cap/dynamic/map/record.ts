// Role: runs a callback of `map` once, with something that stands for the element, and writes down what it calls.
// State: the program so far. Must not know: how it is sent or run.

import { invalidArgument } from "../../../base/checks.js";
import type { Scheduler } from "../../../base/scheduler.js";
import type { Content } from "../../../wire/content.js";
import {
  type Mapper,
  type OnError,
  type OnValue,
  type Place,
  placeOf,
  proxyOf,
  type Recorder,
  recordWith,
  Root,
} from "../place.js";
import { KIND_VARIABLE, METHOD_CALL, METHOD_GET, METHOD_MAP } from "../protocol.js";
import { Lane } from "../pressure.js";
import { Outgoing } from "../outgoing.js";
import { DEFAULT_TERMS, type Terms } from "../terms.js";
import { unsendable } from "../values/failures.js";
import { encodeValue, type ReferenceSink } from "../values/index.js";
import { type Program, type Step, variable, writeMap } from "./program.js";

/** A call of `map`, to be given to startCall. */
export interface MapCall {
  readonly method: number;
  readonly outgoing: Outgoing;
  content(path: readonly string[]): Content;
}

/** A call of `map` with a program. */
export function mapCall(program: Program, outgoing: Outgoing, budget: number): MapCall {
  return {
    method: METHOD_MAP,
    outgoing,
    content: (path) => writeMap(path, program, outgoing.kinds, budget),
  };
}

/**
 * Records `callback`.
 * @throws RpcError invalid-argument when it cannot be recorded: it is async, or too long; what the callback throws.
 */
export function record(callback: Mapper, scheduler: Scheduler, terms: Terms): MapCall {
  const outgoing = new Outgoing(scheduler, terms);
  try {
    return mapCall(new Recording(outgoing, terms, null).run(callback), outgoing, 0);
  } catch (thrown) {
    outgoing.release();
    throw thrown;
  }
}

class Recording implements Recorder {
  readonly level: number;
  private readonly outer: Recording | null;
  private readonly outgoing: Outgoing;
  private readonly terms: Terms;
  private readonly steps: Step[] = [];

  constructor(outgoing: Outgoing, terms: Terms, outer: Recording | null) {
    this.outgoing = outgoing;
    this.terms = terms;
    this.outer = outer;
    this.level = outer === null ? 0 : outer.level + 1;
    const { mapLevels } = terms.limits;
    if (this.level >= mapLevels)
      throw invalidArgument(
        `limit mapLevels: ${mapLevels} calls of map inside one another is the most`,
      );
  }

  run(callback: Mapper): Program {
    const element = proxyOf(new Variable(this, 0));
    return recordWith(this, () => {
      const result = callback(element);
      if (result instanceof Promise) {
        result.catch(() => {});
        throw invalidArgument(
          "a callback of map is recorded, not run: it cannot be async, nor await",
        );
      }
      return { steps: this.steps, result: this.encode(result, "result") };
    });
  }

  step(root: Root, path: readonly string[], args: readonly unknown[] | null): object {
    const bytes = args === null || args.length === 0 ? null : this.encode(args, "args");
    return this.add(root, path, args === null ? METHOD_GET : METHOD_CALL, bytes, null);
  }

  map(root: Root, path: readonly string[], callback: Mapper): object {
    const program = new Recording(this.outgoing, this.terms, this).run(callback);
    return this.add(root, path, METHOD_MAP, null, program);
  }

  private add(
    root: Root,
    path: readonly string[],
    operation: number,
    args: Uint8Array | null,
    program: Program | null,
  ): object {
    const onReference = !(root instanceof Variable);
    const on = onReference ? this.outgoing.referenceTo(root).index : this.indexOf(root);
    const { mapSteps } = this.terms.limits;
    if (this.steps.length >= mapSteps)
      throw invalidArgument(`limit mapSteps: more than ${mapSteps} steps in one callback of map`);
    this.steps.push({ on, onReference, operation, path, args, program });
    return proxyOf(new Variable(this, this.steps.length));
  }

  private encode(value: unknown, root: string): Uint8Array {
    const sink: ReferenceSink = { reference: (one, path) => this.reference(one, path) };
    return encodeValue(value, sink, { root, types: this.terms.types });
  }

  private reference(value: object, path: string): { kind: number; index: number } | undefined {
    if (value instanceof ReadableStream || value instanceof WritableStream)
      throw invalidArgument(
        `${path} is a stream: it can be used once, and a callback of map runs often`,
      );
    const place = placeOf(value);
    if (place === undefined || !(place.root instanceof Variable))
      return this.outgoing.reference(value, path);
    const { root } = place.path.length === 0 ? place : placeOf(this.asked(place))!;
    return { kind: KIND_VARIABLE, index: this.indexOf(root as Variable) };
  }

  /** By its number alone it would mean what has that number here: only what is of this callback, or of one around it. */
  private indexOf({ owner, index }: Variable): number {
    let at: Recording | null = this as Recording;
    while (at !== null && at !== owner) at = at.outer;
    if (at === null) throw invalidArgument(OUTSIDE);
    return index;
  }

  private asked(place: Place): object {
    return this.step(place.root, place.path, null);
  }
}

const OUTSIDE = "what stands for an element of map means nothing outside of its callback";

/** Stands for the element, or for the result of a step, while a callback is recorded. */
class Variable extends Root {
  readonly index: number;
  readonly terms = DEFAULT_TERMS;
  readonly lane = new Lane(null);
  readonly lifeline = null;
  readonly owner: Recording;

  constructor(owner: Recording, n: number) {
    super();
    this.owner = owner;
    this.index = variable(owner.level, n);
  }

  get isPromise(): boolean {
    return true;
  }

  start(): never {
    throw invalidArgument(OUTSIDE);
  }

  override checkSendable(path: string): never {
    throw unsendable(path, OUTSIDE);
  }

  startMap(): never {
    return this.start();
  }

  then(onValue: OnValue, onError: OnError): Promise<unknown> {
    const error = invalidArgument("a callback of map is recorded, not run: there is no value yet");
    return Promise.reject(error).then(onValue, onError);
  }

  hold(): never {
    throw invalidArgument("what stands for an element of map is no capability yet");
  }

  dup(): object {
    return proxyOf(new Variable(this.owner, this.index & 0xffff));
  }

  onBroken(): never {
    throw invalidArgument("a callback of map cannot wait for anything");
  }

  dispose(): void {}
}
