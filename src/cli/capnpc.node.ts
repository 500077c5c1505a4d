#!/usr/bin/env node
// Role: the program `capnpc-capstan`, a plugin of the capnp tool: `capnp compile -o capstan[:DIR] FILE.capnp`.
// State: none. Must not know: how modules are generated. The request comes on stdin; the tool sets the working folder to
// DIR; a plugin prints nothing.

import fs from "node:fs";
import { compile } from "../cap/typed/compiler/index.js";
import { writeModules } from "./compile.node.js";

const args = process.argv.slice(2);
if (args.length > 0) {
  const help = args[0] === "--help" || args[0] === "-h";
  const text =
    "usage: capnp compile -o capstan[:DIR] FILE.capnp   (reads a CodeGeneratorRequest on stdin)\n";
  if (help) process.stdout.write(text);
  else process.stderr.write(text);
  process.exitCode = help ? 0 : 2;
} else {
  try {
    writeModules(compile(fs.readFileSync(0)), ".", () => {});
  } catch (thrown) {
    process.stderr.write(
      `capnpc-capstan: ${thrown instanceof Error ? thrown.message : String(thrown)}\n`,
    );
    process.exitCode = 1;
  }
}
