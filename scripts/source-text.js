// @ts-check
// Reads TypeScript or JavaScript just far enough to tell code, comments and strings apart. Enough for the
// project's own rules, with no parser to load: it must not know what those rules are.

/**
 * @typedef {object} Literal
 * @property {string} text what stands between the quotes, escapes left as written; of a template, its literal
 *   parts with `${}` for each hole
 * @property {number} line 1-based
 */

/**
 * @typedef {object} SourceText
 * @property {string} code the source, each comment and regular expression blanked and each string emptied, line
 *   breaks kept. A string's place is marked by its index: `"12"` stands for literals[12].
 * @property {Literal[]} literals every string and template, in order of their opening quotes
 */

/** After one of these a slash begins a regular expression, elsewhere it divides. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%~^<>]|\b(?:return|typeof|case|in|of|do|else|void|await|yield))$/;

/**
 * @param {string} source
 * @returns {SourceText}
 */
export function readSource(source) {
  /** @type {Literal[]} */
  const literals = [];
  let code = "";
  let line = 1;
  let at = 0;
  /** @type {{ index: number, depth: number }[]} templates we are inside a hole of */
  const holes = [];

  /** @param {string} text blanked, but for its line breaks */
  const blank = (text) => {
    for (const char of text) {
      code += char === "\n" ? "\n" : " ";
      if (char === "\n") line++;
    }
  };

  /** The rest of a template from `at`, to its end or to its next hole. @param {number} index */
  const template = (index) => {
    const from = at;
    while (at < source.length) {
      if (source[at] === "\\") at += 2;
      else if (source[at] === "`" || (source[at] === "$" && source[at + 1] === "{")) break;
      else at++;
    }
    const part = source.slice(from, at);
    literals[index].text += part;
    blank(part);
    if (source[at] === "$") {
      literals[index].text += "${}";
      holes.push({ index, depth: 0 });
      code += "  ";
      at += 2;
    } else {
      code += '"';
      at++;
    }
  };

  while (at < source.length) {
    const char = source[at];
    const pair = source.slice(at, at + 2);
    const hole = holes.at(-1);
    if (pair === "//") {
      const end = source.indexOf("\n", at);
      at = end < 0 ? source.length : end;
    } else if (pair === "/*") {
      const end = source.indexOf("*/", at + 2);
      const stop = end < 0 ? source.length : end + 2;
      blank(source.slice(at, stop));
      at = stop;
    } else if (char === '"' || char === "'") {
      let end = at + 1;
      while (end < source.length && source[end] !== char && source[end] !== "\n") {
        end += source[end] === "\\" ? 2 : 1;
      }
      code += `"${literals.length}"`;
      literals.push({ text: source.slice(at + 1, end), line });
      at = end + 1;
    } else if (char === "`") {
      code += `"${literals.length}`;
      literals.push({ text: "", line });
      at++;
      template(literals.length - 1);
    } else if (char === "/" && BEFORE_REGEX.test(code.trimEnd())) {
      let end = at + 1;
      let inClass = false;
      while (end < source.length && source[end] !== "\n" && (inClass || source[end] !== "/")) {
        if (source[end] === "[") inClass = true;
        else if (source[end] === "]") inClass = false;
        end += source[end] === "\\" ? 2 : 1;
      }
      blank(source.slice(at, end + 1));
      at = end + 1;
    } else {
      if (hole !== undefined && char === "{") hole.depth++;
      if (hole !== undefined && char === "}") {
        if (hole.depth === 0) {
          holes.pop();
          at++;
          template(hole.index);
          continue;
        }
        hole.depth--;
      }
      if (char === "\n") line++;
      code += char;
      at++;
    }
  }
  return { code, literals };
}

/**
 * @typedef {object} ImportOf
 * @property {string} specifier as written
 * @property {boolean} typeOnly gone at run time
 * @property {number} line 1-based
 */

/**
 * What a module imports, in any form that takes a literal: import and export declarations, import() as a value or
 * as a type, require().
 * @param {string} source
 * @returns {ImportOf[]}
 */
export function importsOf(source) {
  const { code, literals } = readSource(source);
  /** @type {ImportOf[]} */
  const found = [];
  /** @param {string | undefined} index @param {boolean} typeOnly */
  const add = (index, typeOnly) => {
    const literal = literals[Number(index)];
    if (literal !== undefined)
      found.push({ specifier: literal.text, typeOnly, line: literal.line });
  };
  // `import { type A }` is not type-only: verbatimModuleSyntax keeps it as `import {}`, which still loads the file.
  const declared =
    /\b(?:import|export)\b(\s+type\b(?!\s*(?:,|from\b|=)))?(?:(?!\b(?:import|export)\b)[^;"'()=])*?\bfrom\s*"(\d+)/g;
  for (const [, type, index] of code.matchAll(declared)) add(index, type !== undefined);
  for (const [, index] of code.matchAll(/\bimport\s*"(\d+)/g)) add(index, false);
  for (const match of code.matchAll(/\b(?:import|require)\s*\(\s*"(\d+)/g)) {
    // `let x: import("./y.js").Y` and `typeof import(...)` are types; `await import(...)` and the rest are not.
    const before = code.slice(0, match.index).trimEnd();
    add(match[1], /[:<|&]$/.test(before) || /\btypeof$/.test(before));
  }
  return found.sort((a, b) => a.line - b.line);
}
