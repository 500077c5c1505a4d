// Role: one of the two steps of a transaction, committed or flushed, that a store will come to or fail at.
// State: the promise of it. Must not know: which store, which step.

export interface Milestone {
  readonly promise: Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** One that is to come. */
export function milestone(): Milestone {
  let resolve!: () => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<void>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  // Who does not ask how far a transaction is need not hear that it failed.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
