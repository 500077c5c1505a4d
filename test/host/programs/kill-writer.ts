// A host over LMDB that says what is stored, then writes, and says of each write when it is answered, until it is killed.
// One line of JSON when it is ready; after a line on standard input, one `name count` for each answer.

import fs from "node:fs";
import { createHost, openLmdbStore } from "../../../src/host.node.js";
import { Writer } from "../writer.js";

const OBJECTS = ["a", "b", "c", "d"];

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
