// @ts-check
// Writes the list of scenarios and the table of results into README.md, between their marks; the rest of that file is prose.

import { readFile, writeFile } from "node:fs/promises";
import { SCENARIOS, WORKERD } from "./scenarios.js";

/**
 * @param {string} text
 * @param {string} name of the marks `<!-- name -->` and `<!-- end of name -->`
 * @param {string} content
 * @returns {string} the text with what is between the marks replaced
 */
function between(text, name, content) {
  const from = `<!-- ${name} -->`;
  const to = `<!-- end of ${name} -->`;
  const [start, end] = [text.indexOf(from), text.indexOf(to)];
  if (start < 0 || end < start) throw new Error(`README.md has no place for ${name}`);
  return `${text.slice(0, start + from.length)}\n\n${content}\n\n${text.slice(end)}`;
}

/** @param {readonly { scenario: string, direction: string, ok: boolean, notes: readonly string[] }[]} results */
export async function writeResults(results) {
  const file = new URL("README.md", import.meta.url);
  const rows = results.map(({ scenario, direction, ok, notes }) => {
    const text = notes.join("; ").replaceAll("|", "\\|").replaceAll("\n", " ");
    return `| ${scenario} | ${direction} | ${ok ? "pass" : "FAIL"} | ${text} |`;
  });
  const table = ["| scenario | direction | result | notes |", "|---|---|---|---|", ...rows];
  const list = [...SCENARIOS, WORKERD].map(({ name, shows }) => `- **${name}**: ${shows}`);
  const old = await readFile(file, "utf8");
  await writeFile(
    file,
    between(between(old, "scenarios", list.join("\n")), "results", table.join("\n")),
  );
}
