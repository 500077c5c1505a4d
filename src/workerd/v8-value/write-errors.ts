// Role: errors as workerd writes them: host objects with their class, message and all properties.
// State: none. Must not know: other kinds.
//
// V8's own form of an error has no properties; workerd takes both, whatever its compatibility date.

import { RpcError } from "../../base/errors.js";
import { DOM_EXCEPTION } from "../../cap/dynamic/values/kinds.js";
import type { ErrorPart } from "../../cap/dynamic/values/parts.js";
import { toldParts } from "../../cap/dynamic/values/tell.js";
import { isWellFormed } from "../../cap/dynamic/values/text.js";
import { ERROR_KINDS, HostTag, Tag } from "./tags.js";
import type { ValueWriter } from "./writer.js";

/** What an error is made of, once it is known what is told of it. */
interface Told {
  readonly base: string;
  name: unknown;
  message: unknown;
  /** Names and copies by turns. */
  readonly own: unknown[];
}

export function writeError(writer: ValueWriter, part: ErrorPart): void {
  const told = tell(writer, part);
  if (told.base === DOM_EXCEPTION) return writeDomException(writer, told);
  const { out } = writer;
  out.varint(HostTag.nativeError);
  const name = writer.text(told.name);
  const kind = name === undefined || name === "" ? 0 : Math.max(0, ERROR_KINDS.indexOf(name));
  out.varint(kind);
  if (kind === 0) writer.child(told.name, "name");
  if (writer.text(told.message) === undefined)
    throw writer.refuse("workerd takes no error whose message is no string", "message");
  writer.value(told.message);
  out.byte(Tag.object);
  writer.number();
  writer.properties(told.own, Tag.objectEnd);
}

/** What an RpcError knows of the call that it came by, which is nobody else's. */
const OF_THE_CALL: ReadonlySet<string> = /* @__PURE__ */ new Set([
  "delivery",
  "details",
  "method",
  "wireType",
]);

function isOfTheCall(name: string | undefined, value: unknown): boolean {
  return OF_THE_CALL.has(name ?? "") || (name === "trace" && value === "");
}

function tell(writer: ValueWriter, part: ErrorPart): Told {
  const [base, , ...pairs] = toldParts(part, writer.errors) as [string, string, ...unknown[]];
  const ofCall = RpcError.is(part.error);
  const told: Told = { base, name: base, message: "", own: [] };
  for (let i = 0; i < pairs.length; i += 2) {
    const name = writer.text(pairs[i]);
    if (name === "name") told.name = pairs[i + 1];
    else if (name === "message") told.message = pairs[i + 1];
    else if (!ofCall || !isOfTheCall(name, pairs[i + 1])) told.own.push(pairs[i], pairs[i + 1]);
  }
  return told;
}

/** Three strings and no more. */
function writeDomException(writer: ValueWriter, { name, message, own }: Told): void {
  const { out } = writer;
  out.varint(HostTag.domException);
  let stack = "";
  for (let i = 0; i < own.length; i += 2) {
    const key = writer.text(own[i])!;
    if (key !== "stack")
      throw writer.refuse("workerd carries no properties of a DOMException", key);
    stack = writer.text(own[i + 1])!;
  }
  out.utf8(plain(writer, name, "name"));
  out.utf8(plain(writer, message, "message"));
  out.utf8(stack);
}

function plain(writer: ValueWriter, copy: unknown, step: string): string {
  const text = writer.text(copy);
  if (text !== undefined && isWellFormed(text)) return text;
  throw writer.refuse("workerd takes only well-formed text there", step);
}
