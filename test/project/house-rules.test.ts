// The rules of the house: that each is broken by what breaks it, and by nothing near it.

import { describe, expect, it } from "vitest";
import { checkHouseRules, MAX_LINES } from "../../scripts/house-rules.js";

/** What is said of one file. */
function said(file: string, text: string): string[] {
  return checkHouseRules(new Map([[file, text]]), ["/home/somebody"]).map(
    ({ line, what }) => `${line}: ${what}`,
  );
}

describe("house rules", () => {
  it("limits the lines of what people write", () => {
    const long = "//\n".repeat(MAX_LINES);
    expect(said("src/base/a.ts", long)).toEqual([]);
    expect(said("src/base/a.ts", `${long}//\n`)).toEqual([
      "701: has 701 lines, and 700 is the most",
    ]);
    expect(said("test/a.test.ts", `${long}//\n`)).toHaveLength(1);
    expect(said("interop/cxx/peer.cc", `${long}//\n`)).toHaveLength(1);
    expect(said("src/cap/a.capnp.ts", `${long}//\n`)).toEqual([]);
    expect(said("docs/a.md", `${long}//\n`)).toEqual([]);
  });

  it("finds notes of work to do", () => {
    const word = ["TO", "DO"].join("");
    expect(said("src/a.ts", `// ${word}: later`)).toEqual(["1: leaves a note of work to do"]);
    expect(said("docs/a.md", `a\n${["FIX", "ME"].join("")}`)).toEqual([
      "2: leaves a note of work to do",
    ]);
    expect(said("src/a.ts", `// ${word.toLowerCase()} list, ${word}S`)).toEqual([]);
  });

  it("finds names of registry hosts", () => {
    const host = ["registry", "npmjs", "org"].join(".");
    expect(said("package-lock.json", `"https://${host}/ws"`)).toEqual([`1: names ${host}`]);
  });

  it("finds paths of one machine, not paths that look alike", () => {
    const found = ["1: names /home/somebody, a path of one machine"];
    expect(said("a.json", `"/home/somebody/src"`)).toEqual(found);
    expect(said("a.md", `see file:///home/somebody`)).toEqual(found);
    expect(said("a.md", `/home/somebody-else, x/home/somebody, ./home/somebody`)).toEqual([]);
  });

  it("wants a reason for a skipped test", () => {
    const skipped = "1: skips a test without a comment `skip: <reason>`";
    expect(said("test/a.test.ts", `it.skip("a", () => {});`)).toEqual([skipped]);
    expect(said("test/a.test.ts", `describe.skipIf(old)("a", () => {});`)).toEqual([skipped]);
    expect(said("test/a.test.ts", `it.concurrent.todo("a");`)).toEqual([skipped]);
    expect(said("test/a.test.ts", `// skip: it rains\nit.skip("a", () => {});`)).toEqual([]);
    expect(said("test/a.test.ts", `it("a", (c) => c.skip());`)).toHaveLength(1);
    expect(said("test/a.test.ts", `it("a", (c) => c.skip("it rains"));`)).toEqual([]);
    expect(said("test/a.test.ts", `it("says it.skip() in words", () => {});`)).toEqual([]);
    const tool = `const no = missingTool("capnp") !== null;\n`;
    expect(said("test/a.test.ts", `${tool}it.skipIf(no)("a", () => {});`)).toEqual([]);
    expect(said("test/a.test.ts", `${tool}it.skip("a", () => {});`)).toHaveLength(1);
    expect(said("test/a.test.ts", `it.only("a", () => {});`)).toEqual(["1: runs one test only"]);
  });

  it("finds what Node 20 cannot run", () => {
    expect(said("src/a.ts", `  await using x = f();`)).toEqual(["1: has a `using` declaration"]);
    expect(said("src/a.ts", `// await using x = f();`)).toEqual([]);
    expect(said("test/a.test.ts", `using x = f();`)).toEqual([]);
    expect(said("src/a.ts", `new DisposableStack()`)).toHaveLength(1);
  });
});
