// Role: what the writers of single kinds may ask of the writing that they are part of.
// State: none. Must not know: any kind.

import type { ErrorPolicy, RpcError } from "../../base/errors.js";
import type { Step } from "../../cap/dynamic/values/failures.js";
import type { ByteWriter } from "./byte-writer.js";
import type { Collected } from "./collect.js";
import type { PendingBlob } from "./contract.js";

/** What the writers of single kinds may ask. */
export interface ValueWriter {
  readonly out: ByteWriter;
  readonly errors: ErrorPolicy;
  readonly found: readonly Collected[];
  readonly externals: number[];
  readonly blobs: PendingBlob[];
  /** A copy that stands one step below the one being written. */
  child(copy: unknown, step: Step): void;
  /** The same, at the same place. */
  value(copy: unknown): void;
  /** Names and copies by turns, with the tag that ends them and their count. */
  properties(pairs: readonly unknown[], end: number): void;
  /** Gives a number to an object that no other mentions. */
  number(): void;
  charge(nodes: number): void;
  /** The text of a string's copy; undefined for anything else. */
  text(copy: unknown): string | undefined;
  /** An error that names the path, and `step` below it. */
  refuse(why: string, step?: Step): RpcError;
}
