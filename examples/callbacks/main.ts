// A server that calls its client back: a plain function for the progress of a job, an object that is asked for decisions.
// node build/programs/examples/callbacks/main.js

import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";

/** What the client gives: an object of its own, called by the server while the job runs. */
abstract class Reviewer extends RpcTarget {
  abstract accept(item: string): boolean;
}

class Sorter extends RpcTarget {
  /** Params are lent for the call: nothing is kept, so there is nothing to dispose. */
  async sort(
    items: string[],
    reviewer: RpcStub<Reviewer>,
    progress: RpcStub<(done: number, of: number) => void>,
  ): Promise<string[]> {
    const accepted: string[] = [];
    for (const [at, item] of items.entries()) {
      if (await reviewer.accept(item)) accepted.push(item);
      void progress(at + 1, items.length); // not awaited: it arrives before the answer all the same
    }
    return accepted.sort();
  }
}

await using listener = await listen("tcp://:0", { bootstrap: serve(new Sorter()) });
await using session = await connect(listener.url);
using sorter = session.bootstrap(RpcStub<Sorter>);

class ShortWords extends Reviewer {
  accept(item: string): boolean {
    return item.length <= 5;
  }
}

const sorted = await sorter.sort(["pear", "pineapple", "apple"], new ShortWords(), (done, of) =>
  console.log(`${done} of ${of}`),
);
console.log(sorted.join(", "));

// What a callback throws fails the call that made it, at the server, and so the call that gave it.
class Undecided extends Reviewer {
  accept(item: string): boolean {
    throw new Error(`${item}? I cannot say`);
  }
}
try {
  await sorter.sort(["pear"], new Undecided(), () => {});
} catch (error) {
  console.log((error as Error).message);
}
