// @ts-check
// The clause table: what the protocol asks (test/spec/clauses.json), what stands for each clause (a test that names
// it, or a reason in test/spec/reasons.json), and the fault under which that test fails (test/spec/faults/*.json).
// Reads the project's files, writes none.

import fs from "node:fs";
import path from "node:path";
import { projectFiles } from "./lib.js";
import { occurrences } from "./mutate.js";
import { readSource } from "./source-text.js";

/**
 * @typedef {object} Clause
 * @property {string} id as "C-FRM-01"
 * @property {string} tag where the rule comes from
 * @property {string} text situation and required behaviour
 * @property {string} [ruling] how this project reads it, where clauses pull in different directions
 */

/**
 * Why a clause has no test. One entry may stand for a whole section ("C-PER"); an entry for a clause wins over it,
 * and a test wins over both.
 * @typedef {object} Reason
 * @property {"by reading" | "not applicable" | "later"} status
 * @property {string} reason
 */

/**
 * A change to the source that breaks the clauses it names.
 * @typedef {object} Fault
 * @property {string} name what is wrong with the changed source, in a few words
 * @property {string[]} clauses whose test must fail
 * @property {string} file the source file that is changed
 * @property {string} find what is replaced: stands in the file exactly once
 * @property {string} replace
 * @property {string} test the test file that is run
 */

/**
 * @typedef {object} Table
 * @property {Record<string, string>} sections prefix ("C-FRM") to number and title
 * @property {Clause[]} clauses
 * @property {Record<string, Reason>} reasons by clause or by prefix
 * @property {Fault[]} faults
 * @property {Map<string, string[]>} tests clause to the files whose titles name it
 */

const CLAUSE = /\bC-[A-Z]{3}-\d{2}\b/g;

/** @param {string} root @returns {Table} */
export function loadTable(root) {
  /** @param {string} file */
  const read = (file) => JSON.parse(fs.readFileSync(path.join(root, file), "utf8"));
  const files = projectFiles(root);
  return {
    ...read("test/spec/clauses.json"),
    reasons: read("test/spec/reasons.json"),
    faults: files.filter((file) => /^test\/spec\/faults\/.*\.json$/.test(file)).flatMap(read),
    tests: testsByClause(
      files
        .filter(holdsTitles)
        .map((file) => [file, fs.readFileSync(path.join(root, file), "utf8")]),
    ),
  };
}

/** Tests, and the scenario lists of the interop peers. @param {string} file */
const holdsTitles = (file) =>
  /^test\/.*\.test\.ts$/.test(file) || /^interop\/.*\.[jt]s$/.test(file);

/**
 * A title is a string that names a clause: a clause that stands only in a comment does not count.
 * @param {Iterable<[file: string, text: string]>} files
 * @returns {Map<string, string[]>}
 */
export function testsByClause(files) {
  /** @type {Map<string, Set<string>>} */
  const found = new Map();
  for (const [file, text] of files) {
    if (!text.includes("C-")) continue;
    for (const literal of readSource(text).literals) {
      for (const [id] of literal.text.matchAll(CLAUSE)) {
        const known = found.get(id);
        if (known === undefined) found.set(id, new Set([file]));
        else known.add(file);
      }
    }
  }
  return new Map([...found].map(([id, names]) => [id, [...names].sort()]));
}

/** @param {Table} table @param {string} id @returns {Reason | undefined} */
const reasonFor = (table, id) => table.reasons[id] ?? table.reasons[id.slice(0, 5)];

/**
 * What is wrong with the table itself.
 * @param {Table} table
 * @param {(file: string) => string | null} readFile null for a file that is not there
 * @returns {string[]}
 */
export function checkTable(table, readFile) {
  /** @type {string[]} */
  const wrong = [];
  const known = new Set(table.clauses.map((clause) => clause.id));
  for (const { id } of table.clauses) {
    if (!table.tests.has(id) && reasonFor(table, id) === undefined) {
      wrong.push(`${id} has neither a test that names it nor a reason`);
    }
  }
  for (const [id, files] of table.tests) {
    if (!known.has(id)) wrong.push(`${files[0]} names ${id}, which is no clause`);
  }
  for (const [id, { status, reason }] of Object.entries(table.reasons)) {
    if (!known.has(id) && !(id in table.sections))
      wrong.push(`${id} has a reason, and is no clause`);
    if (!["by reading", "not applicable", "later"].includes(status)) {
      wrong.push(`${id} has the status ${status}, which there is not`);
    }
    if (reason.length < 10) wrong.push(`${id} has no reason to speak of`);
    if (status === "not applicable" && table.tests.has(id)) {
      wrong.push(`${id} is called not applicable, and has a test`);
    }
  }
  /** @type {Set<string>} */
  const names = new Set();
  for (const fault of table.faults) {
    const where = `fault "${fault.name}"`;
    if (names.has(fault.name)) wrong.push(`${where} stands there twice`);
    names.add(fault.name);
    if (fault.clauses.length === 0) wrong.push(`${where} names no clause`);
    for (const id of fault.clauses) {
      if (!known.has(id)) wrong.push(`${where} names ${id}, which is no clause`);
      else if (!table.tests.get(id)?.includes(fault.test)) {
        wrong.push(`${where}: ${fault.test} has no test that names ${id}`);
      }
    }
    const text = readFile(fault.file);
    const times = text === null ? 0 : occurrences(text, fault.find);
    if (text === null) wrong.push(`${where}: there is no ${fault.file}`);
    else if (times !== 1)
      wrong.push(`${where}: what it replaces stands ${times} times in ${fault.file}`);
    if (fault.find === fault.replace) wrong.push(`${where} changes nothing`);
  }
  return wrong;
}

/**
 * Clauses that a test names, with no fault to show that the test can fail.
 * @param {Table} table
 * @returns {string[]}
 */
export function withoutFault(table) {
  const faulted = new Set(table.faults.flatMap((fault) => fault.clauses));
  return table.clauses.map((c) => c.id).filter((id) => table.tests.has(id) && !faulted.has(id));
}

/**
 * The table as people read it.
 * @param {Table} table
 * @returns {string} Markdown
 */
export function renderTable(table) {
  /** @type {Map<string, string[]>} */
  const faults = new Map();
  for (const { name, clauses } of table.faults) {
    for (const id of clauses) faults.set(id, [...(faults.get(id) ?? []), name]);
  }
  /** @param {string} prefix */
  const count = (prefix) => {
    const ids = table.clauses.map((c) => c.id).filter((id) => id.startsWith(prefix));
    const tested = ids.filter((id) => table.tests.has(id));
    /** @param {string} status */
    const others = (status) =>
      ids.filter((id) => !table.tests.has(id) && reasonFor(table, id)?.status === status).length;
    const numbers = [
      ids.length,
      tested.length,
      tested.filter((id) => faults.has(id)).length,
      others("by reading"),
      others("not applicable"),
      others("later"),
    ];
    return numbers.join(" | ");
  };
  const lines = [
    "# The protocol, clause by clause",
    "",
    "Written by `node scripts/clause-table.js` from `test/spec/`; a test checks that it is up to date.",
    "",
    "A clause is *situation → required behaviour*. Its tag says where it comes from: S the published schema and",
    "encoding, C the C++ implementation where the schema is silent, D a requirement of this project, R G O W J E",
    "lessons of other implementations (Rust, Go, OCaml, workerd, capnweb, endo). It is **tested** when the title of a",
    "test names it; the fault beside it is a change to the source under which that test fails, and",
    "`node scripts/faults.js` applies each one and runs the test. Otherwise the table says why there is no test.",
    "",
    "| section | clauses | tested | with a fault | by reading | not applicable | later |",
    "|---|---|---|---|---|---|---|",
    ...Object.entries(table.sections).map(
      ([prefix, title]) => `| ${title} (${prefix}) | ${count(prefix)} |`,
    ),
    `| all | ${count("C-")} |`,
  ];
  for (const [prefix, title] of Object.entries(table.sections)) {
    lines.push(
      "",
      `## ${title}`,
      "",
      "| clause | behaviour | status | fault |",
      "|---|---|---|---|",
    );
    for (const clause of table.clauses.filter((c) => c.id.startsWith(prefix))) {
      const ruling = clause.ruling === undefined ? "" : ` *Here: ${clause.ruling}*`;
      const files = table.tests.get(clause.id);
      const reason = reasonFor(table, clause.id);
      const status =
        files !== undefined
          ? `tested: ${files.map((file) => `[${path.posix.basename(file)}](../${file})`).join(", ")}`
          : reason !== undefined
            ? `${reason.status}: ${reason.reason}`
            : "missing";
      const cells = [
        `${clause.id} [${clause.tag}]`,
        clause.text + ruling,
        status,
        (faults.get(clause.id) ?? []).join("; "),
      ];
      lines.push(`| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`);
    }
  }
  return `${lines.join("\n")}\n`;
}
