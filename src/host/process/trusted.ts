// Role: what sessions between the processes of one host tell each other and no stranger: who capabilities are, who calls, stacks, the codes of
// errors and what was thrown.
// State: none. Must not know: sockets, objects.

import {
  type ErrorCode,
  type ErrorDetail,
  ERROR_CODES,
  type ErrorRedactor,
  RpcError,
} from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import type { Identities } from "../../hook/identities.js";
import type { LiveRoots } from "../collect/live-roots.js";
import { hostIdentities } from "../references/identity.js";
import { heardFrom, saidOf } from "../gates/far.js";
import type { Frame } from "../gates/input-gate.js";
import type { Waits } from "../gates/waits.js";
import { thrownBytes, errorFrom } from "./thrown.js";

/** The id of the detail of an Exception that holds the code, as text. */
const CODE_DETAIL = 0xa5d1c07e3b964f28n;
/** The id of the one that holds what was thrown, as a value. */
const THROWN_DETAIL = 0xc3f08b6d14e92a75n;

/** What those sessions have in common. */
interface HostSession {
  readonly identities: Identities;
  readonly sendTrace: true;
  readonly redactError: ErrorRedactor;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Tells everything, and beside it the code and what was thrown. */
const tellAll: ErrorRedactor = ({ code, cause, details }) => ({
  details: [...details, { id: CODE_DETAIL, data: encoder.encode(code) }, ...thrownDetail(cause)],
});

function thrownDetail(cause: unknown): ErrorDetail[] {
  try {
    if (!(cause instanceof Error) || RpcError.is(cause)) return [];
    return [{ id: THROWN_DETAIL, data: thrownBytes(cause) }];
  } catch {
    // A getter of its class, perhaps: what is known beside it goes.
    return [];
  }
}

/** The same failure with the code and the cause that it has in the process it comes from. */
function asTold(error: RpcError): RpcError {
  const { type, message, details, trace, wireType } = error;
  const told = details.find(({ id }) => id === CODE_DETAIL);
  if (told === undefined) return error;
  const code = decoder.decode(told.data);
  if (!(ERROR_CODES as readonly string[]).includes(code)) return error;
  const thrown = details.find(({ id }) => id === THROWN_DETAIL);
  const cause = thrown && errorFrom(thrown.data);
  return new RpcError(type, code as ErrorCode, message, {
    ...(cause === undefined ? {} : { cause }),
    details: details.filter((detail) => detail !== told && detail !== thrown),
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
  const identities = { ...hostIdentities(roots), heard: asTold, ...callers };
  return { identities, sendTrace: true, redactError: tellAll };
}
