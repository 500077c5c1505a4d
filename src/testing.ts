// Role: the entry `capstan/testing`: vats under a test's control.
// State: none. Must not know: anything of its own.

export { Mesh, MeshEnd, MeshVat, type MeshVatOptions, type Tap } from "./vat/mesh.js";
export type { LineLoad, LinkOptions } from "./vat/test-line.js";
export { TestVats, type TestVatOptions } from "./vat/test-vats.js";
export { diskFull, FaultyStore, type Held } from "./host/storage/faulty-store.js";
export { crash, evict, hibernate, VirtualClock } from "./host/testing.js";
