// Role: runs the `capnp` tool, and says whether its tests can run here.

import { spawnSync } from "node:child_process";

const probe = spawnSync("capnp", ["--version"], { encoding: "utf8" });

/** Whether the tool is installed. Where CAPSTAN_REQUIRE_TOOLS=1, its tests run and fail without it. */
export const hasCapnp = probe.status === 0;
export const skipCapnp = !hasCapnp && process.env["CAPSTAN_REQUIRE_TOOLS"] !== "1";
if (skipCapnp)
  console.warn("skipped: the capnp tool is not installed (Debian: apt-get install capnproto)");

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
