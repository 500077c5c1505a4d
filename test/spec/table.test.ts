// The clause table: that every clause is stood for, that faults fit the source, that docs/protocol.md is up to date;
// and the machinery that says so.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  checkTable,
  loadTable,
  renderTable,
  testsByClause,
  withoutFault,
} from "../../scripts/clauses.js";
import { judge, runFaults, sample } from "../../scripts/faults.js";
import { plant } from "../../scripts/mutate.js";

const root = path.join(import.meta.dirname, "../..");
/** Never written out: a title that names a clause would count as its test. */
const id = (number: number): string => ["C", "FRM", `0${number}`].join("-");

type Table = ReturnType<typeof loadTable>;

/** A table of two clauses, the first with a test and a fault, the second with a reason. */
function small(change: Partial<Table> = {}): Table {
  return {
    sections: { "C-FRM": "1. Framing", "C-PER": "2. Persistence" },
    clauses: [
      { id: id(1), tag: "S", text: "a | b → c" },
      { id: id(2), tag: "D", text: "d → e", ruling: "f." },
    ],
    reasons: { [id(2)]: { status: "later", reason: "comes with another issue" } },
    faults: [
      {
        name: "off by one",
        clauses: [id(1)],
        file: "src/a.ts",
        find: "+ 1",
        replace: "",
        test: "test/a.test.ts",
      },
    ],
    tests: new Map([[id(1), ["test/a.test.ts"]]]),
    ...change,
  };
}

const readSmall = (file: string): string | null => (file === "src/a.ts" ? "x + 1" : null);

describe("this project's clause table", () => {
  const table = loadTable(root);

  it("carries every clause", () => {
    expect(table.clauses.filter((c) => !c.id.startsWith("C-IOP"))).toHaveLength(400);
    expect(table.clauses.filter((c) => c.id.startsWith("C-IOP"))).toHaveLength(32);
    expect(new Set(table.clauses.map((c) => c.id)).size).toBe(432);
  });

  it("has a test or a reason for each clause, and faults that fit the source", () => {
    const readFile = (file: string): string | null => {
      const full = path.join(root, file);
      return fs.existsSync(full) ? fs.readFileSync(full, "utf8") : null;
    };
    expect(checkTable(table, readFile)).toEqual([]);
  });

  it("stands in docs/protocol.md as it is (node scripts/clause-table.js writes it)", () => {
    expect(fs.readFileSync(path.join(root, "docs/protocol.md"), "utf8")).toBe(renderTable(table));
  });
});

describe("clause table", () => {
  it("finds the clauses that titles name, not those in comments", () => {
    const found = testsByClause([
      ["a.test.ts", `it("${id(1)}, ${id(2)}: both", f);\n// ${id(3)}`],
      ["b.test.ts", "describe(`" + id(2) + " ${x}`, f); /* " + id(4) + " */"],
    ]);
    expect([...found]).toEqual([
      [id(1), ["a.test.ts"]],
      [id(2), ["a.test.ts", "b.test.ts"]],
    ]);
  });

  it("is content with a whole table", () => {
    expect(checkTable(small(), readSmall)).toEqual([]);
    const bySection = small({
      reasons: { "C-FRM": { status: "later", reason: "all of it is later" } },
    });
    expect(checkTable(bySection, readSmall)).toEqual([]);
  });

  it("finds a clause with neither test nor reason", () => {
    expect(checkTable(small({ reasons: {} }), readSmall)).toEqual([
      `${id(2)} has neither a test that names it nor a reason`,
    ]);
  });

  it("finds clauses that are none, and reasons that are none", () => {
    const tests = new Map([...small().tests, [id(9), ["test/a.test.ts"]]] as [string, string[]][]);
    expect(checkTable(small({ tests }), readSmall)).toEqual([
      `test/a.test.ts names ${id(9)}, which is no clause`,
    ]);
    const reasons: Table["reasons"] = {
      [id(1)]: { status: "not applicable", reason: "it does not apply" },
      [id(2)]: { status: "later", reason: "later" },
      [id(9)]: { status: "later", reason: "comes with another issue" },
    };
    expect(checkTable(small({ reasons }), readSmall)).toEqual([
      `${id(1)} is called not applicable, and has a test`,
      `${id(2)} has no reason to speak of`,
      `${id(9)} has a reason, and is no clause`,
    ]);
  });

  it("finds faults that no longer fit", () => {
    const [fault] = small().faults as [Table["faults"][number]];
    const wrongs = (change: object): string[] =>
      checkTable(small({ faults: [{ ...fault, ...change }] }), readSmall);
    expect(wrongs({ find: "+ 2" })).toEqual([
      'fault "off by one": what it replaces stands 0 times in src/a.ts',
    ]);
    expect(wrongs({ file: "src/b.ts" })).toEqual(['fault "off by one": there is no src/b.ts']);
    expect(wrongs({ replace: "+ 1" })).toEqual(['fault "off by one" changes nothing']);
    expect(wrongs({ clauses: [] })).toEqual(['fault "off by one" names no clause']);
    expect(wrongs({ clauses: [id(2)] })).toEqual([
      `fault "off by one": test/a.test.ts has no test that names ${id(2)}`,
    ]);
    expect(checkTable(small({ faults: [fault, fault] }), readSmall)).toEqual([
      'fault "off by one" stands there twice',
    ]);
  });

  it("lists tested clauses without a fault", () => {
    expect(withoutFault(small())).toEqual([]);
    expect(withoutFault(small({ faults: [] }))).toEqual([id(1)]);
  });

  it("renders counts, links, faults, reasons and rulings", () => {
    const text = renderTable(small());
    expect(text).toContain("| 1. Framing (C-FRM) | 2 | 1 | 1 | 0 | 0 | 1 |");
    expect(text).toContain(
      `| ${id(1)} [S] | a \\| b → c | tested: [a.test.ts](../test/a.test.ts) | off by one |`,
    );
    expect(text).toContain(
      `| ${id(2)} [D] | d → e *Here: f.* | later: comes with another issue |  |`,
    );
  });
});

describe("faults", () => {
  it("plants a fault where it fits exactly once", () => {
    const fault = { file: "f", find: "+ 1", replace: "$&" };
    expect(plant("x + 1;", fault)).toBe("x $&;");
    expect(() => plant("x + 1 + 1", fault)).toThrow("stands 2 times in f");
    expect(() => plant("x", fault)).toThrow("stands 0 times in f");
    expect(() => plant("x + 1", { ...fault, replace: "+ 1" })).toThrow("changes nothing");
  });

  it("spreads a sample over the list", () => {
    expect(sample([0, 1, 2, 3, 4, 5], 3)).toEqual([0, 2, 4]);
    expect(sample([0, 1], 3)).toEqual([0, 1]);
  });

  it("takes a fault for caught only when each clause's healthy test fails", () => {
    const test = (number: number, passed: boolean) => ({ name: `s ${id(number)}: t`, passed });
    const sound = [test(1, true), test(2, true)];
    expect(judge([id(1)], sound, [test(1, false)])).toEqual([]);
    expect(judge([id(1)], sound, "hung")).toEqual([]);
    expect(judge([id(1), id(2)], sound, [test(1, false), test(2, true)])).toEqual([
      `the test of ${id(2)} does not notice it`,
    ]);
    expect(judge([id(1)], [test(1, false)], [test(1, false)])).toEqual([
      `the test of ${id(1)} fails without it`,
    ]);
    expect(judge([id(3)], sound, [test(1, false)])).toEqual([`no test that names ${id(3)} ran`]);
    expect(judge([id(1)], sound, [])).toEqual(["the test file does not load with it"]);
  });

  it("runs the test against a copy with the fault", { timeout: 300_000 }, async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-test-"));
    try {
      fs.mkdirSync(path.join(folder, "test"));
      fs.symlinkSync(path.join(root, "node_modules"), path.join(folder, "node_modules"));
      fs.writeFileSync(path.join(folder, "package.json"), `{ "type": "module" }`);
      fs.writeFileSync(path.join(folder, "a.ts"), "export const twice = (x: number) => x * 2;\n");
      fs.writeFileSync(
        path.join(folder, "test/a.test.ts"),
        `import { expect, it } from "vitest";
         import { twice } from "../a.js";
         it("${id(1)}: doubles", () => expect(twice(3)).toBe(6));
         it("${id(2)}: keeps zero", () => expect(twice(0)).toBe(0));`,
      );
      const fault = { file: "a.ts", find: "* 2", test: "test/a.test.ts" };
      const printed: string[] = [];
      const missed = await runFaults(
        folder,
        [
          { ...fault, name: "thrice", replace: "* 3", clauses: [id(1)] },
          { ...fault, name: "unseen", replace: "* 3", clauses: [id(2)] },
          { ...fault, name: "no source", replace: "* (", clauses: [id(2)] },
          { ...fault, name: "no fit", find: "* 4", replace: "* 3", clauses: [id(1)] },
        ],
        1,
        (line) => printed.push(line),
      );
      expect(printed).toEqual([
        `caught  thrice [${id(1)}]`,
        `MISSED (the test of ${id(2)} does not notice it)  unseen [${id(2)}]`,
        `MISSED (the test file does not load with it)  no source [${id(2)}]`,
        `MISSED (what it replaces stands 0 times in a.ts)  no fit [${id(1)}]`,
      ]);
      expect(missed).toBe(3);
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  });
});
