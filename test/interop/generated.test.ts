// The stubs of the interop programs are what the compiler makes of the schemas now.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { compile } from "../../src/cap/typed/compiler/index.js";
import { missingTool } from "../support/tools.js";

const interop = path.join(import.meta.dirname, "../../interop");

it.skipIf(missingTool("capnp") !== null)("the checked-in stubs fit their schemas", () => {
  for (const file of ["interop.capnp", "calculator.capnp", "workerd/debug-port.capnp"]) {
    const schema = path.join(interop, file);
    const args = ["compile", "-o-", `--src-prefix=${path.dirname(schema)}`, schema];
    const done = spawnSync("capnp", args, { maxBuffer: 1 << 28 });
    expect(done.status, String(done.stderr)).toBe(0);
    const stubs = path.join(interop, "ts/generated", `${path.basename(file)}.ts`);
    const hint = `${file}: run capstan compile again, into interop/ts/generated, with --no-imports`;
    const made = compile(done.stdout).find((module) => module.source === path.basename(file));
    expect(fs.readFileSync(stubs, "utf8") === made?.text, hint).toBe(true);
  }
});
