// Programs of our own, in TypeScript, that a test runs as processes: Node 20 runs none as they are.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { tool } from "../../scripts/lib.js";

const ROOT = path.join(import.meta.dirname, "../..");

export interface Programs {
  /** The file to be run for `source`, a path below the project's folder that ends in .ts. */
  file(source: string): string;
  /** Removes what was compiled. */
  dispose(): void;
}

/**
 * Compiles programs with all that they import, from the sources as they are now, without checking types: in less than
 * half a second.
 *
 * @example
 * const programs = compilePrograms(["test/transport/stdio-peer.ts"]);
 * spawn(process.execPath, [programs.file("test/transport/stdio-peer.ts")]);
 */
export function compilePrograms(sources: readonly string[]): Programs {
  const parent = path.join(ROOT, ".tmp");
  fs.mkdirSync(parent, { recursive: true });
  // Below the project's folder, so that the compiled files find its node_modules and its package.json.
  const out = fs.mkdtempSync(path.join(parent, "programs-"));
  const options =
    "--ignoreConfig --noCheck --skipLibCheck --module nodenext --target es2022 --types node";
  const tsc = spawnSync(
    process.execPath,
    [tool(ROOT, "tsc"), ...sources, ...options.split(" "), "--rootDir", ".", "--outDir", out],
    { cwd: ROOT, encoding: "utf8" },
  );
  if (tsc.status !== 0) throw new Error(`cannot compile ${sources.join(", ")}: ${tsc.stdout}`);
  return {
    file: (source) => path.join(out, source.replace(/\.ts$/, ".js")),
    dispose: () => fs.rmSync(out, { recursive: true, force: true }),
  };
}
