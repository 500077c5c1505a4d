// @ts-check
// Builds the C++ peers into `build/`:  node interop/cxx/build.js
//
// Owns that folder. A step runs again only when the content of what it reads has changed, because a checkout or a merge
// touches the times of files and not their content. Knows nothing of scenarios.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));
const output = join(here, "build");
const generated = join(output, "generated");

const COMPILER = process.env["CXX"] ?? "g++";
const FLAGS = [
  "-std=c++17",
  "-O2",
  "-Wall",
  "-Wextra",
  "-Wno-unused-parameter",
  "-pthread",
  `-I${generated}`,
];
const LIBRARIES = ["-lcapnp-rpc", "-lcapnp", "-lkj-async", "-lkj", "-pthread"];
const HINT =
  "The C++ peers need Cap'n Proto's library and tool: apt-get install g++ capnproto libcapnp-dev";

const SCHEMAS = [
  "../interop.capnp",
  "../calculator.capnp",
  "../../schema/restorer.capnp",
  "../../bench/bench.capnp",
];
/** The sources of each program, without their endings. */
const PROGRAMS = {
  server: [
    "server",
    "interop-server",
    "objects",
    "everything",
    "calculator-server",
    "saving",
    "support",
    "interop.capnp",
    "restorer.capnp",
    "calculator.capnp",
  ],
  client: [
    "client",
    "scenarios-values",
    "scenarios-objects",
    "scenarios-reflection",
    "scenarios-endings",
    "scenarios-flow",
    "scenarios-calculator",
    "scenarios-saving",
    "objects",
    "everything",
    "support",
    "interop.capnp",
    "restorer.capnp",
    "calculator.capnp",
  ],
  bench: ["bench", "support", "bench.capnp"],
};

/** @param {readonly string[]} parts @returns {string} */
function digest(parts) {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part).update("\0");
  return hash.digest("hex");
}

/**
 * Runs `work` unless the last run that ended well had the same key.
 *
 * @param {string} name of the file beside the outputs that keeps the key
 * @param {string} key digest of everything the step reads
 * @param {() => Promise<unknown>} work
 */
async function step(name, key, work) {
  const stamp = join(output, `${name}.stamp`);
  if ((await readFile(stamp, "utf8").catch(() => "")) === key) return;
  await rm(stamp, { force: true });
  await work();
  await writeFile(stamp, key);
}

/** @param {string} command @param {string[]} args */
async function must(command, args) {
  await run(command, args, { cwd: here, maxBuffer: 64 << 20 }).catch((cause) => {
    throw new Error(`${command} ${args.join(" ")} failed:\n${cause.stderr || cause.message}`, {
      cause,
    });
  });
}

/** What the compiler and the library are, so that an upgrade rebuilds all. Throws with a hint when one is missing. */
async function toolchain() {
  const source = "#include <capnp/rpc-twoparty.h>\nversion CAPNP_VERSION";
  const probe = run(
    "sh",
    ["-c", `printf '%s' "$1" | "$2" -std=c++17 -E -P -x c++ -`, "sh", source, COMPILER],
    {
      maxBuffer: 64 << 20,
    },
  );
  const [compiler, tool, headers] = await Promise.all([
    run(COMPILER, ["--version"]),
    run("capnp", ["--version"]),
    probe,
  ]).catch((cause) => {
    throw new Error(`${HINT}\n(${cause.message.split("\n")[0]})`, { cause });
  });
  const version = /version\s+(.*)$/s.exec(headers.stdout)?.[1] ?? "";
  return [compiler.stdout, tool.stdout, version];
}

/** Compiles what is out of date, at most two steps at once. Throws an Error whose message says what to do. */
export async function build() {
  await mkdir(generated, { recursive: true });
  const tools = await toolchain();

  const schemas = await Promise.all(SCHEMAS.map((path) => readFile(join(here, path), "utf8")));
  await step("schemas", digest([...tools, ...schemas]), async () => {
    for (const path of SCHEMAS) {
      const folder = join(here, dirname(path));
      await must("capnp", [
        "compile",
        `--src-prefix=${folder}`,
        `-oc++:${generated}`,
        join(here, path),
      ]);
    }
  });

  const headerNames = (await readdir(here)).filter((name) => name.endsWith(".h")).sort();
  const headers = await Promise.all(headerNames.map((name) => readFile(join(here, name), "utf8")));
  const shared = [...tools, ...FLAGS, ...schemas, ...headers];

  /** @type {Map<string, string>} what each object file was made of */
  const keys = new Map();
  const queue = [...new Set(Object.values(PROGRAMS).flat())];
  const compileNext = async () => {
    for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
      const source = join(name.endsWith(".capnp") ? generated : here, `${name}.c++`);
      const key = digest([...shared, await readFile(source, "utf8")]);
      keys.set(name, key);
      await step(name, key, () =>
        must(COMPILER, [...FLAGS, "-c", source, "-o", join(output, `${name}.o`)]),
      );
    }
  };
  await Promise.all([compileNext(), compileNext()]);

  for (const [program, names] of Object.entries(PROGRAMS)) {
    const objects = names.map((name) => join(output, `${name}.o`));
    const key = digest([...LIBRARIES, ...names.map((name) => keys.get(name) ?? "")]);
    await step(`program-${program}`, key, () =>
      must(COMPILER, [...objects, "-o", join(output, program), ...LIBRARIES]),
    );
  }
}

/** @param {"server" | "client" | "bench"} name @returns {string} the path of a built program */
export function program(name) {
  return join(output, name);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  await build().catch((error) => {
    console.error(error.message);
    process.exitCode = 1;
  });
}
