// Role: what the rest of the dynamic layer sees of the value codec.
// State: none. Must not know: anything.

export {
  type DecodeOptions,
  DEFAULT_VALUE_LIMITS,
  type EncodeOptions,
  type ReferenceSink,
  type ReferenceSlot,
  type ReferenceSource,
  type Refusal,
  type Span,
  spanOf,
  type ValueLimits,
} from "./contract.js";
export { decodeSpan, decodeValue } from "./decode.js";
export { encodeSpan, encodeValue } from "./encode.js";
export { EXTENDED } from "./kinds.js";
export { decodeSimple, encodeSimple, isSimple, isSimpleList, NOT_SIMPLE } from "./simple.js";
export { holdsErrors, toldBytes } from "./tell.js";
export { type ErrorType, type ValueCodec, valueCodec, ValueTypes } from "./types.js";
