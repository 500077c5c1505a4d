// Role: runs the `capnp` tool on our schemas.

import { spawnSync } from "node:child_process";

/** Standard output of the tool. @throws with its complaint when it fails. */
export function capnp(args: readonly string[], input?: Uint8Array): string {
  const done = spawnSync("capnp", args, {
    encoding: "utf8",
    ...(input === undefined ? {} : { input }),
  });
  if (done.status !== 0)
    throw new Error(`capnp ${args.join(" ")}: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

export function schemaPath(file: string): string {
  return new URL(`../../schema/${file}`, import.meta.url).pathname;
}
