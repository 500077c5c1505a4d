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

interface Entry {
  readonly ref: WeakRef<Watched>;
  readonly kind: Leak["kind"];
  readonly made: number;
  readonly stack: string | undefined;
}

let sample = -1;
let count = 0;
let alive = new Map<number, Entry>();
let lastId = 0;

/**
 * Watches stubs from now on, for {@link leaks} and for errors that say where a stub was disposed. For debugging and tests:
 * it costs some microseconds a stub.
 *
 * @param options `stacks`: of how many stubs one has its stack noted; 1, the default, for each, 0 for none. False to stop.
 * @example
 * watchStubs();
 * // ...
 * for (const { age, peer, stack } of leaks()) console.warn(`of ${peer}, not disposed for ${age} ms`, stack);
 */
export function watchStubs(options: { readonly stacks?: number } | false = {}): void {
  sample = options === false ? -1 : (options.stacks ?? 1);
  alive = new Map();
}

/** The stubs made since {@link watchStubs} that are neither disposed nor collected. */
export function leaks(): Leak[] {
  const now = Date.now();
  const found: Leak[] = [];
  for (const [id, { ref, kind, made, stack }] of alive) {
    const stub = ref.deref();
    if (stub === undefined) alive.delete(id);
    else found.push({ kind, peer: stub.peer, age: now - made, stack });
  }
  return found;
}

/** Notes a stub. @returns its number, for {@link noteDisposed}; 0 when stubs are not watched. */
export function noteMade(stub: Watched, kind: Leak["kind"]): number {
  if (sample < 0) return 0;
  const stack = sample > 0 && count++ % sample === 0 ? stackHere() : undefined;
  alive.set(++lastId, { ref: new WeakRef(stub), kind, made: Date.now(), stack });
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
