// Role: a test harness small enough for every runtime: declares scenarios, runs them over sessions that somebody opens.
// State: the list of scenarios. Must not know: which runtime it is in, who opens the sessions, vitest.

import { RpcError, RpcStub, type Session } from "../../src/index.js";
import { difference } from "../support/difference.js";
import type { Api } from "./objects.js";

/** What a scenario is given: an object from afar, of its own. */
export interface Scene {
  readonly api: RpcStub<Api>;
  readonly session: Session;
  /** Where HTTP batches reach an object of the same class. */
  readonly http: string;
}

export interface Scenario {
  readonly name: string;
  readonly run: (scene: Scene) => Promise<void>;
}

/** How one scenario ended: travels as JSON. */
export interface Outcome {
  readonly name: string;
  /** Null when all was well. */
  readonly error: string | null;
}

const list: Scenario[] = [];

/** All that were declared. */
export const scenarios: readonly Scenario[] = list;

/** The scenarios that `declare` declares get names that begin with `area`. */
export function scenario(area: string): (name: string, run: Scenario["run"]) => void {
  return (name, run) => void list.push({ name: `${area}: ${name}`, run });
}

const SCENARIO_MS = 10_000;
const REST_MS = 2000;

/**
 * Runs scenarios one after the other, each over a session of its own, and looks after each whether anything is left.
 *
 * @param open makes a session with a peer that serves a new Api at each Bootstrap.
 * @param http where the same is served to HTTP batches.
 * @param ms how long each step of a scenario may take: one that hangs fails, and the next one runs.
 */
export async function runAll(
  open: () => Promise<Session>,
  http: string,
  chosen: readonly Scenario[] = scenarios,
  ms: number = SCENARIO_MS,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, run } of chosen) {
    let error: string | null = null;
    try {
      await runOne(open, http, run, ms);
    } catch (thrown) {
      error = thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ""}` : String(thrown);
    }
    outcomes.push({ name, error });
  }
  return outcomes;
}

async function runOne(
  open: () => Promise<Session>,
  http: string,
  run: Scenario["run"],
  ms: number,
): Promise<void> {
  const session = await within(ms, open());
  try {
    const api = session.bootstrap(RpcStub<Api>);
    await within(ms, run({ api, session, http }));
    if (session.error === null) await within(ms, atRest(session, api));
    else api[Symbol.dispose]();
    const { questions, answers, imports, exports, embargoes } = session.connection.stats();
    equal({ questions, answers, imports, exports, embargoes }, NOTHING);
  } finally {
    await session.close();
  }
}

const NOTHING = { questions: 0, answers: 0, imports: 0, exports: 0, embargoes: 0 };

/** Nothing of the scenario is left, here or there. */
async function atRest(session: Session, api: RpcStub<Api>): Promise<void> {
  await until("objects that nobody holds are disposed", async () => (await api.alive()) === 0);
  api[Symbol.dispose]();
  await until("the tables are empty", () => {
    const { questions, answers, imports, exports, embargoes } = session.connection.stats();
    return questions + answers + imports + exports + embargoes === 0;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}\n${JSON.stringify(session.connection.stats())}`);
  });
}

/** Waits until `what` holds. @throws Error when it does not in time */
export async function until(
  what: string,
  holds: () => boolean | Promise<boolean>,
  ms = REST_MS,
): Promise<void> {
  for (const end = performance.now() + ms; !(await holds()); await pause(5))
    if (performance.now() > end) throw new Error(`in vain awaited: ${what}`);
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not over within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** @throws Error that names where they differ */
export function equal(actual: unknown, expected: unknown): void {
  const where = difference(actual, expected);
  if (where !== null) throw new Error(`not equal: ${where}`);
}

export function ok(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`does not hold: ${what}`);
}

/** That `work` fails with an RpcError that has these properties. @returns the error */
export async function fails(
  work: PromiseLike<unknown>,
  properties: Partial<Pick<RpcError, "type" | "code" | "message" | "method" | "delivery">>,
): Promise<RpcError> {
  try {
    await work;
  } catch (error) {
    return expected(error, properties);
  }
  throw new Error("it did not fail");
}

/** The same of what throws at once. */
export function throws(
  work: () => unknown,
  properties: Partial<Pick<RpcError, "code" | "delivery">>,
): RpcError {
  try {
    work();
  } catch (error) {
    return expected(error, properties);
  }
  throw new Error("it did not throw");
}

function expected(error: unknown, properties: object): RpcError {
  if (!RpcError.is(error)) throw new Error(`no RpcError: ${String(error)}`, { cause: error });
  for (const [name, value] of Object.entries(properties))
    equal({ [name]: error[name as keyof RpcError] }, { [name]: value as unknown });
  return error;
}
