// Programs that a test needs and that npm does not install: capnp, a C++ compiler. A developer without one sees
// which tests did not run and why; under CAPSTAN_REQUIRE_TOOLS=1, as in CI, a missing program is a failure.

import fs from "node:fs";
import path from "node:path";
import { TestRunner } from "vitest";

/** What to say of a program that is not there. */
const INSTALL: Record<string, string> = {
  capnp: "install the package capnproto",
  "capnpc-c++": "install the package libcapnp-dev",
  "g++": "install the package g++",
  chromium: "install the package chromium",
};

/**
 * The file of a program, looked for on the PATH.
 *
 * @param name as typed in a shell
 * @returns its absolute path, or null
 */
export function findTool(name: string): string | null {
  for (const folder of (process.env["PATH"] ?? "").split(path.delimiter)) {
    if (folder === "") continue;
    const file = path.join(folder, name);
    try {
      fs.accessSync(file, fs.constants.X_OK);
      if (fs.statSync(file).isFile()) return file;
    } catch {
      // Not in this folder.
    }
  }
  return null;
}

/**
 * The same question where tests are declared, for `describe.skipIf(missingTool("capnp"))`.
 *
 * @returns the reason to skip, printed once; null when the program is there
 * @throws Error when it is not and CAPSTAN_REQUIRE_TOOLS=1
 */
export function missingTool(name: string): string | null {
  if (findTool(name) !== null) return null;
  const reason = `${name} is not on the PATH: ${INSTALL[name] ?? "install it"}`;
  if (process.env["CAPSTAN_REQUIRE_TOOLS"] === "1") throw new Error(reason);
  console.warn(`skipped: ${reason}`);
  return reason;
}

/**
 * Skips the running test when a program is missing, so it goes first in the test's body.
 *
 * @example it("compiles", () => { const capnp = requireTool("capnp"); ... })
 * @returns the program's absolute path
 * @throws Error when it is missing and CAPSTAN_REQUIRE_TOOLS=1, or outside a test
 */
export function requireTool(name: string): string {
  const reason = missingTool(name);
  if (reason === null) return findTool(name)!;
  const test = TestRunner.getCurrentTest();
  if (test === undefined) throw new Error(`requireTool(${name}) outside a test: use missingTool`);
  test.context.skip(reason);
  throw new Error("unreachable: skip throws");
}
