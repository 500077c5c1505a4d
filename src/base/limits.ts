// Role: every limit of a connection, in one frozen record with finite defaults. Documented in docs/limits.md.
// State: none. Must not know: who enforces a limit.

import { invalidArgument } from "./checks.js";

/**
 * What anything that waits costs of a limit beside its bytes: about what it takes in memory, a call withheld, a batch that no
 * carrier has taken, a unit that is not read. Without it a flood of tiny ones would be free (C-HOS-05).
 */
export const WAITING_EACH = 1024;

/** All limits of one connection. Soft limits withhold dispatch, hard ones end the connection naming themselves. */
export interface Limits {
  /** 8-byte words in one message, either way; more is refused from the header alone (C-FRM-06). */
  readonly messageWords: number;
  /** Segments in one received message (C-FRM-05). */
  readonly segments: number;
  /** Words that reading one received message may visit, repeats counted again (C-FRM-20, C-VAL-13). */
  readonly traversalWords: number;
  /** Levels of structs and lists in one received message (C-VAL-15). */
  readonly nesting: number;
  /** Entries in one capability table, and operations in one transform (C-HOS-13). */
  readonly capTable: number;
  /** Questions of ours that wait for an answer; a call over it fails as `overloaded` and is not sent. */
  readonly questions: number;
  /** Answers the peer has open with us; over it new calls get an `overloaded` exception (C-HOS-02). */
  readonly answers: number;
  /** References of ours that the peer holds. */
  readonly exports: number;
  /** References of the peer's that we hold. */
  readonly imports: number;
  /** Embargoes waiting for the peer's echo. */
  readonly embargoes: number;
  /** Calls parked on one unresolved promise (C-HOS-08). */
  readonly queuedCalls: number;
  /** Soft: bytes of params of calls being handled; over it dispatch is withheld, not the decoding (C-FLO-18). */
  readonly incomingCallBytes: number;
  /** Hard: bytes of params withheld, and some for each call; over it reading stops, and if that lasts the connection ends (C-FLO-18). */
  readonly withheldCallBytes: number;
  /** Hard: bytes of results kept for answers that the peer does not finish (C-HOS-03). */
  readonly heldResultBytes: number;
  /** Soft: bytes written and not yet taken by the transport; `whenWritable` waits under it (C-FLO-19). */
  readonly outgoingBytes: number;
  /** Hard: the same; over it the connection ends as `overloaded` (C-FLO-20). */
  readonly outgoingBytesHard: number;
  /** Bytes of stream calls in flight at the start of a stream (C-FLO-04). */
  readonly streamWindow: number;
  /** Soft: calls by stubs to one peer, or in this process, that are not answered; `whenReady` waits for fewer. */
  readonly callsInFlight: number;
  /** The same; a call over it fails as `overloaded` and is not sent. */
  readonly callsInFlightHard: number;
  /** Steps that one call of `map` runs, over all elements and all programs inside of it. */
  readonly mapRuns: number;
  /** Steps of one program of `map`, those of programs inside of it counted. */
  readonly mapSteps: number;
  /** Programs of `map` inside one another. */
  readonly mapLevels: number;
  /** Elements that one call of `map` runs over, each of which gives a result. */
  readonly mapResults: number;
  /** Bytes of an error of a registered class, either way: what does not fit of its properties is left out. */
  readonly errorBytes: number;
  /** Characters of a peer's reason or trace that are kept (C-HOS-16). */
  readonly reasonLength: number;
}

/** The defaults: enough for ordinary use, finite for a stranger. Source: conformance section 22.2. */
export const DEFAULT_LIMITS: Limits = Object.freeze({
  messageWords: 8 * 1024 * 1024,
  segments: 512,
  traversalWords: 8 * 1024 * 1024,
  nesting: 64,
  capTable: 65_536,
  questions: 1_000_000,
  answers: 100_000,
  exports: 1_000_000,
  imports: 1_000_000,
  embargoes: 100_000,
  queuedCalls: 100_000,
  incomingCallBytes: 64 * 1024 * 1024,
  withheldCallBytes: 128 * 1024 * 1024,
  heldResultBytes: 256 * 1024 * 1024,
  outgoingBytes: 16 * 1024 * 1024,
  outgoingBytesHard: 512 * 1024 * 1024,
  streamWindow: 64 * 1024,
  callsInFlight: 10_000,
  callsInFlightHard: 500_000,
  mapRuns: 100_000,
  mapSteps: 1000,
  mapLevels: 8,
  mapResults: 100_000,
  errorBytes: 16 * 1024,
  reasonLength: 8192,
});

/**
 * The defaults with some values replaced.
 *
 * @param changes limits to replace; each a finite whole number of at least 1.
 * @throws RpcError invalid-argument, naming the limit, when there is none of that name or a value is not such a number.
 * @example limitsWith({ nesting: 32, answers: 1000 })
 */
export function limitsWith(changes: Partial<Limits>): Limits {
  for (const name in changes)
    if (!Object.hasOwn(DEFAULT_LIMITS, name)) throw invalidArgument(`there is no limit ${name}`);
  return Object.freeze(checkLimits({ ...DEFAULT_LIMITS, ...changes }));
}

/**
 * Limits as a user gives them, or the defaults: one that is missing would not be enforced.
 * @throws RpcError invalid-argument, naming the first limit that is none.
 */
export function checkLimits(given: Limits | undefined): Limits {
  const limits = given ?? DEFAULT_LIMITS;
  for (const name in DEFAULT_LIMITS) {
    const value: unknown = limits[name as keyof Limits];
    if (!Number.isSafeInteger(value) || (value as number) < 1)
      throw invalidArgument(
        `${name} must be a whole number from 1 on, not ${String(value)}: use limitsWith({...})`,
      );
  }
  return limits;
}
