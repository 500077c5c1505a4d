// @ts-check
// Runs the interop scenarios:  npm run interop  [-- --only NAME,NAME] [--pairs cxx:ts,ts:cxx]
//
// Builds the programs, plays every scenario with every pair of client and server languages, each on a fresh server and fresh
// sockets, writes the results into README.md (a run of everything only), and ends with a line "N passed, N failed".
// Exit code 0 when nothing failed.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { build as buildCxx } from "./cxx/build.js";
import { languageOf, runClient, startServer, WORKERD_SMOKE } from "./peers.js";
import { writeResults } from "./results.js";
import { SCENARIOS, WORKERD } from "./scenarios.js";
import { openTap } from "./tap.js";
import { OBJECT, startWorkerd } from "./workerd/workerd.js";

/**
 * @typedef {import("./peers.js").Language} Language
 * @typedef {import("./scenarios.js").Scenario} Scenario
 * @typedef {import("./scenarios.js").Expect} Expect
 * @typedef {Awaited<ReturnType<typeof openTap>>} Tap
 * @typedef {{ ok: boolean, notes: string[] }} Outcome the reasons in `notes` when not ok
 */

const LIMIT_MS = 90_000;

/**
 * Compares what the wiretap saw with what it should have.
 *
 * @param {Expect} expect
 * @param {Tap} tap
 * @returns {Outcome}
 */
function judge(expect, tap) {
  const seen = [];
  const lacks = [];
  for (const direction of /** @type {const} */ (["up", "down"])) {
    for (const [kind, least] of Object.entries(expect[direction] ?? {})) {
      const count = tap[direction].counts[kind] ?? 0;
      seen.push(`${count} ${kind} ${direction}`);
      if (count < least) lacks.push(`${count} ${kind} ${direction}, not ${least}`);
    }
  }
  if (expect.segments !== undefined) {
    const { up, down } = tap;
    const text = `${up.segments} segments up, ${down.segments} down`;
    seen.push(text);
    if (up.segments < expect.segments.up || down.segments < expect.segments.down) lacks.push(text);
  }
  return lacks.length > 0
    ? { ok: false, notes: [`seen on the wire: ${lacks.join("; ")}`] }
    : { ok: true, notes: seen };
}

/**
 * @param {Scenario} scenario
 * @param {Language} clientLanguage
 * @param {Language} serverLanguage
 * @returns {Promise<Outcome>}
 */
async function play(scenario, clientLanguage, serverLanguage) {
  const folder = await mkdtemp(join(tmpdir(), "capstan-interop-"));
  /** @type {(() => unknown)[]} */
  const closers = [() => rm(folder, { recursive: true, force: true })];
  try {
    const path = join(folder, "server");
    const asked = scenario.on === "tcp" ? "tcp://127.0.0.1:0" : `unix:${path}`;
    const server = await startServer(serverLanguage, asked, scenario.bootstrap ?? "interop");
    closers.push(() => server.stop());

    let address = server.address;
    let tap = null;
    if (scenario.on !== "tcp" && scenario.expect !== null) {
      tap = await openTap(join(folder, "tap"), path);
      closers.push(tap.close);
      address = `unix:${join(folder, "tap")}`;
    }

    const notes = [];
    for (const client of scenario.clients ?? [scenario.name]) {
      const result = await runClient(clientLanguage.client, address, client, LIMIT_MS);
      const mustDie = scenario.killed?.includes(client) ?? false;
      if (mustDie ? result.signal !== "SIGKILL" : !result.ok) {
        const said = server.stderr.trim();
        const reasons = [`${client}: ${result.error}`, ...(said === "" ? [] : [`server: ${said}`])];
        return { ok: false, notes: reasons };
      }
      notes.push(...result.notes);
    }
    const seen = tap === null ? { ok: true, notes: [] } : judge(scenario.expect ?? {}, tap);
    return { ok: seen.ok, notes: [...notes, ...seen.notes] };
  } catch (error) {
    return { ok: false, notes: [error instanceof Error ? error.message : String(error)] };
  } finally {
    for (let close = closers.pop(); close !== undefined; close = closers.pop()) await close();
  }
}

/**
 * The smoke test against the C++ v2 implementation: TS client, workerd as the server.
 *
 * @returns {Promise<Outcome>}
 */
async function playWorkerd() {
  const folder = await mkdtemp(join(tmpdir(), "capstan-interop-"));
  try {
    const workerd = await startWorkerd(folder);
    try {
      const address = `unix:${workerd.path}`;
      const result = await runClient(WORKERD_SMOKE, address, JSON.stringify(OBJECT), LIMIT_MS);
      if (!result.ok) return { ok: false, notes: [`${workerd.version}: ${result.error}`] };
      return { ok: true, notes: [workerd.version, ...result.notes] };
    } finally {
      await workerd.stop();
    }
  } catch (error) {
    return { ok: false, notes: [error instanceof Error ? error.message : String(error)] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function main() {
  const { values } = parseArgs({
    options: { only: { type: "string" }, pairs: { type: "string" } },
  });
  const all = [...SCENARIOS.map(({ name }) => name), WORKERD.name];
  const only = values.only?.split(",") ?? all;
  const unknown = only.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`no such scenario: ${unknown.join(", ")}`);

  await buildCxx();
  const pairs = (values.pairs ?? "cxx:ts,ts:cxx").split(",").map((pair) => {
    const [client = "", server = ""] = pair.split(":");
    return { client: languageOf(client), server: languageOf(server) };
  });

  /** @type {{ scenario: string, direction: string, ok: boolean, notes: string[] }[]} */
  const results = [];
  /** @param {string} scenario @param {string} direction @param {() => Promise<Outcome>} run */
  const record = async (scenario, direction, run) => {
    const start = Date.now();
    const { ok, notes } = await run();
    const head = `${ok ? "pass" : "FAIL"}  ${scenario.padEnd(17)} ${direction}`;
    console.log(`${head}  ${Date.now() - start} ms  ${notes.join("; ")}`);
    results.push({ scenario, direction, ok, notes });
  };
  for (const scenario of SCENARIOS.filter(({ name }) => only.includes(name)))
    for (const { client, server } of pairs)
      await record(scenario.name, `${client.title} client, ${server.title} server`, () =>
        play(scenario, client, server),
      );
  if (only.includes(WORKERD.name) && (values.pairs === undefined || values.only !== undefined))
    await record(WORKERD.name, "TS client, workerd", playWorkerd);
  if (values.only === undefined && values.pairs === undefined) await writeResults(results);

  const failed = results.filter(({ ok }) => !ok).length;
  console.log(`${results.length - failed} passed, ${failed} failed`);
  process.exitCode = failed === 0 ? 0 : 1;
}

await main().catch((error) => {
  console.error(error.message);
  console.log("0 passed, 1 failed");
  process.exitCode = 1;
});
