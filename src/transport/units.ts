// Role: cuts a batch into the units of a carrier of messages: one message each, or as many as fit where that was agreed.
// State: none. Must not know: the carrier.

import type { Batch } from "../wire/outbox.js";

/** A unit of many messages is no longer than this; a longer one holds a single message. */
export const BATCH_UNIT_BYTES = 1024 * 1024;

/**
 * The units of `batch`, in order.
 *
 * @param batching whether a unit may hold many messages.
 * @param own whether each unit must be a buffer of its own, to be given away; else one that is a piece already is not copied.
 */
export function* unitsOf(
  batch: Batch,
  batching: boolean,
  own = false,
): Generator<Uint8Array<ArrayBuffer>> {
  if (batching && batch.bytes <= BATCH_UNIT_BYTES) {
    yield join(batch.chunks, batch.bytes, own);
    return;
  }
  let parts: Uint8Array[] = [];
  let bytes = 0;
  for (const message of batch.messages()) {
    let length = 0;
    for (const part of message) length += part.length;
    if (parts.length > 0 && (!batching || bytes + length > BATCH_UNIT_BYTES)) {
      yield join(parts, bytes, own);
      parts = [];
      bytes = 0;
    }
    parts.push(...message);
    bytes += length;
  }
  yield join(parts, bytes, own);
}

function join(parts: readonly Uint8Array[], bytes: number, own: boolean): Uint8Array<ArrayBuffer> {
  if (parts.length === 1 && !own) return parts[0] as Uint8Array<ArrayBuffer>;
  const unit = new Uint8Array(bytes);
  let at = 0;
  for (const part of parts) {
    unit.set(part, at);
    at += part.length;
  }
  return unit;
}
