// @ts-check
// What stubs cost the compiler: the time tsc takes to check many calls through stubs, beside the same calls on the objects
// themselves, in one run. Rows of the benchmark, and alone:
//
//   node bench/type-check.js [classes] [rounds]

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { tool } from "../scripts/lib.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const alone = process.argv[1] === fileURLToPath(import.meta.url);
const classes = Number((alone ? process.argv[2] : undefined) ?? 200);
/** On each class. */
const CALLS = 7;

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

/** The fastest of `rounds` of each, in turns, since the machine is shared: what the work costs. @param {number} rounds */
function both(rounds) {
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
    const best = {
      objects: { seconds: Infinity, types: 0 },
      stubs: { seconds: Infinity, types: 0 },
    };
    for (let i = 0; i < rounds; i++)
      for (const what of /** @type {const} */ (["objects", "stubs"])) {
        const found = measure(folder, what === "stubs");
        if (found.seconds < best[what].seconds) best[what] = found;
      }
    return best;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** Rows of `npm run bench`. @param {number} rounds */
export function typeCheckRows(rounds) {
  const { objects, stubs } = both(rounds);
  const row = (
    /** @type {string} */ title,
    /** @type {string} */ unit,
    /** @type {number} */ capstan,
    /** @type {number} */ peerFigure,
  ) => ({ row: title, unit, capstan, peer: "objects", peerFigure, ratio: capstan / peerFigure });
  const calls = classes * CALLS;
  return [
    row(`tsc on ${calls} calls through stubs`, "s", stubs.seconds, objects.seconds),
    row("the same, types made", "types a call", stubs.types / calls, objects.types / calls),
  ];
}

if (alone) {
  const rounds = Number(process.argv[3] ?? 3);
  const { objects, stubs } = both(rounds);
  const perCall = ((stubs.types - objects.types) / classes / CALLS).toFixed(0);
  console.log(`${classes} classes of 5 methods, ${CALLS} calls each; the fastest of ${rounds}`);
  console.log(`objects: ${objects.seconds} s to check, ${objects.types} types`);
  console.log(`stubs:   ${stubs.seconds} s to check, ${stubs.types} types`);
  console.log(
    `ratio ${(stubs.seconds / objects.seconds).toFixed(2)}; ${perCall} more types a call`,
  );
}
