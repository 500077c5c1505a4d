// Modules for tests: written into a folder of their own, below the project, so that they run on the sources as they are.

import fs from "node:fs";
import path from "node:path";
import { afterEach, beforeEach } from "vitest";
import { type Bundle, bundleModule } from "../../../src/host/module/bundle.node.js";
import { type ModuleConfig, readConfig } from "../../../src/host/module/config.js";
import { loadModule, type WorkerModule } from "../../../src/host/module/load.node.js";

const root = path.join(import.meta.dirname, "../../..");

export interface ModuleFolder {
  readonly path: string;
  /** Writes a file. @returns its path. */
  put(name: string, text: string | Uint8Array): string;
  bundle(main: string, config?: unknown): Promise<Bundle>;
  /** Bundles and imports. */
  load(main: string, config?: unknown): Promise<WorkerModule>;
}

/** To be called in a `describe`: a folder for each of its tests. */
export function moduleFolder(): ModuleFolder {
  let folder = "";
  beforeEach(() => {
    fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
    folder = fs.mkdtempSync(path.join(root, ".tmp", "module-"));
  });
  afterEach(() => fs.rmSync(folder, { recursive: true, force: true }));
  const configOf = (tree: unknown): ModuleConfig => readConfig(tree ?? {}, "w");
  const self: ModuleFolder = {
    get path() {
      return folder;
    },
    put(name, text) {
      const file = path.join(folder, name);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, text);
      return file;
    },
    bundle: (main, config) =>
      bundleModule({
        main: path.join(folder, main),
        into: path.join(folder, "made"),
        rules: configOf(config).rules,
      }),
    async load(main, config) {
      const { file } = await self.bundle(main, config);
      return loadModule(file, configOf(config));
    },
  };
  return self;
}

/** The error that `promise` is rejected with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (thrown) {
    return thrown as Error;
  }
  throw new Error("it did not fail");
}
