// Role: cuts a batch into the units of a carrier of messages: one message each, or as many as fit where that was agreed.
// State: none. Must not know: the carrier.

import { joinBytes } from "../base/bytes.js";
import type { Batch } from "../wire/outbox.js";

/** A unit of many messages is no longer than this; a longer one holds a single message. */
export const BATCH_UNIT_BYTES = 1024 * 1024;
/** A message of so many bytes goes alone: its receiver need not copy what is in a buffer of its own (inlet.ts). */
const ALONE_BYTES = 16 * 1024;

/** A unit as the pieces that make it up, in order. */
export interface Pieces {
  readonly parts: readonly Uint8Array[];
  readonly bytes: number;
}

/**
 * The units of `batch`, in order, as they lie there: none is copied.
 * @param batching whether a unit may hold many messages.
 */
export function* piecesOf(batch: Batch, batching: boolean): Generator<Pieces> {
  if (batching && (batch.bytes < ALONE_BYTES || batch.count === 1)) {
    yield { parts: batch.chunks, bytes: batch.bytes };
    return;
  }
  let parts: Uint8Array[] = [];
  let bytes = 0;
  let alone = false;
  for (const message of batch.messages()) {
    let length = 0;
    for (const part of message) length += part.length;
    const ends = alone || !batching || length >= ALONE_BYTES || bytes + length > BATCH_UNIT_BYTES;
    if (parts.length > 0 && ends) {
      yield { parts, bytes };
      parts = [];
      bytes = 0;
    }
    alone = length >= ALONE_BYTES;
    parts.push(...message);
    bytes += length;
  }
  yield { parts, bytes };
}

/**
 * The units of `batch`, in order, each in one piece.
 *
 * @param batching whether a unit may hold many messages.
 * @param own whether each unit must be a buffer of its own, to be given away; else one that is a piece already is not copied.
 */
export function* unitsOf(
  batch: Batch,
  batching: boolean,
  own = false,
): Generator<Uint8Array<ArrayBuffer>> {
  for (const { parts, bytes } of piecesOf(batch, batching)) yield join(parts, bytes, own);
}

function join(parts: readonly Uint8Array[], bytes: number, own: boolean): Uint8Array<ArrayBuffer> {
  if (parts.length === 1 && !own) return parts[0] as Uint8Array<ArrayBuffer>;
  return joinBytes(parts, bytes);
}
