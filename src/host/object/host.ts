// Role: a host of objects in one process: makes the parts that its objects share, and the namespaces to reach them by.
// State: whether it is closed. Must not know: Node, where the store is.

import { invalidArgument, wrongArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import { type StubOptions, termsOf } from "../../cap/dynamic/terms.js";
import type { ValueTypes } from "../../cap/dynamic/values/index.js";
import { RpcStub } from "../../cap/dynamic/stub.js";
import { makeCalls } from "../../cap/dynamic/turn.js";
import type { Fetcher } from "../../hook/hook.js";
import { checkMs } from "../../transport/transport.js";
import type { Clock } from "../../vat/clock.js";
import type { Turns } from "../gates/turns.js";
import type { Waits } from "../gates/waits.js";
import { HOLD } from "../../hook/holder.js";
import { type BrokenHook, brokenHook } from "../../hook/results.js";
import { Collector, type CollectionReport, type CollectOptions } from "../collect/collector.js";
import { LiveRoots, nodeNamed } from "../collect/live-roots.js";
import { collectedError, LocalParticipant, type Participant } from "../collect/participant.js";
import { declarePrivate, readCollecting } from "../collect/records.js";
import { type CollectionStats, newStats } from "../collect/stats.js";
import {
  lost,
  nodeOfReference,
  type ObjectReference,
  type Reference,
} from "../references/reference.js";
import { SavedReferences } from "../references/saved.js";
import { ALL_OBJECTS, metaKey, namespaceBytes, nodeOf, readNode } from "../storage/keys.js";
import { type SocketEvents, SocketTable } from "../sockets/socket-table.js";
import { type DerivedWrite, type Store, storeFailure } from "../storage/store.js";
import { NO_STORED_REFERENCES, ValueCodecs } from "../storage/values.js";
import { AlarmClock } from "./alarms.js";
import { Directory } from "./directory.js";
import type { Disposes, ObjectClass, PrivateClass } from "./durable-object.js";
import { type IdCrypto, IdMaker, ObjectId } from "./ids.js";
import { Namespace, PrivateNamespace } from "./namespace.js";
import { type Finder, ObjectHook } from "./object-hook.js";
import { fetcherUnder } from "./requests.js";
import {
  ALL_HERE,
  checkHostLimits,
  DEFAULT_HOST_LIMITS,
  type Definition,
  envWithin,
  type HostLimits,
  type HostParts,
  type Placement,
  type Reporter,
  type Wrapping,
} from "./parts.js";

/** Names to classes. */
export type Classes = Readonly<Record<string, ObjectClass | PrivateClass>>;

/** What objects and their host find in `env`: a namespace for each class, and whatever else was given. */
export type EnvOf<C extends Classes, V extends object> = V & {
  readonly [K in keyof C]: C[K] extends ObjectClass<infer T>
    ? Namespace<T>
    : C[K] extends PrivateClass<infer T>
      ? PrivateNamespace<T>
      : never;
};

export interface HostOptions<C extends Classes, V extends object> {
  /** Where the objects are kept. The host closes it. */
  readonly store: Store;
  /** The classes, each by the name of its namespace. */
  readonly classes: C;
  /** What else is in `env`. */
  readonly env?: V;
  /** Names in `env` to those of namespaces in `classes`, where they are not the same. A namespace that has none is not in `env`. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** Milliseconds since the epoch, and timers; by default those of the system. */
  readonly clock?: Clock;
  readonly limits?: Partial<HostLimits>;
  /** Classes of one's own that go by value, in calls and into storage. */
  readonly types?: ValueTypes;
  /** Told of what nobody else hears of: an alarm that failed, a rejected `waitUntil`. By default it is written to the console. */
  readonly report?: Reporter;
  /**
   * Whether what the code of an object throws where nobody catches it, in a timer or a forgotten promise, breaks that object
   * instead of ending the process; true by default. It takes listeners of the process's `uncaughtException` and
   * `unhandledRejection`; what other code throws goes on as it would without them.
   */
  readonly containFaults?: boolean;
}

/** What a runtime gives a host. */
export interface Runtime {
  readonly crypto: IdCrypto;
  readonly turns: Turns;
  readonly clock: Clock;
  /** Has faults in the code of objects that nobody catches break those objects. @returns ends it. */
  contain(): () => void;
  /** Keeps the process alive, which timers of the clock do not. @returns ends it. */
  hold(): () => void;
}

/** The version of how things are stored. */
const FORMAT = 1;
const SECRET_BYTES = 32;
/** How often a host that drains looks whether all is over, in milliseconds. */
const DRAIN_MS = 20;

function pause(clock: Clock, ms: number): Promise<void> {
  return new Promise((resolve) => void clock.after(ms, resolve));
}

export class Host<C extends Classes = Classes, V extends object = object> {
  /** Each namespace by its name, and what else was given as `env`. */
  readonly env: EnvOf<C, V>;
  /** The references to its objects that were saved for outside. */
  readonly saved: SavedReferences;
  private readonly definitions = new Map<string, Definition>();
  private readonly stubs: StubOptions;
  private readonly directory: Directory;
  private readonly roots: LiveRoots;
  private readonly collector: Collector | null;
  private readonly alarms: AlarmClock;
  private readonly placement: Placement;
  private readonly clock: Clock;
  private readonly store: Store;
  private readonly fetcher: Fetcher;
  private readonly sockets: SocketTable;
  private readonly letGo: () => void;
  private readonly hold: Runtime["hold"];
  private closing: Promise<void> | null = null;

  private constructor(
    options: HostOptions<C, V>,
    runtime: Runtime,
    secrets: Secrets,
    placement: Placement,
    roots: LiveRoots,
  ) {
    const { store, types } = options;
    const limits = { ...DEFAULT_HOST_LIMITS, ...checkHostLimits(options.limits) };
    this.stubs = types === undefined ? {} : { types };
    const { definitions } = this;
    for (const [name, given] of Object.entries(options.classes)) {
      const ids = new IdMaker(name, secrets.ids, runtime.crypto);
      const collect = typeof given === "object";
      const type = collect ? given.class : given;
      definitions.set(name, { name, type, ids, bytes: namespaceBytes(name), collect });
    }
    this.roots = roots;
    this.placement = placement;
    const environment = (inside: Wrapping | null): EnvOf<C, V> => {
      const namespaces: Record<string, unknown> = {};
      for (const definition of definitions.values())
        namespaces[definition.name] = this.namespace(definition, inside);
      return {
        ...envWithin(options.env ?? {}, inside),
        ...boundAs(namespaces, options.bindings),
      } as EnvOf<C, V>;
    };
    const parts: HostParts = {
      store,
      clock: options.clock ?? runtime.clock,
      turns: runtime.turns,
      limits,
      codecs: new ValueCodecs(types, NO_STORED_REFERENCES, limits.valueBytes),
      terms: termsOf(this.stubs),
      stubs: this.stubs,
      scheduler: processScheduler(),
      placement,
      sockets: new SocketTable(this.socketEvents(() => parts)),
      roots: this.roots,
      report: options.report ?? ((error, what) => console.error(`capstan: ${what}:`, error)),
      references: {
        hook: (reference) => this.find(reference),
        value: (reference, inside) => this.revive(reference, inside),
        saver: (reference) => this.saved._saver(reference),
        restorer: () => this.saved.restorer()[HOLD](true),
      },
      environment,
    };
    this.saved = new SavedReferences({
      store,
      secretKey: secrets.saved,
      most: limits.savedReferences,
      roots: this.roots,
      now: () => parts.clock.now,
      find: (reference) => this.find(reference),
    });
    this.store = store;
    this.clock = parts.clock;
    this.sockets = parts.sockets;
    this.fetcher = fetcherUnder(this.stubs);
    this.letGo = options.containFaults === false ? () => {} : runtime.contain();
    this.hold = runtime.hold;
    this.alarms = new AlarmClock(parts, () => this.directory, definitions);
    this.directory = new Directory(parts, this.alarms);
    this.env = environment(null);
    // Of several processes none collects by itself.
    const collects = this.roots.isWatching && placement === ALL_HERE;
    this.collector = collects ? this.makeCollector(parts) : null;
  }

  /**
   * @internal See createHost.
   * @param placement where objects are, if the host is one process of several.
   * @param roots counts what this process holds of its private namespaces.
   */
  static async open<C extends Classes, V extends object>(
    options: HostOptions<C, V>,
    runtime: Runtime,
    placement = ALL_HERE,
    roots?: LiveRoots,
  ): Promise<Host<C, V>> {
    checkOptions(options);
    const { store } = options;
    const live = roots ?? new LiveRoots(privateNamespaces(options.classes));
    const secrets = await prepareStore(store, runtime.crypto);
    await checkPrivate(options);
    const host = new Host(options, runtime, secrets, placement, live);
    if (host.collector !== null) await host.collector.start();
    // What was begun is known here before anybody is activated, whoever goes on with it.
    else if (live.isWatching) live.doom((await readCollecting(store)).keys());
    await host.alarms.scan();
    return host;
  }

  /** @internal The definition of a namespace. @throws RpcError invalid-id when there is none of that name. */
  _definition(namespace: string): Definition {
    const definition = this.definitions.get(namespace);
    if (definition !== undefined) return definition;
    throw new RpcError("failed", "invalid-id", `there is no namespace ${namespace}`);
  }

  /** @internal The names of its namespaces. */
  get _namespaces(): readonly string[] {
    return [...this.definitions.keys()];
  }

  /** @internal A new reference to what `reference` leads to. @throws RpcError invalid-id for an id that no namespace has made. */
  _reach(reference: ObjectReference): ObjectHook {
    this._definition(reference.namespace).ids.fromBytes(reference.id);
    return this.find(reference) as ObjectHook;
  }

  /** @internal This process, as a collector knows it. @param arrived see {@link LocalParticipant}. */
  _participant(arrived?: () => Promise<void>): Participant {
    const { directory } = this;
    return new LocalParticipant(
      this.roots,
      {
        breakCollected: (node) => {
          const object = this.objectAt(node);
          const active = object === null ? undefined : directory.find(object.definition, object.id);
          active?.break(collectedError(active.name));
        },
        runDispose: async (node) => {
          const object = this.objectAt(node);
          if (object !== null) await directory.dispose(object.definition, object.id);
        },
      },
      arrived,
    );
  }

  /** @internal */
  get _waits(): Waits | null {
    return this.placement.waits;
  }

  /** @internal */
  get _directory(): Directory {
    return this.directory;
  }

  /** How many objects are active. */
  get activeObjects(): number {
    return this.directory.size;
  }

  /**
   * Deletes an object, with all that it stored. Who calls it, by whatever reference, is told `object-deleted`; its id is not used again.
   *
   * @param namespace the name of its namespace. @returns resolves when that is on the disk.
   * @throws RpcError invalid-argument when there is no such namespace, invalid-id, what the store fails with (as rejections).
   */
  async delete(namespace: string, id: ObjectId): Promise<void> {
    const definition = this.definitions.get(namespace);
    if (definition === undefined) {
      const message = `this host has no namespace ${namespace}`;
      throw invalidArgument(message);
    }
    await this.directory.delete(definition, definition.ids.verify(id));
  }

  /** How many WebSockets there are that objects have accepted by `ctx.acceptWebSocket`, of active objects and others. */
  get webSockets(): number {
    return this.sockets.size;
  }

  /**
   * Looks for objects of private namespaces that nobody can reach, and collects those that have been so for the grace period. A host
   * does so by itself from time to time.
   *
   * @returns what was found, and what is gone. @throws RpcError what the store fails with (as a rejection).
   * @example const { unreachable } = await host.collect({ dryRun: true });
   */
  async collect(options: CollectOptions = {}): Promise<CollectionReport> {
    return (await this.collector?.collect(options)) ?? NOTHING_COLLECTED;
  }

  /** What was collected since the host was opened. */
  get collection(): Readonly<CollectionStats> {
    return { ...(this.collector?.stats ?? newStats()) };
  }

  /** Ends: writes what objects have written, then calls under way fail, as `object-closed`, and the store is closed. */
  close(): Promise<void> {
    return (this.closing ??= this.end());
  }

  /**
   * Ends gently: no alarm is delivered any more, what runs in objects may come to its end, and then all is as with `close`. Until it
   * is done the process stays alive.
   *
   * @param timeout milliseconds that it may take; what runs for longer fails as `object-closed`. Default 30 000.
   * @throws RpcError invalid-argument when `timeout` is no time (as a rejection).
   */
  async drain(timeout?: number): Promise<void> {
    const ms = checkMs("timeout", timeout, 30_000);
    // Calls of stubs that are written down were made before this.
    makeCalls();
    const letGo = this.hold();
    try {
      await this._quiesce(ms);
      await this.close();
    } finally {
      letGo();
    }
  }

  /** @internal Delivers no alarm any more. @returns whether all that ran came to its end within `timeout` milliseconds. */
  async _quiesce(timeout: number): Promise<boolean> {
    this.alarms.stop();
    this.collector?.stop();
    let late = false;
    const stopTimer = this.clock.after(timeout, () => (late = true));
    while (!late && !this.isQuiet) await pause(this.clock, DRAIN_MS);
    stopTimer();
    return !late;
  }

  private get isQuiet(): boolean {
    for (const activation of this.directory.activations) if (!activation.isQuiet) return false;
    return true;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async end(): Promise<void> {
    this.alarms.stop();
    this.collector?.stop();
    await this.directory.close(new RpcError("disconnected", "object-closed", "the host is closed"));
    this.sockets.close();
    await this.store.close();
    this.letGo();
  }

  /** An object by its node. */
  private objectAt(node: Uint8Array): { definition: Definition; id: ObjectId } | null {
    const { namespace, id } = readNode(node);
    const definition = this.definitions.get(namespace);
    return definition === undefined || id === null ? null : { definition, id: new ObjectId(id) };
  }

  private makeCollector(parts: HostParts): Collector {
    const { definitions, roots } = this;
    const here = this._participant();
    return new Collector({
      store: parts.store,
      clock: parts.clock,
      namespaces: [...definitions.values()].filter((one) => one.collect).map(({ bytes }) => bytes),
      participants: () => [here],
      begun: 1,
      grace: parts.limits.collectGrace,
      isPrivate: (node) => roots.isPrivate(node),
      isHeld: (name) => roots.isHeld(name),
      placeOf: () => here,
      hasHook: (name) => hasDisposeHook(this.objectAt(nodeNamed(name))?.definition.type),
      sweep: () => this.saved.sweep(),
      breathe: () => new Promise((resolve) => parts.turns.after(resolve)),
      report: parts.report,
    });
  }

  private namespace(
    definition: Definition,
    inside: Wrapping | null,
  ): Namespace<object> | PrivateNamespace<object> {
    const Kind = definition.collect ? PrivateNamespace : Namespace;
    return new Kind<object>({
      ids: definition.ids,
      name: definition.name,
      stub: (id) => {
        const hook = this.reach(definition, id, null);
        return new RpcStub(inside === null ? hook : inside.take(hook), this.stubs);
      },
    });
  }

  private socketEvents(parts: () => HostParts): SocketEvents {
    return {
      get now() {
        return parts().clock.now;
      },
      report: (error, what) => parts().report(error, what),
      hold: (definition, id) => this.roots.hold([nodeOf(definition.bytes, id._bytes)]),
      holdValue: (value) => this.roots.holdValue(value),
      deliver: (definition, id, socket, event, taken) => {
        const activation = this.directory.activate(definition, id);
        return activation.deliver({
          kind: event.kind,
          run(instance) {
            taken();
            return activation.sockets.run(instance, socket, event);
          },
        });
      },
    };
  }

  private reach(definition: Definition, id: ObjectId, facet: Uint8Array | null): ObjectHook {
    const reference = { namespace: definition.name, id: id._bytes, name: id.name, facet };
    const elsewhere = this.placement.elsewhere(reference);
    const finder = elsewhere ?? {
      reference,
      activate: () => {
        const activation = this.directory.activate(definition, id);
        return facet === null ? activation : activation.facet(facet);
      },
      find: () => this.directory.find(definition, id),
    };
    const root = this.roots.holdReference(reference);
    return new ObjectHook(processScheduler(), finder, facet === null ? this.fetcher : null, root);
  }

  /** What was stored is found without a proof that its id is of the namespace: it was when it was stored. */
  private find(reference: ObjectReference): ObjectHook | BrokenHook {
    const { namespace, id, name, facet } = reference;
    const definition = this.definitions.get(namespace);
    // What is read of it by another that is collected with it must not become a reference: it would be one to nothing.
    if (definition !== undefined && this.roots.isDoomed(nodeOfReference(reference)))
      return brokenHook(collectedError(namespace), processScheduler());
    if (definition !== undefined) return this.reach(definition, new ObjectId(id, name), facet);
    const nowhere: Finder = {
      reference,
      activate() {
        throw noNamespace(namespace);
      },
      find: () => undefined,
    };
    const root = this.roots.holdReference(reference);
    return new ObjectHook(processScheduler(), nowhere, this.fetcher, root);
  }

  private revive(reference: Reference, inside: Wrapping): object {
    if (reference.id !== null) return new RpcStub(inside.take(this.find(reference)), this.stubs);
    const definition = this.definitions.get(reference.namespace);
    return definition === undefined
      ? lostNamespace(reference.namespace)
      : this.namespace(definition, inside);
  }
}

const NOTHING_COLLECTED: CollectionReport = { checked: 0, collected: [], unreachable: [] };

/** The names of those whose objects are collected. */
export function privateNames(classes: Classes): string[] {
  return Object.keys(classes).filter((name) => typeof classes[name] === "object");
}

/** The same, as they are in keys. */
export function privateNamespaces(classes: Classes): Uint8Array[] {
  return privateNames(classes).map(namespaceBytes);
}

/** Those whose classes have something to be run before an object is gone. */
export function hookedNames(classes: Classes): string[] {
  return privateNames(classes).filter((name) =>
    hasDisposeHook((classes[name] as PrivateClass).class),
  );
}

function hasDisposeHook(type: ObjectClass | undefined): boolean {
  const prototype = (type?.prototype ?? {}) as Disposes;
  return [prototype[Symbol.asyncDispose], prototype[Symbol.dispose]].some(Boolean);
}

/** Before anything is opened or stored. @throws RpcError invalid-argument, naming the option. */
function checkOptions(options: HostOptions<Classes, object> | undefined): void {
  const { store, classes, limits }: Partial<HostOptions<Classes, object>> = options ?? {};
  if (typeof store?.write !== "function")
    throw wrongArgument(
      "store of a host must be a Store, as new MemoryStore() or await openLmdbStore(directory)",
      store,
    );
  if (typeof classes !== "object" || classes === null)
    throw wrongArgument("classes of a host must be an object of classes by their names", classes);
  for (const [name, given] of Object.entries(classes)) {
    const isPrivate = typeof given === "object" && given !== null;
    const isClass = typeof (isPrivate ? given.class : given) === "function";
    if (!isClass || (isPrivate && !given.collect))
      throw wrongArgument(`classes.${name} must be a class, or { class, collect: true }`, given);
  }
  checkHostLimits(limits);
}

/** @throws RpcError invalid-argument for a namespace that is to be private and cannot be. */
async function checkPrivate({
  store,
  classes,
}: Pick<HostOptions<Classes, object>, "store" | "classes">): Promise<void> {
  const refused = await declarePrivate(store, privateNamespaces(classes));
  if (refused === null) return;
  const name = new TextDecoder().decode(refused.subarray(1));
  const message = `the namespace ${name} has objects from when it was not private: whoever knows their ids would lose them`;
  throw invalidArgument(message);
}

function noNamespace(name: string): RpcError {
  return lost(`this host has no namespace ${name}`);
}

/** One whose every use fails; stored again, it is the same. */
function lostNamespace(name: string): object {
  return new Namespace({
    name,
    get ids(): never {
      throw noNamespace(name);
    },
    stub() {
      throw noNamespace(name);
    },
  });
}

/** What a host knows that nobody else does. */
export interface Secrets {
  /** What ids are made with. */
  readonly ids: Uint8Array;
  /** Who it is to the owners of saved references. */
  readonly saved: Uint8Array;
}

/** @param namespaces by their own names. @returns those that code sees, by the names it knows. */
function boundAs(
  namespaces: Readonly<Record<string, unknown>>,
  bindings: HostOptions<Classes, object>["bindings"],
): Readonly<Record<string, unknown>> {
  if (bindings === undefined) return namespaces;
  return Object.fromEntries(
    Object.entries(bindings).map(([name, namespace]) => [name, namespaces[namespace]]),
  );
}

/**
 * Makes a new store ours, or checks that it is.
 *
 * @internal
 * @throws RpcError storage-version when a later version of this library has written it; what the store fails with.
 */
export async function prepareStore(store: Store, crypto: IdCrypto): Promise<Secrets> {
  try {
    const format = await store.get(metaKey("format"));
    if (format !== undefined && (format.length !== 1 || format[0] !== FORMAT)) {
      const message = `the data is of format ${format.join(".")}, and this version reads ${FORMAT}`;
      throw new RpcError("failed", "storage-version", message);
    }
    const known = await secretsIn(store);
    if (format !== undefined && known !== null) return known;
    // Others in their place, and nobody would find an object again.
    if ((await store.range({ ...ALL_OBJECTS, limit: 1 })).length > 0) {
      const message =
        "the database is damaged: it has objects, but not the secret that their ids are made with";
      throw new RpcError("failed", "storage-corrupt", message);
    }
    const fresh = [
      { key: metaKey("format"), value: Uint8Array.of(FORMAT) },
      { key: metaKey("secret"), value: crypto.random(SECRET_BYTES) },
      { key: metaKey("saved"), value: crypto.random(SECRET_BYTES) },
    ];
    // Another process may do the same at this moment: what is there first stays.
    const missing: DerivedWrite = {
      derive: (view) => fresh.filter(({ key }) => view.get(key) === undefined),
    };
    await store.write([missing]).flushed;
    return (await secretsIn(store))!;
  } catch (thrown) {
    throw storeFailure(thrown);
  }
}

async function secretsIn(store: Store): Promise<Secrets | null> {
  const ids = await store.get(metaKey("secret"));
  const saved = await store.get(metaKey("saved"));
  return ids === undefined || saved === undefined ? null : { ids, saved };
}
