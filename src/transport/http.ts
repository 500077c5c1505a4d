// Role: what the two halves of an HTTP batch agree on. State: none. Must not know: either half.

/** The media type of a batch, both ways: Cap'n Proto messages, framed for a stream, one behind the other. */
export const BATCH_TYPE = "application/x-capnp-rpc-batch";

/** Whether a `content-type` header names {@link BATCH_TYPE}. */
export function isBatchType(header: string | null | undefined): boolean {
  return header?.split(";", 1)[0]?.trim().toLowerCase() === BATCH_TYPE;
}
