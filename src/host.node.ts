/// <reference types="node" preserve="true" />
// Role: the entry `capstan/host`: objects with storage, in this process.
// State: none. Must not know: anything of its own.

import { type Classes, Host, type HostOptions } from "./host/object/host.js";
import type { AnyNamespaces } from "./host/process/program.node.js";
import { HostServer, type StartOptions } from "./host/process/supervisor.node.js";
import { nodeRuntime } from "./host/object/runtime.node.js";

/**
 * Opens a host of objects in this process.
 *
 * @param options the store, which the host closes; the classes by the names of their namespaces.
 * @throws RpcError invalid-argument, naming the option; storage-version, storage-corrupt, storage-failed (as rejections).
 * @example
 * await using host = await createHost({ store: new MemoryStore(), classes: { ROOMS: Room } });
 * await host.env.ROOMS.getByName("lobby").say("hello");
 */
export function createHost<C extends Classes, V extends object = object>(
  options: HostOptions<C, V>,
): Promise<Host<C, V>> {
  return Host.open(options, nodeRuntime());
}

/**
 * Starts a host of several processes: this one keeps the others alive; objects run in as many as `processes` says, and a front, if the
 * program has one, answers connections.
 *
 * @typeParam E the namespaces of the program, by their names.
 * @throws RpcError invalid-argument, naming the option; storage-locked when another host has the directory; listen-failed; what the
 *   program fails with (as rejections).
 * @example
 * await using host = await startHost({ directory: "./data", program: new URL("./program.mjs", import.meta.url).href });
 * await host.env.ROOMS.getByName("lobby").say("hello");
 */
export function startHost<E extends object = AnyNamespaces>(
  options: StartOptions,
): Promise<HostServer<E>> {
  return HostServer.start<E>(options);
}

export type {
  CollectedObject,
  CollectionReport,
  CollectOptions,
} from "./host/collect/collector.js";
export type { CollectionStats } from "./host/collect/stats.js";
export {
  type AlarmInfo,
  DurableObject,
  type EventHandlers,
  type ObjectClass,
  type PrivateClass,
} from "./host/object/durable-object.js";
export { restore, type Restores } from "./host/object/facets.js";
export type { Classes, EnvOf, Host, HostOptions } from "./host/object/host.js";
export type { ObjectId } from "./host/object/ids.js";
export type { Namespace, ObjectStub, PrivateNamespace } from "./host/object/namespace.js";
export { DEFAULT_HOST_LIMITS, type HostLimits, type Reporter } from "./host/object/parts.js";
export type { Fetch } from "./host/object/requests.js";
export type { ObjectState } from "./host/object/state.js";
export type {
  AnyNamespaces,
  Front,
  FrontContext,
  HostProgram,
  LoadedProgram,
} from "./host/process/program.node.js";
export { obeySignals } from "./host/process/signals.node.js";
export type { HostServer, ProgramSource, StartOptions } from "./host/process/supervisor.node.js";
export type { SavedReference, SavedReferences } from "./host/references/saved.js";
export { WebSocketRequestResponsePair } from "./host/sockets/auto-response.js";
export type { ListOptions, PutOptions, ReadOptions } from "./host/storage/arguments.js";
export { type LmdbOptions, openLmdbStore } from "./host/storage/lmdb-store.node.js";
export { MemoryStore } from "./host/storage/memory-store.js";
export type { ObjectStorage } from "./host/storage/object-storage.js";
export type {
  ClearWrite,
  Commit,
  DerivedWrite,
  Entry,
  PutWrite,
  Range,
  Soon,
  Store,
  View,
  Write,
} from "./host/storage/store.js";
export type { Transaction } from "./host/storage/transaction.js";
