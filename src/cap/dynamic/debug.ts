// Role: who made a stub, and who disposed it: for finding what was not given back, and what was used too late.
// State: whether stubs are watched, and those alive while they are. Must not know: calls.

/** One stub that nobody has disposed. */
export interface Leak {
  /** What the stub stands for, as far as is known. */
  readonly kind: "stub" | "promise";
  /** Whose object it stands for, as far as is known by now: the name of the transport. Undefined for an object of this process. */
  readonly peer: string | undefined;
  /** Milliseconds since it was made. */
  readonly age: number;
  /** Where it was made, or the call that it was the result of, if that was noted: a stack as text. */
  readonly stack: string | undefined;
}

/** What is watched. */
export interface Watched {
  /** Whose object it stands for. */
  readonly peer: string | undefined;
}

/** How stubs are watched. */
export interface WatchOptions {
  /** Of how many stubs one has its stack noted; 1, the default, for each, 0 for none. */
  readonly stacks?: number;
  /**
   * Told of each stub that the garbage collector found, since nobody had disposed it: when it does, if ever. Its `peer` is that
   * of when it was made. Must not throw.
   */
  readonly onCollected?: (leak: Leak) => void;
}

/** What stubs come of: a call, perhaps. */
export interface Asker {
  /** Where the call was written; null if that is not noted, undefined for no call. */
  readonly askedAt?: Error | null;
}

interface Entry {
  readonly ref: WeakRef<Watched>;
  readonly kind: Leak["kind"];
  readonly peer: string | undefined;
  readonly made: number;
  readonly stack: string | undefined;
}

/** Whether stubs are. Where nobody can have them watched, as in the bundle for browsers, nothing of all this is left. */
export let watching = false;
let sample = 1;
let count = 0;
let alive = new Map<number, Entry>();
let lastId = 0;
let listener: WatchOptions["onCollected"];

const collector = /* @__PURE__ */ new FinalizationRegistry<number>((id) => {
  const entry = alive.get(id);
  if (entry === undefined) return; // disposed, or not watched any more
  alive.delete(id);
  listener?.(leakOf(entry, entry.peer));
});

/**
 * Watches stubs from now on, for {@link leaks}, for `onCollected`, and for errors that say where a stub was disposed. For
 * debugging and tests: it costs some microseconds a stub.
 *
 * @param options False to stop.
 * @example
 * watchStubs({ onCollected: ({ kind, stack }) => console.warn(`a ${kind} was forgotten`, stack) });
 * // ...
 * for (const { age, peer, stack } of leaks()) console.warn(`of ${peer}, not disposed for ${age} ms`, stack);
 */
export function watchStubs(options: WatchOptions | false = {}): void {
  watching = options !== false;
  if (options !== false) {
    sample = options.stacks ?? 1;
    listener = options.onCollected;
  }
  alive = new Map();
}

/** The stubs made since {@link watchStubs} that are neither disposed nor collected. */
export function leaks(): Leak[] {
  const found: Leak[] = [];
  for (const entry of alive.values()) {
    const stub = entry.ref.deref();
    if (stub !== undefined) found.push(leakOf(entry, stub.peer));
  }
  return found;
}

function leakOf({ kind, made, stack }: Entry, peer: string | undefined): Leak {
  return { kind, peer, age: Date.now() - made, stack };
}

/** Where a call is written, for the stubs that come of it: nothing of the program is left on the stack when they do. */
export function noteAsked(): Error | null {
  return sample > 0 && count++ % sample === 0 ? new Error("here") : null;
}

/**
 * Notes a stub, while stubs are watched.
 * @param asker what it came of. @returns its number, for {@link noteDisposed}.
 */
export function noteMade(stub: Watched, kind: Leak["kind"], asker?: Asker): number {
  const site = asker?.askedAt === undefined ? noteAsked() : asker.askedAt;
  const stack = site === null ? undefined : textOf(site);
  const ref = new WeakRef(stub);
  alive.set(++lastId, { ref, kind, peer: stub.peer, made: Date.now(), stack });
  collector.register(stub, lastId);
  return lastId;
}

/** @param id 0 for one that was not noted. @returns where the program is, to be told to who uses the stub later. */
export function noteDisposed(id: number): string | undefined {
  alive.delete(id);
  return sample > 0 ? textOf(new Error("disposed")) : undefined;
}

function textOf({ stack = "" }: Error): string {
  // Without the message, and the lines of this layer.
  return stack
    .split("\n")
    .slice(1)
    .filter((line) => !/[\\/]cap[\\/]dynamic[\\/](?!.*\.test\.)/.test(line))
    .join("\n");
}
