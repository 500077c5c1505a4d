import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { ERROR_CODES } from "../../src/base/errors.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";

/** The first cell, in backticks, of every row below the heading. */
function rows(file: string, heading: string): string[] {
  const text = readFileSync(new URL(`../../docs/${file}`, import.meta.url), "utf8");
  const section = text.slice(text.indexOf(heading));
  return [...section.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]!);
}

it("docs/errors.md lists exactly the codes there are", () => {
  expect(rows("errors.md", "## Codes").sort()).toEqual([...ERROR_CODES].sort());
});

it("docs/limits.md lists exactly the limits there are, with their defaults", () => {
  expect(rows("limits.md", "# Limits").sort()).toEqual(Object.keys(DEFAULT_LIMITS).sort());
  const text = readFileSync(new URL("../../docs/limits.md", import.meta.url), "utf8");
  const sizes: Record<string, number> = { KiB: 1024, MiB: 1024 * 1024 };
  for (const [name, value] of Object.entries(DEFAULT_LIMITS)) {
    const shown = new RegExp(`^\\| \`${name}\` \\| ([\\d,]+)(?: (KiB|MiB))?`, "m").exec(text)!;
    expect(Number(shown[1]!.replaceAll(",", "")) * (sizes[shown[2] ?? ""] ?? 1), name).toBe(value);
  }
});
