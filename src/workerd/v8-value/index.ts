// Role: what the bridge sees of the codec of values.
// State: none. Must not know: anything.

export {
  DEFAULT_V8_LIMITS,
  type EncodedV8,
  type EncodeV8Options,
  type ExternalKind,
  type ExternalSink,
  type ExternalSlot,
  type ExternalSource,
  type PendingBlob,
} from "./contract.js";
export { decodeV8 } from "./decode.js";
export { encodeV8, fillBlobs } from "./encode.js";
export { encodeSimpleList } from "./simple.js";
