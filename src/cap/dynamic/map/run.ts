// Role: runs a program of `map` for each element, by calls like any others.
// State: one run: its variables, the calls it made. Must not know: who asked for it.

import { RpcError } from "../../../base/errors.js";
import type { Scheduler } from "../../../base/scheduler.js";
import type { Hook } from "../../../hook/hook.js";
import { Call, startCall } from "../call.js";
import { placeOf, type Root } from "../place.js";
import { KIND_VARIABLE, METHOD_CALL, METHOD_GET, METHOD_MAP } from "../protocol.js";
import { Outgoing } from "../outgoing.js";
import { above, type Referable } from "../references.js";
import type { Terms } from "../terms.js";
import { decodeValue, encodeValue } from "../values/index.js";
import { levelOf, numberOf, type Program, type Step, variable } from "./program.js";
import { type MapCall, mapCall } from "./record.js";

/** Stands for a variable of an inner program while its values are written anew. */
class Inner {
  readonly index: number;
  constructor(index: number) {
    this.index = index;
  }
}

/** One run. */
export class MapRun {
  private readonly program: Program;
  private readonly captures: readonly unknown[];
  private readonly scheduler: Scheduler;
  private readonly terms: Terms;
  private readonly budget: number;
  private readonly calls: Root[] = [];
  private readonly temporary: Root[] = [];

  constructor(
    program: Program,
    captures: readonly unknown[],
    scheduler: Scheduler,
    terms: Terms,
    budget: number,
  ) {
    this.program = program;
    this.captures = captures;
    this.scheduler = scheduler;
    this.terms = terms;
    const { mapRuns } = terms.limits;
    this.budget = budget === 0 ? mapRuns : Math.min(budget, mapRuns);
  }

  /** @returns the results; the references in them stay the run's, until {@link dispose}. @throws RpcError what a step that the result needs fails with. */
  async over(value: unknown): Promise<unknown> {
    if (value === null || value === undefined) return value;
    const elements: readonly unknown[] = Array.isArray(value) ? value : [value];
    const steps = Math.max(this.program.steps.length, 1);
    const { mapResults } = this.terms.limits;
    if (elements.length > mapResults) {
      const message = `limit mapResults: a map over ${elements.length} elements, and ${mapResults} is the most`;
      throw new RpcError("overloaded", "limit-exceeded", message);
    }
    if (elements.length * steps > this.budget) {
      const message = `limit mapRuns: a map of ${elements.length} elements and ${steps} steps each runs more than ${this.budget} steps`;
      throw new RpcError("overloaded", "limit-exceeded", message);
    }
    const inner = Math.max(Math.floor(this.budget / Math.max(elements.length * steps, 1)), 1);
    const results = await Promise.all(elements.map((one) => this.one(one, inner)));
    return Array.isArray(value) ? results : results[0];
  }

  /** Ends every call of the run, with what came of it. */
  dispose(): void {
    for (const root of [...this.calls, ...this.temporary]) root.dispose();
    this.calls.length = 0;
    this.temporary.length = 0;
  }

  private async one(element: unknown, inner: number): Promise<unknown> {
    const variables: unknown[] = [element];
    for (const step of this.program.steps) variables.push(this.step(step, variables, inner));
    const settled = new Map<unknown, unknown>();
    this.decode(this.program.result, variables, (one) => {
      settled.set(one, undefined);
      return null;
    });
    await Promise.all(
      [...settled.keys()].map(async (one) => {
        settled.set(one, isPromise(one) ? await (one as PromiseLike<unknown>) : one);
      }),
    );
    return this.decode(this.program.result, variables, (one) => settled.get(one));
  }

  private step(step: Step, variables: readonly unknown[], inner: number): object {
    const { operation, path, args, program } = step;
    const target = step.onReference ? this.capture(step.on) : this.variable(step.on, variables);
    let body: readonly unknown[] | MapCall | null = null;
    if (operation === METHOD_MAP && program !== null)
      body = this.innerMap(program, variables, inner);
    else if (operation === METHOD_CALL) body = this.args(args, variables);
    else if (operation !== METHOD_GET) throw invalid(`operation ${operation} is unknown`);
    const root = this.rootOf(target);
    const on = root instanceof Call ? root : root.live;
    const call = startCall(on, path, body, undefined, this.terms);
    this.calls.push(placeOf(call)!.root);
    return call;
  }

  private args(bytes: Uint8Array | null, variables: readonly unknown[]): readonly unknown[] {
    if (bytes === null) return [];
    const args = this.decode(bytes, variables, (one) => one);
    if (!Array.isArray(args)) throw invalid("the arguments of a step are no list");
    return args as readonly unknown[];
  }

  /** What a step is called on, as a root. */
  private rootOf(value: unknown): Root & Referable {
    const place = placeOf(value);
    if (place !== undefined) return place.root as Root & Referable;
    const hook: Hook = above.hold(value, this.scheduler, this.terms);
    const { root } = above.stub(hook, this.terms);
    this.temporary.push(root);
    return root as Root & Referable;
  }

  private decode(
    bytes: Uint8Array,
    variables: readonly unknown[],
    take: (variable: unknown) => unknown,
  ): unknown {
    const revive = (kind: number, index: number): unknown =>
      take(kind === KIND_VARIABLE ? this.variable(index, variables) : this.capture(index));
    return decodeValue(bytes, { revive }, undefined, this.terms);
  }

  private variable(index: number, variables: readonly unknown[]): unknown {
    if (levelOf(index) !== 0 || numberOf(index) >= variables.length)
      throw invalid(`variable ${numberOf(index)} of level ${levelOf(index)} is not set`);
    return variables[numberOf(index)];
  }

  private capture(index: number): unknown {
    if (index >= this.captures.length) throw invalid(`there is no reference ${index}`);
    return this.captures[index];
  }

  /** The inner program as one of its own: what it uses of this one becomes what it uses from outside. */
  private innerMap(program: Program, variables: readonly unknown[], budget: number): MapCall {
    const outgoing = new Outgoing(this.scheduler, this.terms);
    const revive = (kind: number, index: number): unknown => {
      if (kind !== KIND_VARIABLE) return this.capture(index);
      if (levelOf(index) > 0) return new Inner(lowered(index));
      return this.variable(index, variables);
    };
    const bytes = (from: Uint8Array): Uint8Array =>
      encodeValue(
        decodeValue(from, { revive }, undefined, this.terms),
        {
          reference: (value, path) =>
            value instanceof Inner
              ? { kind: KIND_VARIABLE, index: value.index }
              : outgoing.reference(value, path),
        },
        { types: this.terms.types },
      );
    const rewrite = ({ steps, result }: Program): Program => ({
      steps: steps.map((step) => {
        const isInner = !step.onReference && levelOf(step.on) > 0;
        const target = isInner
          ? null
          : step.onReference
            ? this.capture(step.on)
            : this.variable(step.on, variables);
        return {
          ...step,
          on: isInner ? lowered(step.on) : outgoing.referenceTo(this.rootOf(target)).index,
          onReference: !isInner,
          args: step.args === null ? null : bytes(step.args),
          program: step.program === null ? null : rewrite(step.program),
        };
      }),
      result: bytes(result),
    });
    try {
      return mapCall(rewrite(program), outgoing, budget);
    } catch (thrown) {
      outgoing.refused();
      throw thrown;
    }
  }
}

function lowered(index: number): number {
  return variable(levelOf(index) - 1, numberOf(index));
}

function isPromise(value: unknown): boolean {
  return placeOf(value)?.isPromise === true;
}

function invalid(message: string): RpcError {
  return new RpcError("failed", "invalid-payload", `in a program of map, ${message}`);
}
