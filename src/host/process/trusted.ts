// Role: what sessions between the processes of one host tell each other and no stranger: who capabilities are, who calls, stacks, the codes of errors.
// State: none. Must not know: sockets, objects.

import { type ErrorCode, ERROR_CODES, type ErrorRedactor, RpcError } from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import type { Identities } from "../../hook/identities.js";
import type { LiveRoots } from "../collect/live-roots.js";
import { hostIdentities } from "../references/identity.js";
import { heardFrom, saidOf } from "../gates/far.js";
import type { Frame } from "../gates/input-gate.js";
import type { Waits } from "../gates/waits.js";

/** The id of the detail of an Exception that holds the code, as text. */
const CODE_DETAIL = 0xa5d1c07e3b964f28n;

/** What those sessions have in common. */
interface HostSession {
  readonly identities: Identities;
  readonly sendTrace: true;
  readonly redactError: ErrorRedactor;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Tells everything, and the code beside. */
const withCode: ErrorRedactor = ({ code, details }) => ({
  details: [...details, { id: CODE_DETAIL, data: encoder.encode(code) }],
});

/** The same failure with the code that it has in the process it comes from. */
function withToldCode(error: RpcError): RpcError {
  const { type, message, details, trace, wireType } = error;
  const told = details.find(({ id }) => id === CODE_DETAIL);
  if (told === undefined) return error;
  const code = decoder.decode(told.data);
  if (!(ERROR_CODES as readonly string[]).includes(code)) return error;
  return new RpcError(type, code as ErrorCode, message, {
    details: details.filter((detail) => detail !== told),
    trace,
    wireType,
  });
}

/**
 * Options of a session between two processes of one host.
 *
 * @param roots counts what this process holds.
 * @param waits of this process; null for one that makes no calls for objects.
 */
export function hostSession(roots: LiveRoots, waits: Waits | null): HostSession {
  const callers: Partial<Identities> =
    waits === null
      ? {}
      : {
          caller: (origin) => saidOf(origin as Frame, waits),
          calledBy: (said) => heardFrom(said, waits, processScheduler()),
        };
  const identities = { ...hostIdentities(roots), heard: withToldCode, ...callers };
  return { identities, sendTrace: true, redactError: withCode };
}
