// A host over LMDB that says what is stored, then writes, and says of each write when it is answered, until it is killed.
// One line of JSON when it is ready; after a line on standard input, one `name count` for each answer.

import fs from "node:fs";
import {
  createHost,
  DurableObject,
  type Namespace,
  openLmdbStore,
} from "../../../src/host.node.js";

const OBJECTS = ["a", "b", "c", "d"];
const KEPT = 4;

export class Writer extends DurableObject<{ WRITERS: Namespace<Writer> }> {
  /** Writes that belong together, in two runs: the second is another transaction. */
  async step(): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    const { storage } = this.ctx;
    void storage.put("count", count);
    void storage.put(`left:${count}`, "x".repeat(count % 5000));
    void storage.put(`right:${count}`, count);
    void storage.delete([`left:${count - KEPT}`, `right:${count - KEPT}`]);
    return count;
  }

  /** The count, and the numbers of both halves that are there. */
  async state(): Promise<{ count: number; left: number[]; right: number[] }> {
    const numbers = async (prefix: string): Promise<number[]> => {
      const found = await this.ctx.storage.list({ prefix });
      return [...found.keys()].map((key) => Number(key.slice(prefix.length)));
    };
    const count = (await this.ctx.storage.get<number>("count")) ?? 0;
    return { count, left: await numbers("left:"), right: await numbers("right:") };
  }
}

const say = (text: string): void => void fs.writeSync(1, `${text}\n`);

const host = await createHost({
  store: await openLmdbStore(process.argv[2]!),
  classes: { WRITERS: Writer },
});
const stub = (name: string) => host.env.WRITERS.getByName(name);
const states = await Promise.all(OBJECTS.map((name) => stub(name).state()));
say(JSON.stringify(Object.fromEntries(OBJECTS.map((name, i) => [name, states[i]]))));

process.stdin.once("data", () => {
  for (const name of OBJECTS) {
    const writer = stub(name);
    const go = (): void => {
      void writer.step().then((count) => {
        say(`${name} ${count}`);
        go();
      });
    };
    for (let i = 0; i < 4; i++) go();
  }
});
