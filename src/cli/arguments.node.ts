// Role: reads the arguments of a command. State: none. Must not know: any command.

import { parseArgs, type ParseArgsConfig } from "node:util";
import { Misuse } from "./misuse.js";

/** @throws Misuse for what the command does not take. */
export function readArguments<T extends NonNullable<ParseArgsConfig["options"]>>(
  args: string[],
  options: T,
): ReturnType<typeof parseArgs<{ args: string[]; allowPositionals: true; options: T }>> {
  try {
    return parseArgs({ args, allowPositionals: true, options });
  } catch (thrown) {
    throw new Misuse(thrown instanceof Error ? thrown.message : String(thrown));
  }
}
