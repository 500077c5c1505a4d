// Role: under which terms values are exchanged: the classes that go by value, and the limits.
// State: none; one record for all who have no terms of their own. Must not know: stubs, connections.
//
// Terms belong to no process and to no class. A stub has those it was made with, an object those it is served with, and
// whatever comes or goes through either has the same: who gets a stub in a result can say through it what it could say
// through the first.

import type { ErrorPolicy } from "../../base/errors.js";
import { checkLimits, DEFAULT_LIMITS, type Limits } from "../../base/limits.js";
import type { Scheduler } from "../../base/scheduler.js";
import { NO_TYPES, type ValueTypes } from "./values/types.js";

/** What users say of the terms. */
export interface TermsOptions {
  /** The classes that go by value beyond the standard ones; the other side has to have them too. Default: none. */
  readonly types?: ValueTypes | undefined;
  /** Of these limits those that concern objects and stubs. Default: {@link DEFAULT_LIMITS}. */
  readonly limits?: Limits | undefined;
}

/** How an object is served, or a stub made. */
export interface StubOptions extends TermsOptions {
  /** Whose jobs its calls are; by default the process's own. */
  readonly scheduler?: Scheduler | undefined;
}

/** The same with nothing left open. */
export interface Terms {
  readonly types: ValueTypes;
  readonly limits: Limits;
  /** What is told of errors, where values are encoded for one peer; elsewhere that is known later. */
  readonly errors?: ErrorPolicy;
}

export const DEFAULT_TERMS: Terms = /* @__PURE__ */ Object.freeze({
  types: NO_TYPES,
  limits: DEFAULT_LIMITS,
});

/**
 * The terms that `options` ask for; where they ask for nothing, `otherwise`.
 * @throws RpcError invalid-argument when a limit is missing.
 */
export function termsOf(options: TermsOptions | undefined, otherwise = DEFAULT_TERMS): Terms {
  if (options === undefined) return otherwise;
  const { types = otherwise.types, limits = otherwise.limits } = options;
  if (types === otherwise.types && limits === otherwise.limits) return otherwise;
  return { types, limits: checkLimits(limits) };
}
