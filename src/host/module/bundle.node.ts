// Role: makes one file of a Worker module and all that it imports, by rolldown.
// State: none. Must not know: what the module exports.
//
// Capstan itself stays outside, by the addresses of the files that run: were it bundled, the module's DurableObject would be
// another class than the host's.

import { createHash } from "node:crypto";
import fs from "node:fs";
import { isBuiltin } from "node:module";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { Plugin, rolldown as rolldownOf, RolldownOutput } from "rolldown";
import { RpcError } from "../../base/errors.js";
import { type Rule, ruleFor, type RuleType } from "./rules.js";

export interface BundleOptions {
  /** The module's file. */
  readonly main: string;
  /** The folder for what is made; it is made when it is missing. */
  readonly into: string;
  readonly rules: readonly Rule[];
}

export interface Bundle {
  /** Its name is a hash of what is in it: what is imported of one file never changes. */
  readonly file: string;
  /** Of rolldown, for people, a line each. */
  readonly warnings: readonly string[];
}

/** The files of the entry points of package.json, by what follows `capstan/` there. */
export const ENTRY_FILES: Readonly<Record<string, string>> = {
  "": "index",
  browser: "browser",
  host: "host.node",
  http: "http",
  node: "node",
  persist: "persist",
  testing: "testing",
  typed: "typed",
  workerd: "workerd.node",
  workers: "workers.node",
};

/**
 * Bundles a module.
 *
 * @throws RpcError missing-dependency without the package `rolldown`; module-failed for what is no module, or imports what is
 *   not there (as rejections).
 * @example const { file } = await bundleModule({ main: "src/worker.ts", into: "data/module", rules: NO_CONFIG.rules });
 */
export async function bundleModule(options: BundleOptions): Promise<Bundle> {
  const { rolldown } = await loadRolldown();
  const main = path.resolve(options.main);
  if (!fs.existsSync(main)) throw failed(`there is no module ${shown(main)}`);
  const into = path.resolve(options.into);
  const warnings: string[] = [];
  let output: RolldownOutput["output"];
  try {
    const build = await rolldown({
      input: main,
      platform: "node",
      transform: { target: "node20" },
      onLog: (level, log) => {
        if (level === "warn") warnings.push(sentenceOf(log));
      },
      plugins: [entryPoints(), contentModules(path.dirname(main), options.rules)],
    });
    try {
      ({ output } = await build.generate({
        format: "esm",
        codeSplitting: false,
        sourcemap: "inline",
        dir: into,
      }));
    } finally {
      await build.close();
    }
  } catch (thrown) {
    throw bundlingError(thrown);
  }
  const [{ code }] = output;
  const hash = createHash("sha256").update(code).digest("hex").slice(0, 32);
  const file = path.join(into, `${hash}.mjs`);
  fs.mkdirSync(into, { recursive: true, mode: 0o700 });
  if (!fs.existsSync(file)) {
    // Nobody must find it half written.
    const draft = `${file}.${process.pid}`;
    fs.writeFileSync(draft, code, { mode: 0o600 });
    fs.renameSync(draft, file);
  }
  return { file, warnings };
}

/** What is imported of Capstan and of Cloudflare leads to the files that run here. */
function entryPoints(): Plugin {
  return {
    name: "capstan:entry-points",
    resolveId: {
      order: "pre",
      async handler(source, importer, extra) {
        if (isBuiltin(source))
          return { id: `node:${source.replace(/^node:/, "")}`, external: true };
        const [, entry] = /^capstan(?:\/(.*))?$/.exec(source) ?? [];
        const name =
          source === "cloudflare:workers" ? "workers" : source === "capstan" ? "" : entry;
        if (name !== undefined) {
          const known = Object.hasOwn(ENTRY_FILES, name) ? ENTRY_FILES[name]! : null;
          if (known === null) throw new Error(`capstan has no entry point ${name}`);
          return { id: entryUrl(known), external: true };
        }
        if (source.startsWith("cloudflare:"))
          throw new Error(
            `${source} is not there: of Cloudflare's modules this host has cloudflare:workers`,
          );
        // What is tried by `require` may be missing: many packages do without.
        if (importer === undefined || !/^(?:import-statement|dynamic-import)$/.test(extra.kind))
          return null;
        const found = await this.resolve(source, importer, { ...extra, skipSelf: true });
        if (found === null)
          throw new Error(`${shown(importer)} imports ${source}, which was not found`);
        return found;
      },
    },
  };
}

/** Where an entry point is: built, or as the sources that the tests run. */
function entryUrl(name: string): string {
  const own = import.meta.url;
  return new URL(`../../${name}${own.slice(own.lastIndexOf("."))}`, own).href;
}

/** Files of text and data become modules. */
function contentModules(folder: string, rules: readonly Rule[]): Plugin {
  const typeOf = (id: string): ReturnType<typeof ruleFor> =>
    path.isAbsolute(id) ? ruleFor(rules, path.relative(folder, id).replaceAll("\\", "/")) : null;
  return {
    name: "capstan:content",
    async resolveId(source, importer, extra) {
      // As some write it, so that other bundlers do the same.
      if (!source.endsWith(".wasm?module")) return null;
      return this.resolve(source.slice(0, -"?module".length), importer, {
        ...extra,
        skipSelf: true,
      });
    },
    load(id) {
      const type = typeOf(id);
      return type === null
        ? null
        : { code: contentModule(type, fs.readFileSync(id)), moduleType: "js" };
    },
  };
}

function contentModule(type: RuleType, bytes: Buffer): string {
  if (type === "Text") return `export default ${JSON.stringify(bytes.toString("utf8"))};`;
  const buffer = `Uint8Array.from(atob("${bytes.toString("base64")}"), (c) => c.charCodeAt(0)).buffer`;
  return type === "Data"
    ? `export default ${buffer};`
    : `export default new WebAssembly.Module(${buffer});`;
}

async function loadRolldown(): Promise<{ rolldown: typeof rolldownOf }> {
  try {
    return await import("rolldown");
  } catch (thrown) {
    const message =
      "the package rolldown cannot be loaded: install it beside capstan with `npm install rolldown`";
    throw new RpcError("failed", "missing-dependency", message, { cause: thrown });
  }
}

/** What rolldown says of one thing. */
interface Said {
  readonly message: string;
  readonly loc?:
    | { readonly file?: string; readonly line: number; readonly column: number }
    | undefined;
}

function bundlingError(thrown: unknown): RpcError {
  const { errors } = thrown as { errors?: readonly Said[] };
  const all = errors !== undefined && errors.length > 0 ? errors : [thrown as Said];
  return failed(all.map(sentenceOf).join("\n"), thrown);
}

/** One line, with the place, without colours and pictures. */
function sentenceOf({ message, loc }: Said): string {
  const plain = stripVTControlCharacters(message).replace(/^\[[A-Z_]+\] */, "");
  // Our own plugins' errors are told with their names and stacks.
  const what = plain
    .split("\n")
    .map((line) => line.replace(/^Error: /, "").trim())
    .find((line) => line !== "" && !line.startsWith("[plugin"));
  const place = loc?.file === undefined ? "" : `${shown(loc.file)}:${loc.line}:${loc.column + 1}: `;
  return `${place}${what ?? plain}`;
}

function shown(file: string): string {
  return path.isAbsolute(file) ? path.relative(".", file) : file;
}

function failed(message: string, cause?: unknown): RpcError {
  return new RpcError("failed", "module-failed", message, { cause });
}
