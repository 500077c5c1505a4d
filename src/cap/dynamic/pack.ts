// Role: a value as the payload that answers for it: a Result with the value alone.
// State: none. Must not know: who asked for it.

import type { Scheduler } from "../../base/scheduler.js";
import { Payload } from "../../hook/payload.js";
import { PlainResult } from "./plain.js";
import { writeResult } from "./protocol.js";
import { Outgoing } from "./outgoing.js";
import type { Terms } from "./terms.js";

/**
 * The content is borrowed.
 *
 * @param gives whether the references in it are given away. @param root what the path of a refusal begins with.
 * @throws RpcError when something in it cannot travel.
 */
export function packValue(
  value: unknown,
  gives: boolean,
  scheduler: Scheduler,
  terms: Terms,
  root = "result",
): Payload {
  const plain = PlainResult.of(value);
  if (plain !== null) return plain;
  const outgoing = new Outgoing(scheduler, terms, gives);
  const bytes = outgoing.encode(value, root);
  return new Payload(writeResult(bytes, outgoing.kinds, false, false), outgoing.take());
}
