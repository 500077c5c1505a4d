// @ts-check
// The package as its users get it: packed, installed in an empty project, imported and required at every subpath,
// type-checked there without skipLibCheck, and looked over by publint and are-the-types-wrong.
//
// One line for each step; exits 0 only if all hold. Leaves nothing behind.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { tool } from "./lib.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const { name, exports, bin } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));

/** Our compiler writes declarations that an older one must still read. */
const OLD_TYPESCRIPT = "5.9";

/** What may stand at the top of the tarball. */
const EXPECTED = new Set([
  "CHANGELOG.md",
  "LICENSE",
  "README.md",
  "dist",
  "package.json",
  "schema",
  "docs",
]);

/** Every subpath a program imports. */
const subpaths = Object.keys(exports)
  .filter((key) => !key.endsWith(".json"))
  .map((key) => path.posix.join(name, key));

/** The project of a user who writes TypeScript and has nothing else installed. */
const USER_CONFIG = {
  compilerOptions: {
    target: "ES2022",
    lib: ["ES2022", "ESNext.Disposable", "DOM", "DOM.Iterable", "DOM.AsyncIterable"],
    module: "NodeNext",
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    types: [],
  },
  files: ["use.ts"],
};

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @returns {string} what it wrote to standard output
 * @throws {Error} when it fails, with all it wrote
 */
function run(command, args, cwd) {
  const done = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
  if (done.error) throw done.error;
  if (done.status === 0) return done.stdout;
  throw new Error(
    `${path.basename(command)} ${args.join(" ")}\n${done.stdout}${done.stderr}`.trimEnd(),
  );
}

/** @param {string} command @param {string[]} args @param {string} cwd */
const runTool = (command, args, cwd) => run(process.execPath, [tool(root, command), ...args], cwd);

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-pack-"));
const user = path.join(folder, "user");
/** @param {string} file @param {string} text */
const put = (file, text) => fs.writeFileSync(path.join(user, file), text);
let tarball = "";

/** @type {[what: string, step: () => void][]} */
const steps = [
  [
    "npm pack",
    () => {
      const [packed] = JSON.parse(
        run("npm", ["pack", "--json", "--pack-destination", folder], root),
      );
      tarball = path.join(folder, packed.filename);
      /** @type {string[]} */
      const files = packed.files.map((/** @type {{ path: string }} */ file) => file.path);
      const odd = files.filter((file) => !EXPECTED.has(file.split("/")[0] ?? ""));
      if (odd.length > 0) throw new Error(`packs what it should not: ${odd.join(", ")}`);
      const targets = [
        ...Object.values(exports).flatMap((e) => Object.values(e)),
        ...Object.values(bin),
      ];
      const missing = targets
        .filter((target) => target.startsWith?.("./"))
        .filter((target) => !files.includes(target.slice(2)));
      if (missing.length > 0) throw new Error(`does not pack: ${missing.join(", ")}`);
    },
  ],
  [
    "install in an empty project",
    () => {
      fs.mkdirSync(user);
      put("package.json", `{ "name": "user", "private": true, "type": "module" }`);
      run("npm", ["install", "--no-audit", "--no-fund", "--ignore-scripts", tarball], user);
    },
  ],
  [
    "import every subpath",
    () => {
      for (const subpath of subpaths) {
        run(process.execPath, ["--input-type=module", "-e", `await import("${subpath}")`], user);
      }
    },
  ],
  [
    "require every subpath",
    () => {
      for (const subpath of [...subpaths, `${name}/package.json`]) {
        const code = `if (Object.keys(require("${subpath}")).length === 0) process.exit(1)`;
        run(process.execPath, ["--input-type=commonjs", "-e", code], user);
      }
    },
  ],
  [
    "run every program",
    () => {
      for (const program of Object.keys(bin)) {
        run(path.join(user, "node_modules", ".bin", program), ["--help"], user);
      }
    },
  ],
  [
    "types at every subpath, without skipLibCheck",
    () => {
      const lines = subpaths.map(
        (subpath, i) => `import * as m${i} from "${subpath}";\nvoid m${i};\n`,
      );
      put("use.ts", lines.join(""));
      put("tsconfig.json", JSON.stringify(USER_CONFIG));
      runTool("tsc", ["-p", user], user);
    },
  ],
  [
    `types for TypeScript ${OLD_TYPESCRIPT}`,
    () => {
      run("npm", ["install", "--no-audit", "--no-fund", `typescript@${OLD_TYPESCRIPT}`], user);
      run(process.execPath, [tool(user, "tsc"), "-p", user], user);
    },
  ],
  ["publint", () => void runTool("publint", ["--strict", tarball], folder)],
  ["are-the-types-wrong", () => void runTool("attw", [tarball, "--profile", "esm-only"], folder)],
];

let failed = 0;
try {
  for (const [what, step] of steps) {
    try {
      step();
      console.log(`ok    ${what}`);
    } catch (error) {
      failed++;
      console.log(`${error instanceof Error ? error.message : String(error)}\nFAIL  ${what}`);
      // Without a package there is nothing to look at.
      if (!fs.existsSync(path.join(user, "node_modules", name))) break;
    }
  }
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
console.log(failed === 0 ? "pack-check: the package holds" : `pack-check: ${failed} steps fail`);
process.exitCode = failed === 0 ? 0 : 1;
