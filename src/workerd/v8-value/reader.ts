// Role: what the readers of single kinds may ask of the reading that they are part of.
// State: none. Must not know: any kind.

import type { ValueLimits } from "../../cap/dynamic/values/contract.js";
import type { ByteReader } from "./byte-reader.js";
import type { ExternalSource } from "./contract.js";

/** Nodes that an object is charged that costs more than it weighs in bytes: an empty Map is three bytes to send and 200 to hold. */
export const HEAVY = 8;

/** What the readers of single kinds may ask. */
export interface ValueReader extends ByteReader {
  readonly version: number;
  readonly limits: ValueLimits;
  readonly source: ExternalSource;
  value(): unknown;
  /** Numbers an object before its parts are read: they may lead back to it. */
  number<T>(object: T): T;
  /** The same for one that is made of its parts: to be given to {@link settle}. */
  pend(): number;
  settle<T>(number: number, object: T): T;
  charge(nodes: number): void;
}

/** Gives `object` an own property, whatever its prototype has of that name. */
export function define(object: object, name: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, name, { value, enumerable, writable: true, configurable: true });
}
