// Role: the calls of one turn: made in the order they were written down, once it is known what becomes of their results.
// State: the calls that wait for the end of the turn. Must not know: what a call is.
//
// Why a call is not sent where it is written. `await stub.room()` wants a value; `stub.room().post("hi")` wants something
// to call, and no value; and until the next token of the program nobody can tell. Sent at once, each call would have to
// ask for both. A microtask later it is known, the connection would not have written anything before that anyway, and
// order is kept by keeping all calls in one queue: none can pass another, whatever it is called on.

import { RpcError } from "../../base/errors.js";
import type { Endable } from "../call-options.js";

/** A call that has been written down and not been made. */
export interface Waiting extends Endable {
  make(): void;
}

let queue: Waiting[] = [];
let asked = false;
const SETTLED: Promise<void> = /* @__PURE__ */ Promise.resolve();

/** Makes `call` at the end of the turn, or as soon as something has to come after it. */
export function atTurnEnd(call: Waiting): void {
  queue.push(call);
  if (asked) return;
  asked = true;
  void SETTLED.then(endTurn);
}

function endTurn(): void {
  asked = false;
  makeCalls();
}

/** Makes every call that was written down until now. What is said next, a Return perhaps, comes behind them. */
export function makeCalls(): void {
  while (queue.length > 0) {
    const calls = queue;
    queue = [];
    for (const call of calls) {
      try {
        call.make();
      } catch (thrown) {
        // Such as for a stub that was disposed meanwhile. The calls behind it are made all the same.
        call.end(() => RpcError.from(thrown));
      }
    }
  }
}
