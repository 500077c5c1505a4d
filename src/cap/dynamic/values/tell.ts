// Role: what a peer is told of the errors among values, which is known only when they leave for it.
// State: per encoded value with errors in it, how to encode it again, for as long as its bytes live.
// Must not know: who the peer is, or which calls the values are of.
//
// Bytes are made before it is known where they go: to a callee of this vat, over one connection or over several. These first
// bytes say of errors what anybody may know; whoever sends them asks for those that are for its peer.

import { type ErrorPolicy, redactedBy, RpcError, WITHHELD } from "../../../base/errors.js";
import { type ErrorPart, Utf16Part } from "./parts.js";
import { isWellFormed } from "./text.js";
import { DOM_EXCEPTION } from "./kinds.js";

type Again = (policy: ErrorPolicy) => Uint8Array;

const encoders = /* @__PURE__ */ new WeakMap<Uint8Array, Again>();

/** Where an RpcError has the stack of another vat. */
export const TRACE = "trace";

/** Nothing. */
const NOTHING: ErrorPolicy = { sendTrace: false, redact: () => null };

/** Notes that there are errors in the value of `bytes`, and how to encode that value again. */
export function tellAgain(bytes: Uint8Array, again: Again): void {
  encoders.set(bytes, again);
}

/** Whether there are errors in the value that `bytes` were made of. They are the very array that encodeValue returned. */
export function holdsErrors(bytes: Uint8Array): boolean {
  return encoders.has(bytes);
}

/**
 * The bytes that are for a peer of whom `policy` holds; null for one of this vat. What does not fit says less.
 * @throws RpcError limit-exceeded when even that does not fit.
 */
export function toldBytes(bytes: Uint8Array, policy: ErrorPolicy | null): Uint8Array {
  const again = policy === null ? undefined : encoders.get(bytes);
  if (again === undefined) return bytes;
  try {
    return again(policy!);
  } catch {
    // With the stacks, or other messages, it was over a limit.
    return again(NOTHING);
  }
}

/** The property that holds the stack of an error when it is sent. */
export function traceNameOf(error: object): string {
  return RpcError.is(error) ? TRACE : "stack";
}

/** What follows the kind of an error on the wire under `policy`: a message, a name, properties, and the stack. */
export function toldParts({ error, parts }: ErrorPart, policy: ErrorPolicy): readonly unknown[] {
  const [base, registered, ...pairs] = parts;
  const traceName = traceNameOf(error);
  const trace = policy.sendTrace ? traceOf(error) : "";
  const first = pairs[0] === "message" ? pairs[1] : "";
  const message = textOf(first);
  const properties = namesIn(pairs).filter((name) => !WITH_RULES.has(name) && name !== traceName);
  let said = { message: first, trace, properties: properties as readonly string[] };
  if (policy.redact !== null) {
    const { type, code } = RpcError.from(error);
    const leaving = { type, code, message, trace, details: [], properties, cause: error };
    const left = redactedBy(policy.redact, leaving);
    if (left === null) {
      // The name of a DOMException is its class.
      const name = base === DOM_EXCEPTION ? ["name", pairs[3]] : [];
      return [base, "", "message", WITHHELD, ...name];
    }
    said = {
      message: partOf(left.message ?? message),
      trace: left.trace ?? trace,
      properties: left.properties ?? properties,
    };
  }
  const told: unknown[] = [base, registered];
  if (pairs[0] === "message" || said.message !== "") told.push("message", said.message);
  const goes = new Set(["name", ...said.properties]);
  for (let i = 0; i < pairs.length; i += 2) {
    const name = textOf(pairs[i]);
    if (goes.has(name) && name !== "message" && name !== traceName)
      told.push(pairs[i], pairs[i + 1]);
  }
  if (said.trace !== "" || traceName === TRACE) told.push(traceName, partOf(said.trace));
  return told;
}

/** Told of by themselves. */
const WITH_RULES = new Set(["message", "name"]);

function namesIn(pairs: readonly unknown[]): string[] {
  return pairs.filter((_, i) => i % 2 === 0).map(textOf);
}

function textOf(part: unknown): string {
  if (part instanceof Utf16Part) return part.text;
  return typeof part === "string" ? part : "";
}

function partOf(text: string): unknown {
  return isWellFormed(text) ? text : new Utf16Part(text);
}

/** Never throws (C-HOS-19). */
function traceOf(error: object): string {
  try {
    return String((RpcError.is(error) ? error.trace : (error as Error).stack) ?? "");
  } catch {
    return "";
  }
}
