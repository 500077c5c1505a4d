// Role: finds and reads the file that says what a Worker module is served with.
// State: none. Must not know: what is in it.

import fs from "node:fs";
import path from "node:path";
import { type ParseError, parse as parseJson, printParseErrorCode } from "jsonc-parser";
import { parse as parseToml, TomlError } from "smol-toml";
import { RpcError } from "../../base/errors.js";
import { type ModuleConfig, readConfig } from "./config.js";

/** In the order in which Wrangler looks for them. */
const NAMES = ["wrangler.json", "wrangler.jsonc", "wrangler.toml"];

/** The configuration in a folder, or null. */
export function findConfig(folder: string): string | null {
  const file = NAMES.map((name) => path.join(folder, name)).find((one) => fs.existsSync(one));
  return file ?? null;
}

/**
 * @param file TOML, if its name ends like that, else JSON with comments.
 * @throws RpcError config-invalid when it is not there, or malformed, or wrong.
 */
export function readConfigFile(file: string): ModuleConfig {
  const shown = path.relative(".", file) || file;
  let text: string;
  try {
    text = fs.readFileSync(file, "utf8");
  } catch (thrown) {
    throw invalid(`${shown} cannot be read: ${(thrown as Error).message}`, thrown);
  }
  return readConfig(file.endsWith(".toml") ? toml(text, shown) : json(text, shown), shown);
}

function toml(text: string, shown: string): unknown {
  try {
    return parseToml(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const [what] = thrown.message.split("\n");
    throw invalid(`${shown}:${thrown.line}:${thrown.column}: ${what}`, thrown);
  }
}

function json(text: string, shown: string): unknown {
  const errors: ParseError[] = [];
  const tree: unknown = parseJson(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined) return tree;
  const before = text.slice(0, first.offset).split("\n");
  const what = printParseErrorCode(first.error);
  throw invalid(`${shown}:${before.length}:${before.at(-1)!.length + 1}: ${what}`);
}

function invalid(message: string, cause?: unknown): RpcError {
  return new RpcError("failed", "config-invalid", message, { cause });
}
