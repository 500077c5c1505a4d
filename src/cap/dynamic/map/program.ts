// Role: what a callback of `map` does, as data: written and read by the offsets of schema/js.capnp.
// State: none. Must not know: how it is recorded or run.

import { type ErrorPolicy, RpcError } from "../../../base/errors.js";
import type { Limits } from "../../../base/limits.js";
import type { Content } from "../../../wire/content.js";
import { ContentBuilder, type StructBuilder, StructReader } from "../../../wire/struct.js";
import { ToldContent } from "../told.js";
import { holdsErrors, toldBytes } from "../values/index.js";
import { MAX_PATH, MAX_REFERENCES, NO_STEPS, type References } from "../protocol.js";

/** A call, a question or a map, on a variable or on something from outside. */
export interface Step {
  readonly on: number;
  readonly onReference: boolean;
  /** METHOD_CALL, METHOD_GET or METHOD_MAP. */
  readonly operation: number;
  readonly path: readonly string[];
  readonly args: Uint8Array | null;
  readonly program: Program | null;
}

export interface Program {
  readonly steps: readonly Step[];
  readonly result: Uint8Array;
}

export interface MapRequest {
  readonly path: readonly string[];
  readonly program: Program;
  readonly references: References;
  readonly budget: number;
  readonly timeout: number;
  readonly want: number;
}

/** The variable `n` of `level`. */
export const variable = (level: number, n: number): number => (level << 16) | n;
export const levelOf = (index: number): number => index >>> 16;
export const numberOf = (index: number): number => index & 0xffff;

/** The first word of its data is laid out as in a Request, for patchRequest. */
export function writeMap(
  path: readonly string[],
  program: Program,
  kinds: readonly number[],
  budget: number,
): Content {
  if (!anyErrors(program)) return mapOf(path, program, kinds, budget);
  return new ToldContent(path, (to, policy) =>
    mapOf(to, policy === null ? program : toldProgram(program, policy), kinds, budget),
  );
}

function anyErrors({ steps, result }: Program): boolean {
  return (
    holdsErrors(result) ||
    steps.some(
      ({ args, program }) =>
        (args !== null && holdsErrors(args)) || (program !== null && anyErrors(program)),
    )
  );
}

function toldProgram({ steps, result }: Program, policy: ErrorPolicy): Program {
  return {
    steps: steps.map((step) => ({
      ...step,
      args: step.args === null ? null : toldBytes(step.args, policy),
      program: step.program === null ? null : toldProgram(step.program, policy),
    })),
    result: toldBytes(result, policy),
  };
}

function mapOf(
  path: readonly string[],
  program: Program,
  kinds: readonly number[],
  budget: number,
): Content {
  const builder = new ContentBuilder(256);
  const root = builder.root(2, 3);
  root.u32(8, budget);
  if (path.length > 0) root.texts(0, path);
  writeProgram(root.struct(1, 0, 2), program);
  const list = kinds.length === 0 ? [] : root.structs(2, kinds.length, 1, 1);
  for (let i = 0; i < kinds.length; i++) {
    list[i]!.u16(0, kinds[i]!);
    list[i]!.capability(0, i);
  }
  return builder.finish().own();
}

function writeProgram(to: StructBuilder, { steps, result }: Program): void {
  const list = steps.length === 0 ? [] : to.structs(0, steps.length, 1, 3);
  for (let i = 0; i < steps.length; i++) {
    const { on, onReference, operation, path, args, program } = steps[i]!;
    const step = list[i]!;
    step.u32(0, on);
    step.u16(4, operation);
    step.bool(48, onReference);
    if (path.length > 0) step.texts(0, path);
    if (args !== null) step.data(1, args);
    if (program !== null) writeProgram(step.struct(2, 0, 2), program);
  }
  to.data(1, result);
}

/** @param limits bound the program. @throws RpcError invalid-payload, or limit-exceeded. */
export function readMap(content: Content, limits: Limits): MapRequest {
  const root = StructReader.of(content);
  const kinds: number[] = [];
  const caps: number[] = [];
  const list = root.list(2, 0, 1);
  if (list.length > MAX_REFERENCES) throw tooMany("references", MAX_REFERENCES);
  for (let i = 0; i < list.length; i++) {
    const entry = list.at(i);
    kinds.push(entry.u16(0));
    caps.push(entry.capability(0));
  }
  return {
    path: readPath(root, 0),
    program: readProgram(root.struct(1), 1, { limits, steps: limits.mapSteps }),
    references: { kinds, caps },
    budget: root.u32(8),
    timeout: root.u32(0),
    want: root.u16(4),
  };
}

function readProgram(
  from: StructReader,
  level: number,
  left: { readonly limits: Limits; steps: number },
): Program {
  const { mapLevels, mapSteps } = left.limits;
  if (level > mapLevels) throw tooMany("programs inside one another, limit mapLevels", mapLevels);
  const list = from.list(0, 0, 1);
  const steps: Step[] = [];
  for (let i = 0; i < list.length; i++) {
    if (--left.steps < 0) throw tooMany("steps, limit mapSteps", mapSteps);
    const step = list.at(i);
    steps.push({
      on: step.u32(0),
      onReference: step.bool(48),
      operation: step.u16(4),
      path: readPath(step, 0),
      args: step.isNull(1) ? null : step.data(1),
      program: step.isNull(2) ? null : readProgram(step.struct(2), level + 1, left),
    });
  }
  return { steps, result: from.data(1) };
}

function readPath(from: StructReader, index: number): readonly string[] {
  if (from.isNull(index)) return NO_STEPS;
  const list = from.list(index, 0, 1);
  if (list.length > MAX_PATH) throw tooMany("names in a path", MAX_PATH);
  return Array.from({ length: list.length }, (_, i) => list.at(i).text(0));
}

function tooMany(what: string, most: number): RpcError {
  return new RpcError(
    "failed",
    "limit-exceeded",
    `a program of map has too many ${what}: ${most} is the most`,
  );
}
