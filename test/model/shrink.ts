// Role: makes a failing program small, and prints it as a test.
// State: none. Must not know: why it fails; a smaller program that breaks the same rule is as good.

import { noCounts } from "./counts.js";
import type { Ground, Op } from "./ops.js";
import { World } from "./world.js";

/** Runs `ops` to the end. @throws what the world finds broken. */
export function replay(ground: Ground, ops: readonly Op[]): void {
  const world = new World(ground, noCounts());
  for (const op of ops) world.run(op);
  world.finish();
}

/** What `ops` break, or null. */
export function failureOf(ground: Ground, ops: readonly Op[]): Error | null {
  try {
    replay(ground, ops);
    return null;
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown));
  }
}

/** Leaves out what is not needed, for as long as that makes it smaller and at most for `milliseconds`. */
export function shrink(ground: Ground, failing: readonly Op[], milliseconds = 60_000): Op[] {
  const kind = kindOf(failureOf(ground, failing));
  const end = Date.now() + milliseconds;
  let ops: readonly Op[] = failing;
  /** Takes the first of `candidates` that still breaks the rule. */
  const take = (candidates: Iterable<readonly Op[]>): boolean => {
    for (const candidate of candidates) {
      if (Date.now() > end) return false;
      if (kindOf(failureOf(ground, candidate)) !== kind) continue;
      ops = candidate;
      return true;
    }
    return false;
  };
  for (let size = ops.length >> 1; size >= 1; size >>= 1)
    for (let at = ops.length - size; at >= 0; at -= size) take([without(ops, at, size)]);
  while (
    take(settled(ops)) ||
    take(ops.map((_, at) => without(ops, at, 1))) ||
    take(simpler(ops)) ||
    take(renamed(ops)) ||
    take(withoutPairs(ops))
  );
  return [...ops];
}

/** What is broken, whichever call or capability it is broken for. */
function kindOf(failure: Error | null): string | null {
  return failure === null ? null : failure.message.replaceAll(/\d+/g, "n").split("\n", 1)[0]!;
}

function without(ops: readonly Op[], at: number, count: number): Op[] {
  return [...ops.slice(0, at), ...ops.slice(at + count)];
}

/** Deliveries up to some point as one delivery of everything. */
function* settled(ops: readonly Op[]): Generator<Op[]> {
  for (let at = ops.length; at > 0; at--) {
    if (ops[at - 1]!.op !== "deliver") continue;
    const head = ops.slice(0, at);
    const tail = ops.slice(at);
    yield [...head.filter(({ op }) => op !== "deliver"), { op: "settle" }, ...tail];
    const stretches: Op[] = [];
    for (const op of head)
      if (op.op !== "deliver") stretches.push(op);
      else if (stretches.at(-1)?.op !== "settle") stretches.push({ op: "settle" });
    yield [...stretches, ...tail];
  }
}

/** One operation with less in it. */
function* simpler(ops: readonly Op[]): Generator<Op[]> {
  for (const [at, op] of ops.entries())
    for (const less of simplerThan(op)) {
      const candidate = [...ops];
      candidate[at] = less;
      yield candidate;
    }
}

function simplerThan(op: Op): Op[] {
  const found: Op[] = [];
  if (op.more === true) found.push({ ...op, more: false });
  if (op.op === "call") {
    if (op.then !== 0) found.push({ ...op, then: 0 });
    if (op.method !== 0) found.push({ ...op, method: 0, child: 0 });
  }
  if ((op.op === "call" || op.op === "tail") && op.args.length > 0)
    for (let i = 0; i < op.args.length; i++)
      found.push({ ...op, args: op.args.filter((_, at) => at !== i) });
  if ((op.op === "answer" || op.op === "early") && op.caps.length > 0)
    found.push({ ...op, caps: op.caps.slice(0, -1) });
  return found;
}

/** One reference used in the place of another, everywhere: what made the other may then be left out. */
function* renamed(ops: readonly Op[]): Generator<Op[]> {
  const keys = new Set<number>();
  for (const op of ops) for (const key of keysOf(op)) keys.add(key);
  const sorted = [...keys].sort((a, b) => a - b);
  for (const old of [...sorted].reverse())
    for (const key of sorted) {
      if (key >= old) break;
      yield ops.map((op) => rename(op, old, key));
    }
}

function keysOf(op: Op): number[] {
  const keys: number[] = [];
  if (op.op === "call" || op.op === "tail") keys.push(op.on, ...op.args);
  else if (op.op === "answer" || op.op === "early") keys.push(...op.caps);
  else if (op.op === "resolve") keys.push(op.to);
  else if (op.op === "release" || op.op === "watch" || op.op === "wrap") keys.push(op.ref);
  return keys.filter((key) => key >= 0);
}

function rename(op: Op, old: number, key: number): Op {
  const to = (known: number): number => (known === old ? key : known);
  if (op.op === "call" || op.op === "tail") return { ...op, on: to(op.on), args: op.args.map(to) };
  if (op.op === "answer" || op.op === "early") return { ...op, caps: op.caps.map(to) };
  if (op.op === "resolve") return { ...op, to: to(op.to) };
  if (op.op === "release" || op.op === "watch" || op.op === "wrap")
    return { ...op, ref: to(op.ref) };
  return op;
}

/** An operation left out together with one of the deliveries behind it: links keep order, so one less was sent. */
function* withoutPairs(ops: readonly Op[]): Generator<Op[]> {
  for (let at = 0; at < ops.length; at++)
    for (let later = at + 1; later < ops.length; later++)
      if (ops[at]!.op === "deliver" || ops[later]!.op === "deliver")
        yield without(without(ops, later, 1), at, 1);
}

/** A test file for test/model/ that runs `ops` and nothing else. */
export function asTest(title: string, ground: Ground, ops: readonly Op[]): string {
  return `import { it } from "vitest";
import { replay } from "./shrink.js";

// ${title.replaceAll("\n", "\n// ")}
it("keeps to the model", () => {
  replay(${JSON.stringify(ground)}, [
${ops.map((op) => `    ${JSON.stringify(tidy(op))},`).join("\n")}
  ]);
});
`;
}

function tidy(op: Op): Op {
  const { more, ...rest } = op;
  return more === true ? op : (rest as Op);
}
