// Writes to a store until nothing more fits, then something small; says as JSON what was safe before and after, and what failed.

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

for (let i = 0; i < 60; i++) await write(i, 20_000);
const before = safe;
await write(61, 1);
console.log(JSON.stringify({ before, safe, codes: [...codes] }));
process.exit();
