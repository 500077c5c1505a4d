// Role: the command `capstan objects`: lists, shows, exports, deletes, evicts and collects the objects of a data directory.
// State: none. Must not know: how objects run.
//
// What is stored is read from the database, which any process of this machine may read while a host runs. What is active is asked of
// the running host, by its control socket; nothing here activates an object.

import fs from "node:fs";
import path from "node:path";
import { inspect } from "node:util";
import { RpcError } from "../base/errors.js";
import { RpcStub } from "../cap/dynamic/stub.js";
import { lookAtStopped } from "../host/collect/stopped.js";
import { prepareStore } from "../host/object/host.js";
import { nodeRuntime } from "../host/object/runtime.node.js";
import type { Control } from "../host/process/control.node.js";
import {
  Inspector,
  type ListedObject,
  type ObjectSummary,
  type StoredHolding,
  type StoredObject,
  type StoredValue,
  type Which,
} from "../host/process/inspect.js";
import type { ActiveObject } from "../host/process/messages.js";
import { controlAddress } from "../host/process/paths.node.js";
import { openLmdbStore } from "../host/storage/lmdb-store.node.js";
import type { Store } from "../host/storage/store.js";
import { connect } from "../vat/connect.node.js";
import { readArguments } from "./arguments.node.js";
import { Misuse } from "./misuse.js";

export const OBJECTS_USAGE = `usage: capstan objects ACTION [NAMESPACE [ID]] [options]

Looks at the objects of a data directory, whether a host runs on it or not. No object is activated,
but for the [dispose] hooks of those that are collected.

actions:
  list [NAMESPACE]      all objects, or those of a namespace: what is stored, and what is active
  show NAMESPACE ID     what is stored of one object, its alarm, whether it is active,
                        whom it holds by stored references, and who holds it
  export NAMESPACE ID   its values, one a line
  delete NAMESPACE ID   removes all that is stored of it; if it is active it breaks. Who calls it next finds it new,
                        or with --for-good is told that it was deleted
  gc                    collects the objects of private namespaces that nobody can reach; with --dry-run only
                        says which these are, which it also does where no host runs
  evict NAMESPACE ID    lets go of it, if it is idle; what is stored stays

options:
  --data DIR            the data directory; by default .capstan
  --name NAME           the name that the id is made from, in the place of ID
  --json                JSON: one document, or one a line for list and export
  --dry-run             collect none
  --for-good            delete it so that its id is never used again
  --limit N             list at most so many; of holders and held, show at most so many (1000)
  --after NAMESPACE/ID  begin behind this one
  -h, --help            this text

Status 0: done. 1: failed, or there is no such object. 2: misuse.
`;

type Action = "list" | "show" | "export" | "delete" | "evict" | "gc";
const ACTIONS: readonly string[] = [
  "list",
  "show",
  "export",
  "delete",
  "evict",
  "gc",
] satisfies Action[];

interface Job {
  readonly action: Action;
  readonly namespace: string | undefined;
  readonly which: Which | undefined;
  readonly directory: string;
  readonly forGood: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
  readonly limit: number;
  readonly after: StoredObject | null;
}

/** @returns the exit status. @throws Misuse; RpcError storage-locked and what else a store fails with (as a rejection). */
export async function runObjects(args: string[], stdout: (text: string) => void): Promise<number> {
  const job = parse(args);
  if (job === null) {
    stdout(OBJECTS_USAGE);
    return 0;
  }
  if (!fs.existsSync(path.join(job.directory, "data.mdb")))
    throw new Error(`${job.directory} is no data directory: it has no data.mdb`);
  const session = await running(job.directory);
  try {
    const store = await openLmdbStore(job.directory, { lock: session === null });
    try {
      const { crypto } = nodeRuntime();
      const inspector = new Inspector(store, (await prepareStore(store, crypto)).ids, crypto);
      // It goes with its session.
      const control = session?.bootstrap(RpcStub<Control>) ?? null;
      return await run(job, store, inspector, control, stdout);
    } finally {
      await store.close();
    }
  } finally {
    await session?.close();
  }
}

/** @returns null when no host runs there. */
async function running(directory: string) {
  try {
    return await connect(controlAddress(directory));
  } catch (thrown) {
    if (RpcError.is(thrown) && thrown.code === "connect-failed") return null;
    throw thrown;
  }
}

function parse(args: string[]): Job | null {
  const { values, positionals } = readArguments(args, {
    data: { type: "string", default: ".capstan" },
    name: { type: "string" },
    json: { type: "boolean", default: false },
    "dry-run": { type: "boolean", default: false },
    "for-good": { type: "boolean", default: false },
    limit: { type: "string" },
    after: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help === true) return null;
  const [action, namespace, id, ...more] = positionals;
  if (action === undefined || !ACTIONS.includes(action))
    throw new Misuse(`name one of ${ACTIONS.join(", ")}`);
  if (more.length > 0) throw new Misuse(`there is no use for ${more.join(" ")}`);
  const { name } = values;
  const which = id !== undefined ? { id } : name !== undefined ? { name } : undefined;
  const dryRun = values["dry-run"];
  if (dryRun && action !== "gc") throw new Misuse("--dry-run goes with gc alone");
  if (action === "gc" && (namespace !== undefined || which !== undefined))
    throw new Misuse("gc takes no NAMESPACE and no ID");
  const whole = action === "list" || action === "gc";
  if (whole ? which !== undefined : namespace === undefined || which === undefined)
    throw new Misuse(whole ? "list takes no ID" : `${action} takes NAMESPACE and ID`);
  if (id !== undefined && name !== undefined) throw new Misuse("give an ID or --name, not both");
  const limit = values.limit === undefined ? Infinity : Number(values.limit);
  if (!(limit > 0)) throw new Misuse("--limit takes a number of at least 1");
  const forGood = values["for-good"];
  if (forGood && action !== "delete") throw new Misuse("--for-good goes with delete alone");
  return {
    action: action as Action,
    forGood,
    dryRun,
    namespace,
    which,
    directory: values.data,
    json: values.json,
    limit,
    after: afterOf(values.after),
  };
}

function afterOf(text: string | undefined): StoredObject | null {
  if (text === undefined) return null;
  const at = text.lastIndexOf("/");
  if (at < 1) throw new Misuse("--after takes NAMESPACE/ID");
  return { namespace: text.slice(0, at), id: text.slice(at + 1) };
}

type ControlStub = RpcStub<Control> | null;

async function run(
  job: Job,
  store: Store,
  inspector: Inspector,
  control: ControlStub,
  stdout: (text: string) => void,
): Promise<number> {
  const { action, json } = job;
  const say = (value: object, text: string): void =>
    stdout(`${json ? JSON.stringify(value) : text}\n`);
  if (action === "gc") return collect(job, store, control, say);
  if (action === "list") return list(job, inspector, control, say);
  const namespace = job.namespace!;
  const id = inspector.idOf(namespace, job.which!).toString();
  const name = `${namespace}/${id}`;
  if (action === "evict") {
    const outcome = (await control?.evict(namespace, id)) ?? "inactive";
    say({ namespace, id, outcome }, `${name}: ${outcome}`);
    return outcome === "busy" ? 1 : 0;
  }
  const [summary, active] = await Promise.all([
    inspector.summary(namespace, { id }),
    control?.active() ?? [],
  ]);
  const found = active.find((one) => one.namespace === namespace && one.id === id);
  if (summary === undefined && found === undefined)
    throw new Error(`there is no object ${name}: nothing is stored of it`);
  if (action === "show") {
    const most = Math.min(job.limit, PAGE);
    const holds = await inspector.held(namespace, { id }, most);
    const heldBy = await inspector.holders(namespace, { id }, most);
    show({ namespace, id }, { ...summary, holds, heldBy }, found, say);
  } else if (action === "delete") {
    const { forGood } = job;
    if (control === null) await inspector.remove(namespace, { id }, forGood);
    else if (forGood) await control.delete(namespace, id);
    else await control.clear(namespace, id);
    say({ namespace, id, forGood, outcome: "deleted" }, `${name}: deleted`);
  } else
    for await (const value of inspector.values(namespace, { id }))
      say(exported(value), textOf(value));
  return 0;
}

type Say = (value: object, text: string) => void;

/** So many are looked up at a time. */
const PAGE = 1000;

async function list(
  job: Job,
  inspector: Inspector,
  control: ControlStub,
  say: Say,
): Promise<number> {
  const { limit, namespace = null } = job;
  const active = new Map<string, ActiveObject>();
  for (const one of (await control?.active()) ?? [])
    if (namespace === null || one.namespace === namespace) active.set(nameOf(one), one);
  const tell = (object: ListedObject, stored: boolean): void => {
    const found = active.get(nameOf(object));
    active.delete(nameOf(object));
    const state = object.deleted
      ? "deleted"
      : found === undefined
        ? "stored"
        : found.idle
          ? "idle"
          : "busy";
    const view = {
      ...object,
      name: found?.name,
      stored,
      active: found !== undefined,
      idle: found?.idle,
    };
    say(view, [nameOf(object), state, found?.name].filter(Boolean).join("  "));
  };
  let { after } = job;
  let left = limit;
  while (left > 0) {
    const page = await inspector.list(namespace, after, Math.min(left, PAGE));
    for (const object of page) tell(object, true);
    left -= page.length;
    after = page.at(-1) ?? null;
    if (page.length < PAGE) break;
  }
  // Those of which nothing is stored yet.
  if (job.after === null)
    for (const object of [...active.values()].slice(0, left))
      tell({ namespace: object.namespace, id: object.id, deleted: false }, false);
  return 0;
}

/** A host alone can run hooks, and knows what is held beside the store: without one nothing is collected. */
async function collect(
  { dryRun, directory }: Job,
  store: Store,
  control: ControlStub,
  say: Say,
): Promise<number> {
  if (control === null && !dryRun)
    throw new Error(
      `no host runs on ${directory}, and only one collects: --dry-run says what there is to be collected`,
    );
  const report = await (control?.collect(dryRun) ?? lookAtStopped(store));
  const { checked, collected, unreachable } = report;
  const lines = [
    ...collected.map((one) => `${nameOf(one)}  collected`),
    ...unreachable.map((one) => `${nameOf(one)}  unreachable`),
    `${checked} looked at, ${collected.length} collected, ${unreachable.length} unreachable and still there`,
  ];
  say({ dryRun, ...report }, lines.join("\n"));
  return 0;
}

function show(
  object: StoredObject,
  stored: Partial<ObjectSummary> & Record<"holds" | "heldBy", readonly StoredHolding[]>,
  active: ActiveObject | undefined,
  say: Say,
): void {
  const { values = 0, bytes = 0, alarm = null, deleted = false, holds, heldBy } = stored;
  const due = alarm === null ? null : new Date(alarm).toISOString();
  const view = {
    ...object,
    name: active?.name,
    values,
    bytes,
    alarm: due,
    deleted,
    active: active !== undefined,
    idle: active?.idle,
  };
  const lines = Object.entries(view).filter(([, value]) => value !== undefined);
  const text = [
    ...lines.map(([key, value]) => `${key}: ${value}`),
    ...holds.map((one) => `holds: ${holdingText(one)}`),
    ...heldBy.map((one) => `held by: ${holdingText(one)}`),
  ];
  say({ ...view, holds, heldBy }, text.join("\n"));
}

function holdingText({ type, namespace, id, count }: StoredHolding): string {
  if (type === "saved") return `a saved reference, ${id}`;
  const name = type === "namespace" ? `the namespace ${namespace}` : `${namespace}/${id}`;
  return count === 1 ? name : `${name}, in ${count} values`;
}

function nameOf({ namespace, id }: StoredObject): string {
  return `${namespace}/${id}`;
}

/** The bytes as they are stored, and what they stand for where JSON, or at least people, can say it. */
function exported({ key, bytes, value }: StoredValue): object {
  const base64 = Buffer.from(bytes).toString("base64");
  if (value === undefined) return { key, base64 };
  const { decoded } = value;
  return isJson(decoded)
    ? { key, value: decoded, base64 }
    : { key, text: inspect(decoded), base64 };
}

function textOf({ key, bytes, value }: StoredValue): string {
  const shown =
    value === undefined
      ? `${bytes.length} bytes that only the program can read`
      : inspect(value.decoded, { breakLength: Infinity, depth: Infinity });
  return `${JSON.stringify(key)}: ${shown}`;
}

function isJson(value: unknown): boolean {
  if (value === null || typeof value === "boolean" || typeof value === "string") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return false;
  if (Array.isArray(value)) return value.every(isJson);
  const plain = Object.getPrototypeOf(value) === Object.prototype;
  return plain && Object.values(value).every(isJson);
}
