// Role: the one error class of Capstan, its four wire types, its stable codes and its delivery state.
// State: none. Must not know: connections, bytes, or how an error is shown to a user.

/** Cap'n Proto's four kinds of failure (rpc.capnp `Exception.Type`, C-DIS-10). The wire number is the index. */
export const ERROR_TYPES = ["failed", "overloaded", "disconnected", "unimplemented"] as const;
export type RpcErrorType = (typeof ERROR_TYPES)[number];

/**
 * What is known of a call that failed.
 * - `not-sent`: no byte of it was given to the transport: a retry is safe.
 * - `started`: a Return for it arrived, so the callee has handled it.
 * - `unknown`: all else: it may or may not have run.
 */
export type Delivery = "not-sent" | "started" | "unknown";

/** Stable codes: test these, never the message. Each is described in docs/errors.md. */
export const ERROR_CODES = [
  // The callee's word.
  "remote-exception",
  "method-failed",
  "method-unimplemented",
  "call-canceled",
  // A capability that cannot be called.
  "null-capability",
  "not-a-capability",
  "capability-revoked",
  "capability-disposed",
  "promise-cycle",
  "invalid-capability",
  "answer-unavailable",
  "stream-dropped",
  "body-length",
  "no-response",
  "no-bootstrap",
  // Saved references.
  "not-persistent",
  "reference-refused",
  "identity-refused",
  // The connection.
  "connection-lost",
  "connection-closed",
  "connection-draining",
  "connect-failed",
  "listen-failed",
  "peer-aborted",
  "peer-unresponsive",
  "origin-refused",
  "http-refused",
  "batch-over",
  "no-callbacks",
  // What the peer sent.
  "malformed-frame",
  "malformed-message",
  "invalid-payload",
  "protocol-error",
  "peer-unimplemented",
  // Limits.
  "message-too-large",
  "limit-exceeded",
  "queue-full",
  // The caller.
  "deadline-exceeded",
  "invalid-argument",
  "validation-failed",
  "invalid-state",
  "unsendable-value",
  "schema-error",
  // The object host.
  "object-broken",
  "object-closed",
  "object-refused",
  "process-lost",
  "object-deleted",
  "object-collected",
  "reference-lost",
  "gate-cycle",
  "invalid-id",
  "unstorable-value",
  "storage-failed",
  "storage-full",
  "storage-corrupt",
  "storage-locked",
  "storage-version",
  "storage-closed",
  "missing-dependency",
  // What a host serves.
  "config-invalid",
  "module-failed",
  "module-export",
  "internal-error",
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** One entry of `Exception.details`: an id agreed by two applications, and bytes only they understand (C-DIS-14). */
export interface ErrorDetail {
  readonly id: bigint;
  readonly data: Uint8Array;
}

export interface RpcErrorOptions {
  cause?: unknown;
  delivery?: Delivery | undefined;
  /** What was called, as far as the caller knows: an interface and a method, or the path of a property. */
  method?: string | undefined;
  details?: readonly ErrorDetail[];
  /** The peer's stack, as text, when it chose to send one (C-DIS-13). */
  trace?: string;
  /** The number on the wire when it is none of the four known types: kept when the error is passed on. */
  wireType?: number;
}

const NO_DETAILS: readonly ErrorDetail[] = Object.freeze([]);
const BRAND = Symbol.for("capstan.RpcError");

/** V8's switch for the depth of stacks; elsewhere the property is inert. */
const STACKS = Error as { stackTraceLimit?: number | undefined };

/** Of how many one has its stack noted; 0 for none. */
let stackEvery = 0;
let stackCount = 0;
/** Whether the error being made is about to be given the stack of another. */
let stackFollows = false;

/**
 * Turns the capture of JavaScript stacks on or off for the process: of an {@link RpcError} made here, and of each call by
 * a stub, so that the error it may fail with says where the call was made. Off by default, since a stack costs 2 to 9
 * microseconds and most errors are handled, not read. It is turned into text only when it is read.
 *
 * @param on whether errors and calls made from now on carry a stack; or of how many one does.
 * @throws RangeError when `every` is no whole number of at least 1.
 * @example
 * captureErrorStacks(true); // while developing
 * captureErrorStacks({ every: 100 }); // in production: a sample
 */
export function captureErrorStacks(on: boolean | { readonly every: number }): void {
  const every = typeof on === "boolean" ? Number(on) : on.every;
  if (typeof on !== "boolean" && !(Number.isSafeInteger(every) && every >= 1))
    throw new RangeError(`every must be a whole number of at least 1, not ${String(every)}`);
  stackEvery = every;
  stackCount = 0;
}

function wantsStack(): boolean {
  return stackEvery !== 0 && stackCount++ % stackEvery === 0;
}

/** Where the program is, if stacks are captured and this one is in the sample; else null. Its text is made when it is read. */
export function stackSite(): Error | null {
  return wantsStack() ? new Error("called") : null;
}

/**
 * What an error is about to tell a peer, for an {@link ErrorRedactor}: one that a call fails with, or one that goes as a
 * value, in arguments, results, chunks and reasons. The errors inside of one that goes as a value are told of by themselves.
 */
export interface LeavingError {
  readonly type: RpcErrorType;
  /** Its code; `method-failed` for what is no RpcError. Peers are not told. */
  readonly code: ErrorCode;
  readonly message: string;
  /** The stack, or the one it came with; empty unless the session sends traces. */
  readonly trace: string;
  /** What applications attached; the errors of registered classes are among them. None of an error that goes as a value. */
  readonly details: readonly ErrorDetail[];
  /** The names of its own properties, `cause` and `errors` too, of an error that goes as a value; else none. */
  readonly properties: readonly string[];
  /** What a method of this vat threw, or the error that goes as a value; undefined where it came from elsewhere. Not sent. */
  readonly cause: unknown;
}

/**
 * Decides what of an error leaves for a peer: what it returns instead of the parts that it was shown; null for nothing but the
 * type, or, of one that goes as a value, the standard class. Of `properties` those that it names go. What it throws counts as
 * null. It runs for every error sent, in the middle of a message: it must be quick, and call nothing of the connection.
 */
export type ErrorRedactor = (leaving: LeavingError) => RedactedError | null;

export type RedactedError = Partial<
  Pick<LeavingError, "message" | "trace" | "details" | "properties">
>;

/** What of errors is for a peer. */
export interface ErrorPolicy {
  /** Whether stacks are, its own and those it came with (C-DIS-13). */
  readonly sendTrace: boolean;
  /** Has the last word; null where nobody has. */
  readonly redact: ErrorRedactor | null;
}

/** What is said where nothing is to be. */
export const WITHHELD = "the reason is not for this peer";

/** What `redact` makes of `leaving`. Never throws: one that throws, or says nothing of sense, lets nothing out. */
export function redactedBy(redact: ErrorRedactor, leaving: LeavingError): RedactedError | null {
  try {
    const left = redact(leaving);
    if (typeof left !== "object" || left === null) return null;
    for (const text of [left.message, left.trace])
      if (text !== undefined && typeof text !== "string") return null;
    for (const list of [left.details, left.properties])
      if (list !== undefined && !Array.isArray(list)) return null;
    return left;
  } catch {
    return null;
  }
}

/** The failures that errors of other classes stand for. */
const facts = /* @__PURE__ */ new WeakMap<object, RpcError>();

/** Notes that `error` is how `fact` is shown to a user. Returns `error`. */
export function standsFor<E extends object>(error: E, fact: RpcError): E {
  facts.set(error, fact);
  return error;
}

/** Gives `error` the stack of `site`, under its own name and message: text that is made when it is first read. */
export function withStackOf<E extends Error>(error: E, site: Error): E {
  Object.defineProperty(error, "stack", {
    get: () => {
      const lines = (site.stack ?? "").split("\n");
      const frames = lines.filter((line) => /^\s+at |@/.test(line));
      return [`${error.name}: ${error.message}`, ...frames].join("\n");
    },
    set: (value: unknown) => {
      Object.defineProperty(error, "stack", { value, writable: true, configurable: true });
    },
    configurable: true,
    enumerable: false,
  });
  return error;
}

/**
 * The one error of Capstan.
 *
 * @example
 * try { await calculator.divide({ by: 0 }); }
 * catch (e) { if (RpcError.is(e) && e.type === "overloaded") await backOff(); else throw e; }
 *
 * Source: rpc.capnp `Exception`; C-DIS-10 to 19.
 */
export class RpcError extends Error {
  readonly type: RpcErrorType;
  readonly code: ErrorCode;
  readonly details: readonly ErrorDetail[];
  readonly trace: string;
  readonly wireType: number;
  /** What was called: `Interface.method`, or a property path such as `rooms.open`. Undefined when it was no call. */
  readonly method: string | undefined;
  /** Set by whoever knows: the connection that lost the call, or the reader of its Return. */
  delivery: Delivery | undefined;

  constructor(type: RpcErrorType, code: ErrorCode, message: string, options?: RpcErrorOptions) {
    const limit = STACKS.stackTraceLimit;
    // Without a number V8 captures nothing, and has nothing to make into text when another stack takes its place.
    if (stackFollows) STACKS.stackTraceLimit = undefined;
    else if (!wantsStack()) STACKS.stackTraceLimit = 0;
    super(message);
    STACKS.stackTraceLimit = limit;
    this.type = type;
    this.code = code;
    this.details = options?.details ?? NO_DETAILS;
    this.trace = options?.trace ?? "";
    this.wireType = options?.wireType ?? ERROR_TYPES.indexOf(type);
    this.delivery = options?.delivery;
    this.method = options?.method;
    if (options !== undefined && "cause" in options) this.cause = options.cause;
  }

  override get name(): string {
    return "RpcError";
  }

  get [BRAND](): true {
    return true;
  }

  /** Whether `value` is an RpcError, also one made by another copy of this library. */
  static is(value: unknown): value is RpcError {
    return typeof value === "object" && value !== null && BRAND in value;
  }

  /**
   * What is known of the failure that a call by a stub was rejected with: type, code, delivery, method, trace. An RpcError is
   * that itself; an error of a class registered in `ValueTypes` has one beside it.
   *
   * @returns undefined for an error that is of no call.
   * @example catch (error) { if (RpcError.of(error)?.delivery === "not-sent") await retry(); else throw error; }
   */
  static of(error: unknown): RpcError | undefined {
    if (RpcError.is(error)) return error;
    return typeof error === "object" && error !== null ? facts.get(error) : undefined;
  }

  /**
   * Turns anything thrown by user code into an RpcError that is safe to send: an RpcError passes, the message of an
   * Error is kept, its stack is not (C-DIS-15). Never throws, whatever the value's getters do (C-HOS-19).
   */
  static from(thrown: unknown, code: ErrorCode = "method-failed"): RpcError {
    try {
      if (RpcError.is(thrown)) return thrown;
    } catch {
      // A proxy whose traps throw is no error of ours.
    }
    return new RpcError("failed", code, describeThrown(thrown), { cause: thrown });
  }

  /** What it costs to keep, in bytes, for limits (C-HOS-03). */
  get heldBytes(): number {
    let bytes = 64 + 2 * (this.message.length + this.trace.length);
    for (const { data } of this.details) bytes += data.length;
    return bytes;
  }

  /** The same failure with another type: what a peer's Abort or a lost connection means to the calls it took along. */
  as(type: RpcErrorType, code: ErrorCode, delivery?: Delivery): RpcError {
    return new RpcError(type, code, this.message, {
      cause: this,
      details: this.details,
      trace: this.trace,
      method: this.method,
      delivery,
    });
  }

  /** The same failure with what is known of the delivery of one call. */
  delivered(delivery: Delivery): RpcError {
    if (this.delivery === delivery) return this;
    return new RpcError(this.type, this.code, this.message, {
      cause: this.cause ?? this,
      details: this.details,
      trace: this.trace,
      wireType: this.wireType,
      method: this.method,
      delivery,
    });
  }

  /** The same failure, its stack that of `site`: the error itself may be shared by many calls. */
  calledAt(site: Error): RpcError {
    stackFollows = true;
    const error = new RpcError(this.type, this.code, this.message, {
      ...("cause" in this ? { cause: this.cause } : {}),
      details: this.details,
      trace: this.trace,
      wireType: this.wireType,
      delivery: this.delivery,
      method: this.method,
    });
    stackFollows = false;
    return withStackOf(error, site);
  }

  /** The same failure as that of a call of `method`. One that names its method already stays as it is. */
  calling(method: string): RpcError {
    if (this.method !== undefined) return this;
    return new RpcError(this.type, this.code, this.message, {
      ...("cause" in this ? { cause: this.cause } : {}),
      details: this.details,
      trace: this.trace,
      wireType: this.wireType,
      delivery: this.delivery,
      method,
    });
  }
}

function describeThrown(thrown: unknown): string {
  try {
    if (thrown instanceof Error)
      return String(thrown.message) || "the method failed without a message";
    return `the method threw ${typeof thrown === "object" ? "an object that is no Error" : String(thrown)}`;
  } catch {
    return "the method threw a value that cannot be described";
  }
}
