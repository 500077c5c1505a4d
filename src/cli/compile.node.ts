// Role: the command `capstan compile`: runs the `capnp` tool, or takes a saved request, and writes the modules.
// State: none. Must not know: how modules are generated.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { type CompiledModule, compile, type CompileOptions } from "../cap/typed/compiler/index.js";
import { readArguments } from "./arguments.node.js";
import { Misuse } from "./misuse.js";

export const COMPILE_USAGE = `usage: capstan compile FILE... [options]

Writes one TypeScript module for each schema file, and for each file they import.

FILE is a schema (.capnp), a saved CodeGeneratorRequest (any other name), or - for a request on stdin.

options:
  -o, --output DIR      where to write; by default beside the schema
  -I, --import-path DIR search path for imports that begin with a slash (may be repeated)
  --src-prefix DIR      part of FILE's path that is not repeated under the output; by default the folder of FILE
  --no-imports          write only the files that were given
  --runtime SPECIFIER   what generated code imports; by default capstan/typed
  -h, --help            this text

On success the paths written are printed on stdout, one a line.
`;

/** Folders that capnp itself searches for imports that begin with a slash. */
const STANDARD_PATHS = ["/usr/local/include", "/usr/include"];

interface Job {
  readonly files: string[];
  readonly output: string | undefined;
  readonly importPaths: string[];
  readonly prefix: string | undefined;
  readonly imports: boolean;
  readonly options: CompileOptions;
}

/**
 * Runs the command.
 * @returns the exit status. @throws Misuse for arguments that make no sense, other errors for what went wrong.
 */
export function runCompile(args: string[], stdout: (text: string) => void): number {
  const job = parse(args);
  if (job === null) {
    stdout(COMPILE_USAGE);
    return 0;
  }
  const schemas = job.files.filter((file) => file.endsWith(".capnp"));
  const requests = job.files.filter((file) => !file.endsWith(".capnp"));
  for (const request of requests) {
    const bytes = request === "-" ? fs.readFileSync(0) : fs.readFileSync(request);
    writeModules(compile(bytes, job.options), job.output ?? ".", stdout);
  }
  if (schemas.length > 0) compileSchemas(schemas, job, stdout);
  return 0;
}

function parse(args: string[]): Job | null {
  const { values, positionals } = readArguments(args, {
    output: { type: "string", short: "o" },
    "import-path": { type: "string", short: "I", multiple: true },
    "src-prefix": { type: "string" },
    "no-imports": { type: "boolean" },
    runtime: { type: "string" },
    help: { type: "boolean", short: "h" },
  });
  if (values.help === true) return null;
  if (positionals.length === 0) throw new Misuse("name at least one FILE to compile");
  return {
    files: positionals,
    output: values.output,
    importPaths: values["import-path"] ?? [],
    prefix: values["src-prefix"],
    imports: values["no-imports"] !== true,
    options: values.runtime === undefined ? {} : { runtime: values.runtime },
  };
}

/** A schema file, and the folder its output path is counted from. */
interface Source {
  readonly file: string;
  readonly root: string;
}

function compileSchemas(files: string[], job: Job, stdout: (text: string) => void): void {
  const full = files.map((file) => path.resolve(file));
  for (const file of full)
    if (!fs.existsSync(file)) throw new Error(`there is no file ${path.relative(".", file)}`);
  const importable = (file: string): string | undefined =>
    importRoots(job).find((root) => isWithin(file, root));
  const local = full.filter((file) => importable(file) === undefined);
  const root = job.prefix === undefined ? commonFolder(local) : path.resolve(job.prefix);
  // A file that others import by a path with a slash goes where these imports will look for it.
  const sources: Source[] = full.map((file) => ({
    file,
    root: importable(file) ?? within(file, root),
  }));
  let modules = runCapnp(sources, job);
  while (job.imports) {
    const more = missing(sources, modules, job);
    if (more.length === 0) break;
    sources.push(...more);
    modules = runCapnp(sources, job);
  }
  writeModules(modules, job.output ?? root, stdout);
}

function importRoots(job: Job): string[] {
  return [...job.importPaths, ...STANDARD_PATHS].map((folder) => path.resolve(folder));
}

function isWithin(file: string, root: string): boolean {
  const relative = path.relative(root, file);
  return !relative.startsWith("..") && !path.isAbsolute(relative);
}

function within(file: string, root: string): string {
  if (isWithin(file, root)) return root;
  throw new Error(`${file} lies outside ${root}; name a folder that holds both with --src-prefix`);
}

function commonFolder(files: string[]): string {
  let common = path.dirname(files[0] ?? path.resolve("file"));
  for (const file of files) while (!isWithin(file, common)) common = path.dirname(common);
  return common;
}

/** Files that the modules import and nobody has asked for yet. */
function missing(sources: Source[], modules: CompiledModule[], job: Job): Source[] {
  const known = new Set(sources.map(({ file }) => file));
  const out: Source[] = [];
  modules.forEach((module, i) => {
    const { file: importer, root } = sources[i]!;
    for (const name of module.imports) {
      const found = name.startsWith("/") ? search(name, job) : beside(importer, name, root);
      if (known.has(found.file)) continue;
      known.add(found.file);
      out.push(found);
    }
  });
  return out;
}

function beside(importer: string, name: string, root: string): Source {
  const file = path.resolve(path.dirname(importer), name);
  return { file, root: within(file, root) };
}

function search(name: string, job: Job): Source {
  for (const root of importRoots(job)) {
    const file = path.join(root, name);
    if (fs.existsSync(file)) return { file, root };
  }
  throw new Error(`${name} is imported but was not found; name its folder with --import-path`);
}

/** Runs the `capnp` tool. The modules come back in the order of the sources. */
function runCapnp(sources: Source[], job: Job): CompiledModule[] {
  const roots = [...new Set(sources.map(({ root }) => root))];
  const args = ["compile", "-o-"];
  for (const root of roots) args.push(`--src-prefix=${root}`);
  for (const folder of job.importPaths) args.push(`--import-path=${folder}`);
  args.push(...sources.map(({ file }) => file));
  const run = spawnSync("capnp", args, {
    maxBuffer: 1024 * 1024 * 1024,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, PWD: process.cwd() },
  });
  if (run.error !== undefined) {
    if ((run.error as NodeJS.ErrnoException).code === "ENOENT") throw new Error(NO_CAPNP);
    throw run.error;
  }
  if (run.status !== 0) throw new Error("the capnp tool refused the schema (its words are above)");
  const modules = compile(run.stdout, job.options);
  return sources.map(({ file, root }) => {
    const source = path.relative(root, file).split(path.sep).join("/");
    const module = modules.find((one) => one.source === source || one.source === file);
    if (module === undefined) throw new Error(`the capnp tool gave no answer for ${file}`);
    return module;
  });
}

const NO_CAPNP = `the capnp tool was not found on the PATH.
Install it (Debian and Ubuntu: apt-get install capnproto; macOS: brew install capnp), or make the request
elsewhere and compile that:
  capnp compile -o- FILE.capnp > request.bin
  capstan compile request.bin`;

/** Writes modules below `output`, leaving files alone that are right already, and prints their paths. */
export function writeModules(
  modules: CompiledModule[],
  output: string,
  stdout: (text: string) => void,
): void {
  for (const module of modules) {
    const file = path.join(output, module.path);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    if (!fs.existsSync(file) || fs.readFileSync(file, "utf8") !== module.text)
      fs.writeFileSync(file, module.text);
    stdout(`${file}\n`);
  }
}
