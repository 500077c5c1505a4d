// Role: the operations that a program is made of. Each names what it acts on by ids of its own, so that the others can
// be left out without changing what it means: that is what makes a failing program shrink.
// State: none. Must not know: what they do.

/** What a method does with a call, chosen by the caller. */
export const Method = {
  /** Leaves it open, for a later operation to answer. */
  hold: 0,
  /** Returns its params at once. */
  echo: 1,
  /** Hands its results over to a call on its first param, with the other params; that one holds. */
  tailHold: 2,
  /** The same; that one echoes. */
  tailEcho: 3,
  /** Calls its first param back with the others, then returns its params. */
  callback: 4,
  /** Fails. */
  fail: 5,
  /** Returns a new object. */
  freshObject: 6,
  /** Returns a new promise, for a later operation to resolve. */
  freshPromise: 7,
  /** Leaves it open, and does not listen when it is canceled. */
  stubborn: 8,
  /** A stream call: leaves it open, and the object takes no other call until it is answered. */
  stream: 9,
} as const;

/** Stands for a reference: the null capability as a param or result, or the null reference as a resolution. */
export const NOTHING = -1;
/** As a resolution: an error. */
export const FAILURE = -2;

/**
 * Ids: each operation that makes something has one, and owns the keys `8 * id + slot` for the references that come of
 * it: slots 0 to 2 the results of a call, 3 to 5 its params where they arrive, 6 anything else.
 */
export type Op = {
  /** No drain of the vat's jobs behind it: the next operation at the same vat belongs to the same turn. */
  more?: boolean;
} & (
  | { op: "bootstrap"; id: number; vat: number; peer: number }
  | { op: "object"; id: number; vat: number }
  | { op: "promise"; id: number; vat: number }
  | {
      op: "call";
      id: number;
      on: number;
      method: number;
      args: number[];
      child: number;
      then: number;
      /** The caller will never pipeline, or wants nothing but the pipeline (hints of the Call). */
      hint?: "noPipeline" | "pipelineOnly";
    }
  | { op: "pipeline"; call: number; slot: number }
  /** Sets the pipeline of a call that is to return just this later. */
  | { op: "early"; call: number; caps: number[] }
  | { op: "answer"; call: number; caps: number[] }
  | { op: "fail"; call: number }
  | { op: "tail"; call: number; id: number; on: number; method: number; args: number[] }
  | { op: "resolve"; promise: number; to: number }
  | { op: "release"; ref: number }
  | { op: "drop"; call: number; response: boolean; pipeline: boolean }
  | { op: "watch"; ref: number; id: number }
  | { op: "wrap"; id: number; ref: number }
  | { op: "deliver"; from: number; to: number }
  /** Everything under way is delivered: what a minimal program says in place of many single deliveries. */
  | { op: "settle" }
  | { op: "cut"; a: number; b: number }
);

/** The ground of a program: how many vats, which of them are linked, and whether reflected calls become tail calls. */
export interface Ground {
  vats: number;
  links: [number, number][];
  tailCalls: "always" | "observed" | "never";
  /** Limits so tight that calls are withheld. */
  tight?: boolean;
}

export function keyOf(id: number, slot: number): number {
  return 8 * id + slot;
}

export const PARAM = 3;
export const OWN = 6;
