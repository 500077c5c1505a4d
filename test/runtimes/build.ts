// Role: bundles what runs outside this process: each entry beside the library, which is the very bundle that is shipped to
// browsers.
// State: files in a folder of its own. Must not know: who runs them.

import fs from "node:fs";
import path from "node:path";
import { browserBundle, bundle } from "../../scripts/bundle.js";

const root = path.join(import.meta.dirname, "../..");
/** Inside the project, so that what a Node program imports is found. */
const parent = path.join(root, ".tmp");

/** `program` stands alone; the others load the library from the file beside them. */
export type Entry = "page" | "web-worker" | "thread" | "workerd" | "program";

/** What stands in for the library: the file that is shipped as `capstan/browser`, or all of `capstan`, bundled by a user. */
export type Library = "capstan/browser" | "capstan";
export const LIBRARIES: readonly Library[] = ["capstan/browser", "capstan"];

/** @returns the folder, with a file of each entry and capstan.js; the caller removes it */
export async function buildEntries(
  entries: readonly Entry[],
  library: Library = "capstan/browser",
): Promise<string> {
  fs.mkdirSync(parent, { recursive: true });
  const folder = fs.mkdtempSync(path.join(parent, "runtimes-"));
  const { code } =
    library === "capstan/browser"
      ? await browserBundle(root)
      : await bundle(root, `export * from "./src/index.ts";`, { minify: true });
  fs.writeFileSync(path.join(folder, "capstan.js"), code);
  for (const entry of entries) {
    const alone = entry === "program";
    const from = `from "./test/runtimes/entries/${entry}.ts";`;
    const source = `export * ${from}${entry === "workerd" ? ` export { default } ${from}` : ""}`;
    const made = await bundle(root, source, {
      platform: alone || entry === "thread" ? "node" : "browser",
      external: (module) => (!alone && module === "src/index.ts" ? "./capstan.js" : null),
    });
    // Had it a copy of its own of anything, two classes would bear one name.
    const copies = made.modules.filter((name) => name.startsWith("src/"));
    if (!alone && copies.length > 0) throw new Error(`${entry} holds ${copies.join()}`);
    fs.writeFileSync(path.join(folder, `${entry}.js`), made.code);
  }
  return folder;
}
