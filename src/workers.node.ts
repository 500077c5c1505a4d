/// <reference types="node" preserve="true" />
// Role: the entry `capstan/workers`: what `cloudflare:workers` is for modules that a host serves.
// State: none. Must not know: anything of its own.

export { RpcPromise, RpcStub } from "./cap/dynamic/stub.js";
export { RpcTarget } from "./cap/dynamic/target.js";
export { env, waitUntil } from "./host/module/ambient.node.js";
export { ExecutionContext, type Service, WorkerEntrypoint } from "./host/module/entrypoint.js";
export { type AlarmInfo, DurableObject } from "./host/object/durable-object.js";
export type { ObjectId as DurableObjectId } from "./host/object/ids.js";
export type {
  Namespace as DurableObjectNamespace,
  PrivateNamespace,
} from "./host/object/namespace.js";
export type { ObjectState as DurableObjectState } from "./host/object/state.js";
