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
  /** Where it was made, if that was noted: a stack as text. */
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

interface Entry {
  readonly ref: WeakRef<Watched>;
  readonly kind: Leak["kind"];
  readonly peer: string | undefined;
  readonly made: number;
  readonly stack: string | undefined;
}

let sample = -1;
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
  sample = options === false ? -1 : (options.stacks ?? 1);
  listener = options === false ? undefined : options.onCollected;
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

/** Notes a stub. @returns its number, for {@link noteDisposed}; 0 when stubs are not watched. */
export function noteMade(stub: Watched, kind: Leak["kind"]): number {
  if (sample < 0) return 0;
  const stack = sample > 0 && count++ % sample === 0 ? stackHere() : undefined;
  const ref = new WeakRef(stub);
  alive.set(++lastId, { ref, kind, peer: stub.peer, made: Date.now(), stack });
  collector.register(stub, lastId);
  return lastId;
}

/** @returns where the program is, to be told to who uses the stub later; undefined when stubs are not watched. */
export function noteDisposed(id: number): string | undefined {
  if (id !== 0) alive.delete(id);
  return sample > 0 ? stackHere() : undefined;
}

function stackHere(): string {
  const stack = new Error("here").stack ?? "";
  // Without the message, and the lines of this layer.
  return stack
    .split("\n")
    .slice(1)
    .filter((line) => !/[\\/]cap[\\/]dynamic[\\/](?!.*\.test\.)/.test(line))
    .join("\n");
}
