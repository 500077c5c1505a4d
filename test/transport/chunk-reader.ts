// Reads large messages as a transport does and keeps none, in a heap that is a little larger than what V8 never marks. Says
// when it begins to and when it has. `without` what a transport does about that.

import { PLAIN_MEMORY } from "../../src/wire/frame-memory.js";
import { ROOMY_MEMORY } from "../../src/transport/read-into.node.js";
import { heapSize } from "../../src/transport/heap-floor.node.js";

const MIB = 1024 * 1024;
const CHUNK = 64 * 1024;

const memory = process.argv[2] === "without" ? PLAIN_MEMORY : ROOMY_MEMORY;
const heap = new Array<number>(Math.max(0, 9 * MIB - heapSize().old) / 8).fill(0.5);

async function read(mebibytes: number): Promise<void> {
  for (let i = 0; i < (mebibytes * MIB) / CHUNK; i++) {
    memory.allocate(CHUNK).fill(1);
    if (i % 16 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
}

// Until the heap has come to rest.
await read(256);
process.stdout.write("reading\n");
await read(1024);
process.stdout.write("read\n");
if (heap.length === 0) process.exitCode = 1;
