// Writes to a store until nothing more fits, then something small; says as JSON what was safe before and after, and what failed. When it
// is told what to remove for more room, it then writes again until that is safe.

import fs from "node:fs";
import { openLmdbStore } from "../../../src/host.node.js";
import type { RpcError } from "../../../src/index.js";

const store = await openLmdbStore(process.argv[2]!);
let safe = -1;
const codes = new Set<string>();

async function write(number: number, size: number): Promise<void> {
  try {
    const key = Uint8Array.of(1, number);
    await store.write([{ key, value: new Uint8Array(size) }]).flushed;
    safe = number;
  } catch (error) {
    codes.add((error as RpcError).code);
  }
}

for (let i = 0; i < 60 && codes.size === 0; i++) await write(i, 20_000);
const before = safe;
await write(61, 1);
const said = { before, safe, codes: [...codes] };
const ballast = process.argv[3];
if (ballast !== undefined) {
  fs.rmSync(ballast);
  while (safe !== 62) {
    await new Promise((resolve) => {
      setTimeout(resolve, 50);
    });
    await write(62, 20_000);
  }
}
console.log(JSON.stringify({ ...said, after: safe }));
// Neither is this kept waiting, nor was anything rejected that nobody hears of.
await store.close();
