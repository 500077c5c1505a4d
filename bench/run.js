// @ts-check
// npm run bench: measures Capstan beside its peers and floors, in one run, and writes the table.
//
// Each figure is a ratio inside one run: contenders of a row take turns, and medians of the rounds are compared, since
// these machines are small and noisy and absolute figures move by a factor of two. A shortfall is told, not failed on;
// only a contender that does not run fails the command.
//
//   npm run bench -- [--rounds 5] [--seconds 2] [--only ROW[,ROW]] [--no-write]
//
// ROW may be the first words of several names: workerd, js, stream-64k.

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build, program } from "../interop/cxx/build.js";
import { hostRows } from "./host/run.js";
import { inProcessRows, stubRows } from "./in-process.js";
import { ROWS } from "./rows.js";
import { table } from "./table.js";
import { typeCheckRows } from "./type-check.js";

const here = dirname(fileURLToPath(import.meta.url));

/** @type {Record<string, string[]>} */
const CONTENDERS = {
  capstan: [process.execPath, join(here, "../build/programs/bench/peers/capstan.js")],
  "capstan-js": [process.execPath, join(here, "../build/programs/bench/peers/capstan-js.js")],
  "capstan-js-unix": [
    process.execPath,
    join(here, "../build/programs/bench/peers/capstan-js-unix.js"),
  ],
  raw: [process.execPath, join(here, "peers/raw.js")],
  "capnp-ts": [process.execPath, join(here, "peers/capnp-ts.js")],
  capnweb: [process.execPath, join(here, "peers/capnweb.js")],
  "raw-ws": [process.execPath, join(here, "peers/raw-ws.js")],
  // The same with this library in its memory: what that costs the garbage collector is not what is done with a frame.
  "raw-ws-loaded": [
    process.execPath,
    "--import",
    new URL("../dist/node.js", import.meta.url).href,
    join(here, "peers/raw-ws.js"),
  ],
  cxx: [program("bench")],
  "capstan-workerd": [
    process.execPath,
    join(here, "../build/programs/bench/peers/capstan-workerd.js"),
  ],
  "raw-workerd": [process.execPath, join(here, "peers/raw-workerd.js")],
};

/** What the contenders call that are none of ours, where it is not they themselves. @type {Record<string, string[]>} */
const SERVERS = {
  "capstan-workerd": [process.execPath, join(here, "workerd/serve.js")],
  "raw-workerd": [process.execPath, join(here, "workerd/serve.js")],
};

/** More would tell little: the fastest counts. */
const TYPE_CHECK_ROUNDS = 3;

const options = readOptions(process.argv.slice(2));

/** @param {string[]} argv */
function readOptions(argv) {
  const value = (/** @type {string} */ name) => {
    const at = argv.indexOf(name);
    return at < 0 ? undefined : argv[at + 1];
  };
  return {
    rounds: Number(value("--rounds") ?? 5),
    seconds: Number(value("--seconds") ?? 2),
    only: value("--only")?.split(","),
    write: !argv.includes("--no-write"),
  };
}

/** Runs one contender's server and client for one workload. @returns {Promise<Record<string, number>>} */
async function measure(
  /** @type {string} */ name,
  /** @type {string} */ workload,
  /** @type {boolean} */ oneCore,
) {
  const command = CONTENDERS[name] ?? [];
  const folder = mkdtempSync(join(tmpdir(), "capstan-bench-"));
  const address = `unix:${join(folder, "s")}`;
  const pin = oneCore && existsSync("/usr/bin/taskset") ? ["taskset", "-c", "0"] : [];
  const start = (/** @type {string[]} */ program, /** @type {string[]} */ ...args) => {
    const [file = "", ...rest] = [...pin, ...program, ...args];
    return spawn(file, rest, { stdio: ["ignore", "pipe", "inherit"] });
  };
  const server = start(SERVERS[name] ?? command, "server", address);
  try {
    const where = await new Promise((resolve, reject) => {
      server.once("exit", (code) => reject(new Error(`the ${name} server ended with ${code}`)));
      let said = "";
      server.stdout.on("data", (text) => {
        said += text;
        const line = /^listening (.*)\n/m.exec(said);
        if (line !== null) resolve(line[1]);
      });
    });
    const client = start(
      command,
      "client",
      where,
      workload,
      String(options.seconds),
      // A round trip on one core is compiled late: a short warm-up would measure the engine.
      String(Math.max(1, options.seconds / 3)),
    );
    let out = "";
    client.stdout.on("data", (text) => (out += text));
    const code = await new Promise((resolve) => client.once("exit", resolve));
    if (code !== 0) throw new Error(`the ${name} client ended with ${code}`);
    return JSON.parse(out.trim().split("\n").at(-1) ?? "");
  } finally {
    server.removeAllListeners("exit");
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

async function main() {
  await build();
  if (!existsSync(CONTENDERS["capstan"]?.[1] ?? "")) throw new Error("build first: npm run build");
  const results = [];
  for (const row of ROWS) {
    if (options.only?.some((only) => `${row.name}-`.startsWith(`${only}-`)) === false) continue;
    const subject = row.subject ?? "capstan";
    /** @type {Record<string, Record<string, number>[]>} */
    const rounds = {};
    for (let round = 0; round < options.rounds; round++)
      for (const name of [subject, ...row.against.map((a) => a.peer)])
        (rounds[name] ??= []).push(await measure(name, row.workload, row.oneCore));
    const figure = (/** @type {string} */ name) =>
      median((rounds[name] ?? []).map((r) => r[row.figure] ?? NaN));
    const cpu = (/** @type {string} */ name, /** @type {string} */ side) =>
      median((rounds[name] ?? []).map((r) => r[side] ?? NaN));
    for (const { peer, least, aim } of row.against) {
      const result = {
        row: row.title,
        unit: row.unit,
        capstan: figure(subject),
        peer,
        peerFigure: figure(peer),
        ratio: figure(subject) / figure(peer),
        least,
        aim,
        clientCpu: cpu(subject, "clientCpu"),
        serverCpu: cpu(subject, "serverCpu"),
        peerClientCpu: cpu(peer, "clientCpu"),
        peerServerCpu: cpu(peer, "serverCpu"),
      };
      console.error(
        `${result.row}: ${result.ratio.toFixed(2)} x ${peer} (least ${least ?? "not set"})`,
      );
      results.push(result);
    }
  }
  if (options.only === undefined || options.only.includes("in-process"))
    results.push(...(await inProcessRows()));
  if (options.only === undefined || options.only.includes("stubs"))
    results.push(...stubRows(options.rounds, options.seconds));
  if (options.only === undefined || options.only.includes("host"))
    results.push(...(await hostRows(options.rounds, options.seconds)));
  if (options.only === undefined || options.only.includes("type-check"))
    results.push(...typeCheckRows(Math.min(options.rounds, TYPE_CHECK_ROUNDS)));
  const report = {
    date: new Date().toISOString().slice(0, 10),
    node: process.version,
    cores: cpus().length,
    commit:
      spawnSync("git", ["rev-parse", "--short", "HEAD"], { cwd: here }).stdout?.toString().trim() ??
      "",
    rounds: options.rounds,
    seconds: options.seconds,
    results,
  };
  console.log(table(report));
  if (!options.write || options.only !== undefined) return;
  writeFileSync(join(here, "results.json"), `${JSON.stringify(report, null, 2)}\n`);
  const readme = join(here, "README.md");
  const text = readFileSync(readme, "utf8");
  const [before = "", after = ""] = [
    text.split("<!-- table -->")[0],
    text.split("<!-- /table -->")[1],
  ];
  writeFileSync(readme, `${before}<!-- table -->\n\n${table(report)}\n\n<!-- /table -->${after}`);
}

await main();
