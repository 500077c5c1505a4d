// Role: what a flood leaves behind, measured: live heap after a collection. State: none.

import v8 from "node:v8";
import vm from "node:vm";

v8.setFlagsFromString("--expose-gc");
const collect = vm.runInNewContext("gc") as () => void;

/** Collects all garbage, finalizers of this turn not included. */
export function gc(): void {
  collect();
}

/** Bytes of live heap and of buffers outside it. */
export function live(): number {
  collect();
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

export const MB = 1024 * 1024;
