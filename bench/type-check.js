// @ts-check
// What stubs cost the compiler: the time tsc takes to check many calls through stubs, beside the same calls on the objects
// themselves, in one run. Prints both, the ratio, and the types that were made.
//
//   node bench/type-check.js [classes] [rounds]

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { tool } from "../scripts/lib.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const classes = Number(process.argv[2] ?? 200);
const rounds = Number(process.argv[3] ?? 3);

/** @param {number} i */
const classText = (i) => `
interface Value${i} { readonly id: number; name: string; tags: string[]; at: { x: number; y: number } }
export declare class Api${i} extends RpcTarget {
  get(id: number): Promise<Value${i}>;
  put(value: Value${i}): Promise<void>;
  next(): Promise<Api${(i + 1) % classes}>;
  each(visit: (value: Value${i}, index: number) => unknown): Promise<number>;
  all(): Promise<Map<string, Value${i}>>;
}`;

/** @param {number} i @param {boolean} stubs */
const useText = (i, stubs) => `
export async function use${i}(api: ${stubs ? `RpcStub<Api${i}>` : `Api${i}`}): Promise<number> {
  const value = await api.get(1);
  await api.put({ id: value.id, name: value.name, tags: [...value.tags], at: { x: 1, y: value.at.y } });
  const next = await api.next();
  await next.each((item, index) => item.at.x + index);
  return (await api.all()).size + (await (await next.next()).get(2)).id;
}`;

/** @param {string} folder @param {boolean} stubs */
function measure(folder, stubs) {
  const numbers = Array.from({ length: classes }, (_, i) => i);
  const index = JSON.stringify(path.join(root, "src/index.js"));
  const text = [
    `import { ${stubs ? "type RpcStub, " : ""}RpcTarget } from ${index};`,
    ...numbers.map(classText),
    ...numbers.map((i) => useText(i, stubs)),
  ].join("\n");
  fs.writeFileSync(path.join(folder, "program.ts"), text);
  const run = spawnSync(
    process.execPath,
    [tool(root, "tsc"), "-p", folder, "--extendedDiagnostics"],
    { cwd: folder, encoding: "utf8" },
  );
  if (run.status !== 0) throw new Error(run.stdout);
  /** @param {string} name */
  const figure = (name) => Number(new RegExp(`^${name}:\\s+([\\d.]+)`, "m").exec(run.stdout)?.[1]);
  return { seconds: figure("Check time"), types: figure("Types") };
}

fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
const folder = fs.mkdtempSync(path.join(root, ".tmp", "type-check-"));
try {
  const config = {
    extends: path.join(root, "tsconfig.json"),
    compilerOptions: { allowJs: false, rootDir: root },
    include: ["program.ts"],
    exclude: [],
  };
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(config));
  /** @type {{ seconds: number, types: number }[][]} */
  const found = [[], []];
  // In turns, since the machine is shared; the fastest of each is what the work costs.
  for (let i = 0; i < rounds; i++) {
    found[0]?.push(measure(folder, false));
    found[1]?.push(measure(folder, true));
  }
  const [objects, stubs] = found.map((runs) => ({
    seconds: Math.min(...runs.map((run) => run.seconds)),
    types: runs[0]?.types ?? 0,
  }));
  if (objects === undefined || stubs === undefined) throw new Error("nothing was measured");
  const perCall = ((stubs.types - objects.types) / classes / 7).toFixed(0);
  console.log(`${classes} classes of 5 methods, 7 calls each; the fastest of ${rounds}`);
  console.log(`objects: ${objects.seconds} s to check, ${objects.types} types`);
  console.log(`stubs:   ${stubs.seconds} s to check, ${stubs.types} types`);
  console.log(
    `ratio ${(stubs.seconds / objects.seconds).toFixed(2)}; ${perCall} more types a call`,
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
