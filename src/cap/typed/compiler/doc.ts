// Role: a small pretty-printer: lays out documents in lines of at most 100 characters, as the usual formatters do.
// State: none. Must not know: what is printed.
//
// A group is printed on one line if it fits, else each of its own line breaks is taken.

/** A piece of output. */
export type Doc = string | readonly Doc[] | Group | Indent | Break | Choice;

interface Group {
  readonly kind: "group";
  readonly body: Doc;
}
interface Indent {
  readonly kind: "indent";
  readonly body: Doc;
}
interface Break {
  readonly kind: "break";
  /** What stands in its place on one line, and before it when taken. */
  readonly flat: string;
  readonly before: string;
  readonly hard: boolean;
}

/** A space, or a line break when the group does not fit. */
export const line: Doc = { kind: "break", flat: " ", before: "", hard: false };
/** Nothing, or a line break. */
export const softline: Doc = { kind: "break", flat: "", before: "", hard: false };
/** A line break at all events. */
export const hardline: Doc = { kind: "break", flat: "", before: "", hard: true };
/** Nothing, or a comma and a line break: the end of a list. */
const lastLine: Break = { kind: "break", flat: "", before: ",", hard: false };

export function group(...body: Doc[]): Doc {
  return { kind: "group", body };
}

export function indent(...body: Doc[]): Doc {
  return { kind: "indent", body };
}

export function join(separator: Doc, items: readonly Doc[]): Doc {
  return items.flatMap((item, i) => (i === 0 ? [item] : [separator, item]));
}

/** `open`, `items` separated by commas, `close`: on one line, or one item a line with a comma after each. */
export function list(open: string, items: readonly Doc[], close: string): Doc {
  if (items.length === 0) return open + close;
  return group(open, indent(softline, join([",", line], items)), lastLine, close);
}

/** Type arguments: like `list`, without a comma at the end. */
export function typeArgs(name: string, items: readonly Doc[]): Doc {
  if (items.length === 0) return name;
  return [name, group("<", indent(softline, join([",", line], items)), softline, ">")];
}

/** A method of an interface: on one line, or one parameter a line. */
export function signature(name: string, params: readonly Doc[], result: Doc): Doc {
  const flat = [`${name}(`, join(", ", params), "): ", result, ";"];
  const items = params.map((one): Doc => [hardline, one, ","]);
  return choose(flat, [`${name}(`, indent(items), hardline, "): ", result, ";"]);
}

/** The head of a class, up to its brace. @param type its name, @param parameters its type parameters. */
export function classHead(
  type: string,
  parameters: readonly string[],
  base: string,
  args: string,
): Doc {
  const flat = `export class ${type}${parameters.length === 0 ? "" : `<${parameters.join(", ")}>`} extends ${base}`;
  if (args !== "" && parameters.length === 0) return `${flat}<${args}> {`;
  if (args !== "") {
    const typed = group("<", indent(softline, join([",", line], parameters)), lastLine, ">");
    return [
      `export class ${type}`,
      typed,
      ` extends ${base}`,
      group("<", indent(softline, args), softline, ">"),
      " {",
    ];
  }
  if (flat.length + 2 <= 100) return [flat, " {"];
  return [
    flat.slice(0, flat.length - base.length - 9),
    indent(hardline, `extends ${base}`),
    hardline,
    "{",
  ];
}

/** An object literal. */
export function object(entries: readonly Doc[]): Doc {
  return group("{", indent(line, join([",", line], entries)), { ...lastLine, flat: " " }, "}");
}

export function call(name: string, ...args: readonly Doc[]): Doc {
  return list(`${name}(`, args, ")");
}

/** `head`, the alternatives of a union type, `tail`: on one line, or one alternative a line. */
export function union(head: string, type: string, tail: string): Doc {
  const parts = alternatives(type);
  if (parts.length === 1) return [head, " ", type, tail];
  const flat: Doc = [" ", type, tail];
  return choose([head, flat], [head, indent(parts.map((one): Doc => [hardline, "| ", one])), tail]);
}

/** The parts of a type between bars that are in no brackets. */
function alternatives(type: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let from = 0;
  for (let i = 0; i < type.length; i++) {
    if ("<([".includes(type[i]!)) depth++;
    else if (">)]".includes(type[i]!)) depth--;
    else if (type[i] === "|" && depth === 0) {
      out.push(type.slice(from, i).trim());
      from = i + 1;
    }
  }
  out.push(type.slice(from).trim());
  return out;
}

/** The first layout if it fits on the line, else the second. */
function choose(flat: Doc, broken: Doc): Doc {
  return { kind: "choice", flat, broken };
}

/** `head = value;`, with the value on the next line when not even its beginning fits on this one. */
export function assign(head: string, pure: boolean, value: Doc, beginning: Doc): Doc {
  const mark = pure ? "/* @__PURE__ */ " : "";
  const flat = [head, " = ", mark, beginning];
  return {
    kind: "choice",
    flat,
    take: [head, " = ", mark, value, ";"],
    broken: [head, " =", indent(hardline, mark, value), ";"],
  };
}

/** Numbers in brackets, as many on a line as fit. @param column where the bracket stands, counted with the indent. */
export function numbers(values: readonly number[], column: number, depth: number): Doc {
  const flat = `[${values.join(", ")}]`;
  if (column + flat.length < 100) return flat;
  const lines: string[] = [];
  let text = "";
  for (const value of values) {
    const next = text === "" ? `${value},` : `${text} ${value},`;
    if (next.length + depth * 2 + 2 > 100) {
      lines.push(text);
      text = `${value},`;
    } else text = next;
  }
  lines.push(text);
  return ["[", indent(lines.map((one): Doc => [hardline, one])), hardline, "]"];
}

/** Lines in braces. */
export function block(head: Doc, body: readonly Doc[]): Doc {
  if (body.length === 0) return [head, " {}"];
  return braced([head, " {"], body);
}

/** Lines behind a brace that is there already. */
export function braced(head: Doc, body: readonly Doc[]): Doc {
  if (body.length === 0) return [head, "}"];
  return [head, indent(hardline, join(hardline, body)), hardline, "}"];
}

interface Choice {
  readonly kind: "choice";
  /** What must fit for the first layout to be taken. */
  readonly flat: Doc;
  /** The first layout, when it is more than what must fit. */
  readonly take?: Doc;
  readonly broken: Doc;
}

interface Item {
  readonly depth: number;
  readonly flat: boolean;
  readonly doc: Doc;
}

/** @returns the text of `doc`, with a newline at the end. */
export function print(doc: Doc, width = 100): string {
  let out = "";
  let column = 0;
  const work: Item[] = [{ depth: 0, flat: false, doc }];
  for (let item = work.pop(); item !== undefined; item = work.pop()) {
    const { doc: one, depth, flat } = item;
    if (typeof one === "string") {
      out += one;
      column += one.length;
    } else if (isList(one)) {
      for (let i = one.length - 1; i >= 0; i--) work.push({ depth, flat, doc: one[i]! });
    } else if (one.kind === "indent") work.push({ depth: depth + 1, flat, doc: one.body });
    else if (one.kind === "group") {
      const fits = flat || fit(one.body, width - column, work);
      work.push({ depth, flat: fits, doc: one.body });
    } else if (one.kind === "choice") {
      const fits = fit(one.flat, width - column, one.take === undefined ? work : []);
      work.push({
        depth,
        flat: fits && one.take === undefined,
        doc: fits ? (one.take ?? one.flat) : one.broken,
      });
    } else if (flat && !one.hard) {
      out += one.flat;
      column += one.flat.length;
    } else {
      out = `${out.replace(/ +$/, "")}${one.before}\n${"  ".repeat(depth)}`;
      column = depth * 2;
    }
  }
  return `${out.replace(/[ ]+$/gm, "").trimEnd()}\n`;
}

function isList(doc: Doc): doc is readonly Doc[] {
  return Array.isArray(doc);
}

/** Whether `doc` on one line, and what must stand behind it on that line, fit in `room`. */
function fit(doc: Doc, room: number, rest: readonly Item[]): boolean {
  const work: Item[] = [{ depth: 0, flat: true, doc }];
  let next = rest.length;
  let left = room;
  while (left >= 0) {
    const item = work.pop() ?? rest[--next];
    if (item === undefined) return true;
    const one = item.doc;
    if (typeof one === "string") left -= one.length;
    else if (isList(one))
      for (let i = one.length - 1; i >= 0; i--) work.push({ ...item, doc: one[i]! });
    else if (one.kind === "choice") work.push({ ...item, doc: one.flat });
    else if (one.kind !== "break") work.push({ ...item, doc: one.body });
    else if (one.hard || !item.flat) return !item.flat || !one.hard;
    else left -= one.flat.length;
  }
  return false;
}
