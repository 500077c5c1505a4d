// Role: a host of several processes: owns the data directory, keeps a process for the objects of each slot and one for the front.
// State: the store's lock, the processes, the connections that wait for the front, which objects are to blame for what.
// Must not know: modules, HTTP, what objects do.

import net from "node:net";
import { invalidArgument, wrongArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import { listenFailed } from "../../transport/connect-hints.js";
import { checkMost, checkMs } from "../../transport/transport.js";
import type { Listener } from "../../vat/listen.node.js";
import type { CollectionReport, CollectOptions } from "../collect/collector.js";
import type { CollectionStats } from "../collect/stats.js";
import { IdMaker, type ObjectId } from "../object/ids.js";
import { prepareStore } from "../object/host.js";
import { checkHostLimits, type HostLimits, type Reporter } from "../object/parts.js";
import { nodeRuntime } from "../object/runtime.node.js";
import { openLmdbStore } from "../storage/lmdb-store.node.js";
import type { Store } from "../storage/store.js";
import { Blames, nameOf } from "./blames.js";
import { Child, type ChildEnd } from "./child.node.js";
import { type Controlled, listenForControl, type Processes } from "./control.node.js";
import { CycleSearch } from "./cycle-search.js";
import { inTime } from "./in-time.node.js";
import { HostCollection } from "./collection.node.js";
import { fence } from "./fence.js";
import { Inspector, strayNamespaces } from "./inspect.js";
import { KeptProcess } from "./kept-process.node.js";
import type { CollectedParts, HostFacts, Question } from "./messages.js";
import { placementOf } from "./object-process.node.js";
import { LEFTOVER_TIME, slotsFree } from "./paths.node.js";
import type { AnyNamespaces } from "./program.node.js";
import { RemoteHost } from "./remote-host.js";
import { MOST_SLOTS, slotOf } from "./slots.js";

/** A program to run; see {@link HostProgram}. */
export interface ProgramSource {
  /** The URL of its module. */
  readonly program: string;
  /** What it is given: JSON. */
  readonly data?: unknown;
}

/** An address of TCP. */
export interface ListenAt {
  readonly port: number;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/** A connection that waits for the front. */
interface Waiting {
  readonly socket: net.Socket;
  /** Which of the addresses it came to. */
  readonly at: number;
}

export interface StartOptions extends ProgramSource {
  /** Where the objects are kept; made when it is missing. One host at a time has it. */
  readonly directory: string;
  /** How many processes run objects. Default 1. */
  readonly processes?: number;
  /**
   * Where connections for the front are accepted, at one address or several; by default there is no front. Port 0 takes any free
   * one.
   */
  readonly listen?: ListenAt | readonly ListenAt[];
  /** How many connections the front may have at a time, and how many may wait for it; more are closed as they come. Default 10 000. */
  readonly connections?: number;
  readonly limits?: Partial<HostLimits>;
  /** Milliseconds that calls wait for an object process that is not there. Default 30 000. */
  readonly reachTime?: number;
  /** Milliseconds for which an object's code may run without yielding; then its process is replaced. Default 10 000; 0: for ever. */
  readonly yieldTime?: number;
  /** Milliseconds that what runs may take when a process is to end. Default 10 000. */
  readonly drainTime?: number;
  /** Told of what nobody else hears of: processes that ended, objects that are to blame. By default it is written to the console. */
  readonly report?: Reporter;
  /** Told of each process that begins its work. @param slot whose objects it runs; null for the front. */
  readonly started?: (slot: number | null, pid: number) => void;
  /** @internal The file of child-main, where it is not beside this one. */
  readonly _entry?: URL;
}

/** How many connections are served at a time, where nothing else was said. */
export const DEFAULT_CONNECTIONS = 10_000;

/** A host of several processes. @typeParam E its namespaces, by their names. */
export class HostServer<E extends object = AnyNamespaces> {
  private readonly options: StartOptions;
  private readonly store: Store;
  private readonly secret: Uint8Array;
  private readonly slots: KeptProcess[] = [];
  private readonly blames = new Blames();
  private readonly cycles = new CycleSearch(() =>
    this.slots.flatMap(({ serving }) => serving ?? []),
  );
  private readonly waiting: Waiting[] = [];
  private passing = false;
  /** The names of the program's. */
  private namespaces: readonly string[] = [];
  /** Names that were public in some version of the program. */
  private readonly known = new Set<string>();
  private collected: CollectedParts = { namespaces: [], hooked: [], limits: {} };
  private readonly collecting: HostCollection;
  private source: ProgramSource;
  private front: KeptProcess | null = null;
  private readonly servers: net.Server[] = [];
  private remote: RemoteHost | null = null;
  private control: Listener | null = null;
  private ending: Promise<void> | null = null;
  private replacing: Promise<void> = Promise.resolve();

  private constructor(options: StartOptions, store: Store, secret: Uint8Array) {
    this.options = options;
    this.source = options;
    this.store = store;
    this.secret = secret;
    this.collecting = new HostCollection({
      store,
      clock: nodeRuntime().clock,
      arrived: () => fence(this.remote?.placement.sessions() ?? []),
      placeOf: (id) => this.slots[slotOf(id, this.slots.length)]?.serving ?? null,
      report: (error, what) => this.report(RpcError.from(error), what),
    });
  }

  /** @internal See startHost. */
  static async start<E extends object = AnyNamespaces>(
    options: StartOptions,
  ): Promise<HostServer<E>> {
    checkOptions(options);
    const processes = options.processes ?? 1;
    if (!Number.isInteger(processes) || processes < 1 || processes > MOST_SLOTS) {
      const message = `a host has 1 to ${MOST_SLOTS} object processes, not ${String(processes)}`;
      throw invalidArgument(message);
    }
    const store = await openLmdbStore(options.directory);
    try {
      await slotsFree(options.directory, LEFTOVER_TIME);
      const { ids } = await prepareStore(store, nodeRuntime().crypto);
      const server = new HostServer<E>(options, store, ids);
      await server.open(processes);
      return server;
    } catch (thrown) {
      await store.close();
      throw thrown;
    }
  }

  /** A namespace for each class of the program, for this process. Stubs reach objects as those of the front do. */
  get env(): E {
    return this.remote!.env as E;
  }

  /** Where connections for the front are accepted; null without a front. Of several addresses the first. */
  get address(): net.AddressInfo | null {
    return this.addresses[0] ?? null;
  }

  /** All of those, in the order of `listen`. */
  get addresses(): readonly net.AddressInfo[] {
    return this.servers.map((server) => server.address() as net.AddressInfo);
  }

  /** The processes that run objects, by their slots, and the one of the front; null where there is none now. */
  get processes(): Processes {
    const pid = (one: KeptProcess | null): number | null => one?.serving?.pid ?? null;
    return { objects: this.slots.map(pid), front: pid(this.front) };
  }

  /**
   * Has another program take over, or a new version of the same: slot by slot, then the front. Running calls come to their end in the
   * old processes, within `drainTime`; calls of new stubs wait for the new ones. An object is never in both.
   *
   * @throws RpcError what the new program fails with when it is loaded (as a rejection): then the old one stays.
   */
  reload(source?: ProgramSource): Promise<void> {
    // The same as whichever is there by then.
    const done = this.replacing.then(() => this.takeOver(source ?? this.source));
    this.replacing = done.catch(() => {});
    return done;
  }

  /**
   * Ends gently: no request is accepted any more, what runs comes to its end or is cut off after `drainTime` as `disconnected`,
   * and everything is on the disk.
   *
   * @param timeout milliseconds, in the place of `drainTime`. @throws RpcError invalid-argument when it is no time (as a rejection).
   */
  async drain(timeout?: number): Promise<void> {
    const ms = checkMs("timeout", timeout, this.drainTime);
    await (this.ending ??= this.end(ms));
  }

  /** The same, with no time for what runs. */
  close(): Promise<void> {
    return this.drain(0);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Deletes an object, wherever it is, with all that it stored. Who calls it, by whatever reference, is told `object-deleted`; its id is
   * not used again.
   *
   * @param namespace the name of its namespace. @returns resolves when that is on the disk.
   * @throws RpcError invalid-argument when the program has no such namespace, invalid-id, process-lost, what the store fails with (as
   *   rejections).
   */
  async delete(namespace: string, id: ObjectId): Promise<void> {
    if (!this.namespaces.includes(namespace)) {
      const message = `this host has no namespace ${namespace}`;
      throw invalidArgument(message);
    }
    await this.remove(namespace, this.idsOf(namespace).verify(id), true);
  }

  /**
   * Looks for objects of private namespaces that nobody in any process can reach, and collects those that have been so for the grace
   * period. The host does so by itself from time to time.
   *
   * @returns what was found, and what is gone.
   * @throws RpcError process-lost, deadline-exceeded when a process does not answer; what the store fails with (as a rejection).
   * @example const { unreachable } = await host.collect({ dryRun: true });
   */
  collect(options: CollectOptions = {}): Promise<CollectionReport> {
    return this.collecting.collect(options);
  }

  /** What was collected since the host was started. */
  get collection(): Readonly<CollectionStats> {
    return this.collecting.stats;
  }

  /** @internal Namespaces of which objects are stored, and which the program does not have. */
  _strayNamespaces(): Promise<string[]> {
    return strayNamespaces(this.store, this.namespaces);
  }

  private idsOf(namespace: string): IdMaker {
    return new IdMaker(namespace, this.secret, nodeRuntime().crypto);
  }

  private slotOf(id: ObjectId): number {
    return slotOf(id._bytes, this.slots.length);
  }

  /** @returns whether it was active. */
  private async remove(namespace: string, id: ObjectId, forGood: boolean): Promise<boolean> {
    const text = id.toString();
    if (this.namespaces.includes(namespace)) {
      const what = forGood ? "delete" : "clear";
      return (await this.ask(this.slotOf(id), { what, namespace, id: text })) as boolean;
    }
    // Of a namespace that the program does not have any more: no process knows it, and none can have it active.
    const inspector = new Inspector(this.store, this.secret, nodeRuntime().crypto);
    await inspector.remove(namespace, { id: text }, forGood);
    return false;
  }

  /** Asks the process of a slot. @throws RpcError process-lost when it is not there (as a rejection). */
  private async ask(slot: number, question: Question): Promise<unknown> {
    const child = this.slots[slot]?.serving ?? null;
    if (child === null)
      throw new RpcError("disconnected", "process-lost", `slot ${slot} has no process now`);
    return child.ask(question);
  }

  // -- Processes -----------------------------------------------------------------------------------------------------

  private get drainTime(): number {
    return this.options.drainTime ?? 10_000;
  }

  private get facts(): HostFacts {
    const { options, source } = this;
    return {
      directory: options.directory,
      slots: options.processes ?? 1,
      secret: Buffer.from(this.secret).toString("hex"),
      program: source.program,
      data: source.data ?? null,
      limits: checkHostLimits(options.limits),
      publicNamespaces: [...this.known],
      // JSON has no Infinity.
      connections: Math.min(options.connections ?? DEFAULT_CONNECTIONS, Number.MAX_SAFE_INTEGER),
      reachTime: options.reachTime ?? 30_000,
      yieldTime: options.yieldTime ?? 10_000,
    };
  }

  private async open(processes: number): Promise<void> {
    try {
      for (let slot = 0; slot < processes; slot++) this.slots.push(this.keep(`slot ${slot}`, slot));
      const started = await Promise.allSettled(this.slots.map((slot) => slot.start()));
      for (const one of started) if (one.status === "rejected") throw one.reason;
      await this.remember();
      this.control = await listenForControl(this.options.directory, this.controlled);
      const { listen } = this.options;
      if (listen !== undefined) await this.openFront([listen].flat());
    } catch (thrown) {
      await this.drain(0);
      throw thrown;
    }
  }

  private keep(name: string, slot: number | null): KeptProcess {
    const entry = this.options._entry ?? new URL("./child-main.node.js", import.meta.url);
    return new KeptProcess({
      name,
      exclusive: slot !== null,
      launch: () => {
        const child = new Child(entry, slot, this.facts);
        this.collecting.add(child);
        child.onStuck = () => this.cycles.look();
        if (slot === 0)
          child.loaded.then(({ namespaces, collected }) => {
            this.namespaces = namespaces;
            this.collected = collected;
            for (const name of namespaces)
              if (!collected.namespaces.includes(name)) this.known.add(name);
          }, ignore);
        return child;
      },
      refused: () => this.blames.refused(Date.now()),
      ended: (end) => this.ended(name, end),
      failed: (error) => this.report(error, name),
      serving: (child) => {
        this.options.started?.(slot, child.pid!);
        if (slot === null) void this.pass();
      },
    });
  }

  private get controlled(): Controlled {
    return {
      processes: () => this.processes,
      has: (namespace) => this.namespaces.includes(namespace),
      slotOf: (namespace, id) => this.slotOf(this.idsOf(namespace).fromString(id)),
      ask: (slot, question) => this.ask(slot, question),
      collect: (dryRun) => this.collect({ dryRun }),
      remove: async (namespace, id, forGood) =>
        this.remove(namespace, this.idsOf(namespace).fromString(id), forGood),
      reload: () => this.reload(),
    };
  }

  /** Makes `env` what the program has now, and has collected what that has private. */
  private async remember(): Promise<void> {
    const runtime = nodeRuntime();
    const before = this.remote;
    const { roots } = this.collecting;
    this.remote = new RemoteHost({
      namespaces: this.namespaces,
      collected: this.collected.namespaces,
      roots,
      secret: this.secret,
      crypto: runtime.crypto,
      placement: before?.placement ?? placementOf(this.facts, null, runtime, roots, null),
    });
    await this.collecting.use(this.collected);
  }

  /** @returns whether an object is to blame, and not the process. */
  private ended(name: string, { how, stack, blame }: ChildEnd): boolean {
    if (blame === null) {
      const message = `the process ended: ${how}`;
      this.report(new RpcError("disconnected", "process-lost", message, { trace: stack }), name);
      return false;
    }
    const { times, refusal } = this.blames.note(blame, Date.now());
    const then = refusal === 0 ? "" : `, and is refused for ${refusal} ms`;
    const message = `the object ${nameOf(blame)} ended the process: ${blame.deed} (${times} times now)${then}`;
    const trace = blame.stack ?? "";
    this.report(new RpcError("disconnected", "process-lost", message, { trace }), name);
    return true;
  }

  private report(error: RpcError, what: string): void {
    const { report } = this.options;
    if (report !== undefined) report(error, what);
    else console.error(`capstan: ${what}: ${error.message}${error.trace && `\n${error.trace}`}`);
  }

  private async takeOver(source: ProgramSource): Promise<void> {
    if (this.ending !== null)
      throw new RpcError("failed", "invalid-state", "the host is about to end");
    const before = this.source;
    this.source = source;
    let replaced = 0;
    try {
      for (const slot of this.slots) {
        await slot.replace(this.drainTime);
        replaced++;
      }
    } catch (thrown) {
      // Nothing was touched yet.
      if (replaced === 0) this.source = before;
      throw thrown;
    }
    await this.remember();
    await this.front?.replace(this.drainTime);
  }

  private async end(timeout: number): Promise<void> {
    const end = performance.now() + timeout;
    const left = (): number => Math.max(0, end - performance.now());
    this.collecting.stop();
    for (const server of this.servers) server.close();
    for (const { socket } of this.waiting.splice(0)) socket.destroy();
    await this.control?.close();
    await this.front?.drain(timeout);
    await this.remote?.close(left());
    // Objects of one slot may still need those of another: all come to rest before any of them stops to listen.
    const quiesce = { what: "quiesce", timeout: left() } as const;
    const resting = this.slots.map(async (slot) => slot.serving?.ask(quiesce));
    await inTime(Promise.all(resting), left());
    await Promise.all(this.slots.map((slot) => slot.drain(left())));
    await this.collecting.settled();
    await this.store.close();
  }

  // -- Connections for the front -------------------------------------------------------------------------------------

  private async openFront(listen: readonly ListenAt[]): Promise<void> {
    // Not the listening socket is handed over but each connection: none is refused while a front takes the place of another.
    const servers = listen.map((_, at) =>
      net.createServer({ pauseOnConnect: true }, (socket) => this.arrived({ socket, at })),
    );
    const front = this.keep("front", null);
    await front.start();
    this.front = front;
    for (const [at, server] of servers.entries()) {
      const { port, host = "127.0.0.1" } = listen[at]!;
      const url = `tcp://${host}:${port}`;
      await new Promise<void>((resolve, reject) => {
        server.once("error", (cause) => reject(listenFailed(url, cause)));
        server.listen({ port, host }, resolve);
      });
      this.servers.push(server);
      // No more files to open, perhaps: those who wait are still served.
      server.on("error", (cause) => this.report(listenFailed(url, cause), "front"));
    }
  }

  private arrived(waiting: Waiting): void {
    const { socket } = waiting;
    // Whoever hangs up while he waits concerns nobody.
    socket.on("error", ignore);
    // Who came before is not closed for who comes now.
    if (this.waiting.length >= this.facts.connections) return void socket.destroy();
    this.waiting.push(waiting);
    void this.pass();
  }

  /** Hands over one connection after the other: those that a front has not taken when it ends are the next one's. */
  private async pass(): Promise<void> {
    if (this.passing) return;
    this.passing = true;
    while (this.waiting.length > 0) {
      const child = this.front?.serving ?? null;
      // One that has just died is there until its end is known.
      if (child === null || !child.isConnected) break;
      const next = this.waiting.shift()!;
      if (await child.accept(next.socket, next.at)) continue;
      if (this.ending === null) this.waiting.unshift(next);
      else next.socket.destroy();
    }
    this.passing = false;
  }
}

function ignore(): void {}

/** Before anything is opened. @throws RpcError invalid-argument, naming the option. */
function checkOptions(options: StartOptions | undefined): void {
  const { directory, program, ...rest }: Partial<StartOptions> = options ?? {};
  if (typeof directory !== "string" || directory === "")
    throw wrongArgument("directory of a host must be the path of a directory", directory);
  if (typeof program !== "string" || program === "")
    throw wrongArgument("program of a host must be the URL of a module, as a string", program);
  checkHostLimits(rest.limits);
  checkMost("connections", rest.connections, 0);
  for (const name of ["reachTime", "yieldTime", "drainTime"] as const) checkMs(name, rest[name], 0);
}
