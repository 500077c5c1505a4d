// Role: what users get of the dynamic layer. State: none. Must not know: anything of its own.

export { CallContext, callContext } from "./context.js";
export { errorDetail } from "./errors.js";
export { type Leak, leaks, type WatchOptions, watchStubs } from "./debug.js";
export { RpcPromise, RpcStub, sameObject, serve, targetOf, whenReady } from "./stub.js";
export {
  type MethodSchemas,
  type StandardSchema,
  validateFunction,
  validateMethods,
} from "./schema.js";
export { serveWritable, writableOf } from "./streams.js";
export { RpcTarget } from "./target.js";
export type { ByReference, Given, Received, Sendable, StubMembers } from "./types.js";
export type { StubOptions, TermsOptions } from "./terms.js";
export { type ErrorType, type ValueCodec, valueCodec, ValueTypes } from "./values/index.js";
