// Role: the entry `capstan/typed`: what generated code imports, and what its users need.
// State: none. Must not know: anything of its own.

export { Message } from "./cap/typed/runtime/segment.js";
export { captureErrorStacks, RpcError } from "./base/errors.js";
export type {
  Delivery,
  ErrorCode,
  ErrorDetail,
  ErrorRedactor,
  LeavingError,
  RedactedError,
  RpcErrorType,
} from "./base/errors.js";
export * from "./cap/typed/runtime/annotations.js";
export { any, type AnyInit, AnyPointer, type TypedValue } from "./cap/typed/runtime/any.js";
export { Data, Text } from "./cap/typed/runtime/blobs.js";
export type { CallOptions } from "./cap/call-options.js";
export type { Fill } from "./cap/typed/runtime/call.js";
export type { Holder } from "./hook/holder.js";
export {
  castAs,
  Client,
  type InterfaceType,
  promised,
  type ServerOf,
  whenResolved,
} from "./cap/typed/runtime/client.js";
export * from "./cap/typed/runtime/fields.js";
export * from "./cap/typed/runtime/generic.js";
export type { PointerType, Type } from "./cap/typed/runtime/info.js";
export {
  boundIn,
  Capability,
  type InterfaceInfo,
  interfaceInfo,
  type Members,
  method,
  typeOf,
} from "./cap/typed/runtime/interface.js";
export { List, type ListInit, listOf } from "./cap/typed/runtime/list.js";
export { constant, literal } from "./cap/typed/runtime/literal.js";
export {
  AnyPipeline,
  boundInPipeline,
  callMethod,
  Pipeline,
  pipelineBound,
  pipelineClient,
  pipelineGroup,
  type PipelineOf,
  pipelineStruct,
} from "./cap/typed/runtime/pipeline.js";
export * from "./cap/typed/runtime/primitives.js";
export * from "./cap/typed/runtime/scalars.js";
export {
  type Answer,
  type CallContext,
  serve,
  type ServerHooks,
  type StreamContext,
} from "./cap/typed/runtime/server.js";
export { callStream, whenStreamed } from "./cap/typed/runtime/stream.js";
export {
  type Annotation,
  StreamResult,
  Struct,
  type StructInfo,
  structInfo,
  type StructType,
} from "./cap/typed/runtime/struct.js";
