// Role: which files are modules of text or data, by their names.
// State: none. Must not know: how modules are bundled.
//
// Source: `rules` of Wrangler's configuration, with its default rules behind those that are given.

import type { Field } from "./fields.js";

/** What importing a file gives: a string, an ArrayBuffer, a WebAssembly.Module; or code, as every other module. */
export type RuleType = "Text" | "Data" | "CompiledWasm" | "ESModule" | "CommonJS";

export interface Rule {
  readonly type: RuleType;
  readonly globs: readonly string[];
}

const TYPES: readonly string[] = ["Text", "Data", "CompiledWasm", "ESModule", "CommonJS"];

const DEFAULTS: readonly Rule[] = [
  { type: "Text", globs: ["**/*.txt", "**/*.html", "**/*.sql"] },
  { type: "Data", globs: ["**/*.bin"] },
  { type: "CompiledWasm", globs: ["**/*.wasm"] },
];

/** @throws RpcError config-invalid. */
export function readRules(field: Field | undefined): Rule[] {
  const rules: Rule[] = [];
  /** Types of which no later rule counts. */
  const done = new Set<RuleType>();
  for (const one of field?.list() ?? []) {
    const table = one.tableOf(["type", "globs", "fallthrough"]);
    const type = one.required(table, "type");
    if (!TYPES.includes(type.text())) throw type.error(`must be one of ${TYPES.join(", ")}`);
    const rule = { type: type.text() as RuleType, globs: one.required(table, "globs").texts() };
    if (done.has(rule.type)) continue;
    rules.push(rule);
    if (table.get("fallthrough")?.flag() === false) done.add(rule.type);
  }
  return [...rules, ...DEFAULTS.filter(({ type }) => !done.has(type))];
}

/**
 * What a file is.
 *
 * @param file relative to the folder of the module, with forward slashes.
 * @returns the type of the first rule that fits; null for code.
 */
export function ruleFor(
  rules: readonly Rule[],
  file: string,
): Exclude<RuleType, "ESModule" | "CommonJS"> | null {
  const found = rules.find(({ globs }) => globs.some((glob) => patternOf(glob).test(file)));
  const type = found?.type ?? "ESModule";
  return type === "ESModule" || type === "CommonJS" ? null : type;
}

/** `**` stands for any folders, `*` and `?` for what is in one name, `{a,b}` for one of these, `[a-z]` for one character. */
export function patternOf(glob: string): RegExp {
  let pattern = "";
  let depth = 0;
  const tokens = glob.match(/\*\*\/|\*\*|\[!?[^\]/]+\]|\\.|[^]/g) ?? [];
  for (const token of tokens) {
    if (token === "**/") pattern += "(?:.*/)?";
    else if (token === "**") pattern += ".*";
    else if (token === "*") pattern += "[^/]*";
    else if (token === "?") pattern += "[^/]";
    else if (token === "{" && ++depth > 0) pattern += "(?:";
    else if (token === "}" && depth > 0 && depth-- > 0) pattern += ")";
    else if (token === "," && depth > 0) pattern += "|";
    else if (token.length > 2 && token.startsWith("["))
      pattern += token.replace("[!", "[^").replaceAll("\\", "\\\\");
    else pattern += token.replace(/^\\(.)/, "$1").replace(/[.*+?^${}()|[\]\\/]/g, "\\$&");
  }
  return new RegExp(`^(?:\\./)?${pattern}${")".repeat(depth)}$`);
}
