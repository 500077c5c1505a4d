// Role: comments of the schema as comments of the output. State: none. Must not know: what they describe.

import { type Doc, hardline } from "./doc.js";

/** A doc comment with its line break, or nothing. */
export function docComment(text: string): Doc {
  const lines = text
    .replace(/\s+$/, "")
    .split("\n")
    .map((one) => one.trimEnd().replaceAll("*/", "*\\/"));
  if (lines.length === 1 && lines[0] === "") return "";
  if (lines.length === 1 && lines[0]!.length < 80) return [`/** ${lines[0]!} */`, hardline];
  return [
    "/**",
    hardline,
    lines.map((one): Doc => [one === "" ? " *" : ` * ${one}`, hardline]),
    " */",
    hardline,
  ];
}
