// Writes one entry into a store that another process has open, and ends: its directory, a byte of the key, one of the value.

import { openLmdbStore } from "../../../src/host/storage/lmdb-store.node.js";

const [directory, key, value] = process.argv.slice(2);
const store = await openLmdbStore(directory!, { lock: false });
await store.write([{ key: Uint8Array.of(Number(key)), value: Uint8Array.of(Number(value)) }])
  .flushed;
await store.close();
