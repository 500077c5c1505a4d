// Role: what was thrown at one side of the bridge, as the other side knows errors.
// State: none. Must not know: who calls whom.
//
// workerd puts the class of an error into the reason, in front of its message, and the whole of it as a value into a detail.
// What it knows beside that is in the type of the exception and in what the reason begins with.

import {
  type ErrorCode,
  type ErrorDetail,
  type ErrorPolicy,
  type LeavingError,
  redactedBy,
  RpcError,
  WITHHELD,
} from "../base/errors.js";
import { valuesUnder } from "../cap/dynamic/streams.js";
import { type Terms, termsOf } from "../cap/dynamic/terms.js";
import type { Values } from "../cap/stream/values.js";
import type { SessionOptions } from "../vat/session.js";
import { decodeV8, encodeV8, type ExternalSource } from "./v8-value/index.js";

/** What is beside the bytes of a value that has nothing beside them. */
export const NOTHING_BESIDE: ExternalSource = {
  left: 0,
  take() {
    throw new RpcError("failed", "invalid-payload", "nothing may go beside this value");
  },
};

/** The thrown value, serialized. */
const THROWN = 0xe8027292171b1646n;
/** That {@link THROWN} is to be believed. One byte, 1. */
const ENHANCED = 0xbdc917cdea1f7681n;

/** `remote.jsg.TypeError: message`, with what may stand before it. */
const REASON = /(?:^|[\s;])(?:remote\.)?jsg\.([A-Za-z]+)(?:\(([^)]*)\))?: ([^]*)$/;

const CLASSES: ReadonlyMap<string, new (message: string) => Error> = /* @__PURE__ */ new Map([
  ["Error", Error],
  ["TypeError", TypeError],
  ["RangeError", RangeError],
  ["SyntaxError", SyntaxError],
  ["ReferenceError", ReferenceError],
  ["URIError", URIError],
  ["EvalError", EvalError],
] as const);

/**
 * The failure of a call that workerd answered: the message alone, and the value that was thrown as its `cause`, with its class, its
 * own properties and its own cause. Its type says what else workerd knows: `overloaded`; `disconnected`, where it calls
 * the error retryable; and of an object that was reset the code is `object-broken`.
 */
export function fromWorkerd(error: RpcError): RpcError {
  if (error.code !== "remote-exception") return error;
  const found = REASON.exec(error.message);
  const [, name = "", domName = "", text = error.message] = found ?? [];
  const thrown =
    thrownIn(error) ?? (found === null ? undefined : { value: made(name, domName, text) });
  const code = error.message.startsWith("broken.") ? "object-broken" : "remote-exception";
  const message = thrown?.value instanceof Error ? thrown.value.message : text;
  return new RpcError(error.type, code, message, {
    ...(thrown === undefined ? {} : { cause: thrown.value }),
    details: error.details,
    trace: error.trace,
    wireType: error.wireType,
    delivery: error.delivery,
    method: error.method,
  });
}

function thrownIn({ details }: RpcError): { readonly value: unknown } | undefined {
  const detail = details.find(({ id }) => id === THROWN);
  if (detail === undefined) return undefined;
  try {
    return { value: decodeV8(detail.data, NOTHING_BESIDE) };
  } catch {
    // What is malformed is not told of: the failure of the call is.
    return undefined;
  }
}

function made(name: string, domName: string, message: string): Error {
  if (name === "DOMException") return new DOMException(message, domName) as Error;
  const Class = CLASSES.get(name) ?? Error;
  const error = new Class(message);
  if (Class.name !== name)
    Object.defineProperty(error, "name", { value: name, configurable: true });
  return error;
}

/** Of errors all but their stacks: who says nothing of it has it so. */
const NO_STACKS: ErrorPolicy = /* @__PURE__ */ Object.freeze({ sendTrace: false, redact: null });

/** The terms of what goes over one connection to workerd. */
export function bridgeTerms(options: SessionOptions): Terms {
  const { sendTrace = false, redactError: redact = null } = options;
  return { ...termsOf(options), errors: { sendTrace, redact } };
}

/** The options of its session, which is not asked again for what {@link toWorkerd} has asked for. */
export function bridgeSession<O extends SessionOptions>(options: O): O {
  const { redactError } = options;
  if (redactError === undefined) return options;
  return { ...options, redactError: (leaving) => (isTold(leaving) ? {} : redactError(leaving)) };
}

function isTold({ message, details }: LeavingError): boolean {
  return message.startsWith("jsg.") || details.some(({ id }) => id === THROWN);
}

/** What a call of theirs fails with when a method of ours threw `thrown`: all of it that they may be told. Never throws. */
export function toWorkerd(thrown: unknown, terms: Terms): RpcError {
  const policy = terms.errors ?? NO_STACKS;
  const { type, code, message } = RpcError.of(thrown) ?? RpcError.from(thrown);
  const cause = behind(thrown);
  let told = message;
  if (policy.redact !== null) {
    const leaving = { type, code, message, trace: "", details: [], properties: [], cause };
    const left = redactedBy(policy.redact, leaving);
    told = left === null ? WITHHELD : (left.message ?? message);
  }
  const reason = `jsg.${nameOf(cause)}: ${told}`;
  return new RpcError(type, code, reason, { cause, details: detailsOf(cause, policy) });
}

/** So many failures may each be that of the next. */
const MOST_WRAPPED = 8;

/** What a call was failed with: who made it, and failed with its failure, is not what threw. */
function behind(thrown: unknown): unknown {
  for (let wrapped = 0; wrapped < MOST_WRAPPED; wrapped++) {
    const error = RpcError.from(thrown);
    const { cause } = error;
    if (error !== thrown || cause === undefined || !PASSED_ON.has(error.code)) break;
    if (RpcError.from(cause).message !== error.message) break;
    thrown = cause;
  }
  return thrown;
}

/** Codes of failures that are somebody else's. */
const PASSED_ON: ReadonlySet<ErrorCode> = /* @__PURE__ */ new Set([
  "method-failed",
  "remote-exception",
  "object-broken",
]);

function nameOf(thrown: unknown): string {
  try {
    if (thrown instanceof DOMException) return `DOMException(${thrown.name})`;
    for (const [name, Class] of CLASSES)
      if (name !== "Error" && thrown instanceof Class) return name;
  } catch {
    // A proxy, perhaps.
  }
  return "Error";
}

function detailsOf(thrown: unknown, errors: ErrorPolicy): readonly ErrorDetail[] {
  // What is no error is shown to nobody who could keep it back.
  if (errors.redact !== null && !(thrown instanceof Error)) return [];
  try {
    const { bytes } = encodeV8(thrown, { external: () => undefined }, { root: "error", errors });
    return [
      { id: THROWN, data: bytes },
      { id: ENHANCED, data: Uint8Array.of(1) },
    ];
  } catch {
    // Something in it cannot travel: its class and message do.
    return [];
  }
}

/** What streams know of errors. Their chunks are bytes. */
export function streamValues(terms: Terms): Values {
  return {
    ...valuesUnder(terms),
    failure: (reason) => toWorkerd(reason, terms),
    shown: fromWorkerd,
  };
}
