// Role: what the processes of one host say to each other beside calls on objects, on their bytes (schema/host.capnp).
// State: none but scratch. Must not know: objects, connections.

import { type ErrorCode, ERROR_CODES, ERROR_TYPES, RpcError } from "../../base/errors.js";
import type { Content } from "../../wire/content.js";
import { ContentBuilder, StructReader } from "../../wire/struct.js";
import {
  type ObjectReference,
  readReference,
  type Reference,
  referenceBytes,
} from "../references/reference.js";

/** HostedObjects: the bootstrap capability of an object process. */
export const OBJECTS_HI = 0xd2f0a7c4 | 0;
export const OBJECTS_LO = 0x8be14d36 | 0;
export const METHOD_REACH = 0;
export const METHOD_ATTACH = 1;

/** BreakListener: the other way. */
export const LISTENER_HI = 0xb90c6f1a | 0;
export const LISTENER_LO = 0xe7425d83 | 0;
export const METHOD_BROKEN = 0;
export const METHOD_LEAVING = 1;

/** Where the object is in the results of reach. */
export const OBJECT_PATH: readonly number[] = Object.freeze([0]);

const builder = /* @__PURE__ */ new ContentBuilder(256);

/** @param number chosen by the caller, and not used for another while the reference lives: so it is called when it broke. */
export function reachParams(number: number, reference: ObjectReference): Content {
  const root = builder.root(1, 1);
  root.u32(0, number);
  root.data(0, referenceBytes(reference));
  return builder.finish().own();
}

/** @throws RpcError invalid-payload, storage-corrupt for what is no reference. */
export function readReachParams(content: Content): { number: number; reference: Reference } {
  const root = StructReader.of(content);
  return { number: root.u32(0), reference: readReference(root.data(0)) };
}

/** That the object of `number` broke, by what. */
export function brokenParams(number: number, error: RpcError): Content {
  const root = builder.root(1, 2);
  root.u32(0, number);
  root.u16(4, ERROR_TYPES.indexOf(error.type));
  root.text(0, error.code);
  root.text(1, error.message);
  return builder.finish().own();
}

/** @param timeout milliseconds. */
export function leavingParams(timeout: number): Content {
  builder.root(1, 0).u32(0, timeout);
  return builder.finish().own();
}

/** @throws RpcError invalid-payload. */
export function readLeavingParams(content: Content): number {
  return StructReader.of(content).u32(0);
}

/** @throws RpcError invalid-payload. */
export function readBrokenParams(content: Content): { number: number; error: RpcError } {
  const root = StructReader.of(content);
  const type = ERROR_TYPES[root.u16(4)] ?? "disconnected";
  const code = root.text(0);
  const known = (ERROR_CODES as readonly string[]).includes(code);
  const error = new RpcError(type, known ? (code as ErrorCode) : "object-broken", root.text(1));
  return { number: root.u32(0), error };
}
