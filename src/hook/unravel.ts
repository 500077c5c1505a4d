// Role: keeps the stack flat where letting one thing go lets the next go, and others decide how long that chain is.
// State: how deep it goes just now, and what waits for the stack to unwind. Must not know: what is let go.

/** What may let others go in turn. */
export interface Unravels {
  /** Lets go, unless somebody holds it again by now. */
  unravel(): void;
}

/** How deep one step may lead to the next: beyond, they are taken one after the other. */
const DEEPEST = 100;
let depth = 0;
const waiting: Unravels[] = [];

/**
 * Has `one` let go, now or, when this is deep inside of others that do, before the first of those returns. A peer decides how
 * long a chain of promises or of pipelined calls is, and must not overflow the stack by that (C-HOS-09, C-PIP-11).
 */
export function unravel(one: Unravels): void {
  if (depth === DEEPEST) {
    waiting.push(one);
    return;
  }
  step(one);
  while (depth === 0 && waiting.length > 0) step(waiting.pop()!);
}

function step(one: Unravels): void {
  depth++;
  try {
    one.unravel();
  } finally {
    depth--;
  }
}
