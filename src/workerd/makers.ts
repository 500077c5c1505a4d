// Role: what the two ways of a value need of the layers above them, which are made of values themselves.
// State: filled in by stub.ts and serve.ts. Must not know: either.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import type { Root } from "../cap/dynamic/place.js";
import type { Terms } from "../cap/dynamic/terms.js";
import type { Hook } from "../hook/hook.js";
import type { Reach } from "./reach.js";

export const makers: {
  /** A new stub for `reach`, which it takes over. */
  stub: (reach: Reach, terms: Terms) => { readonly root: Root; readonly proxy: object };
  /** The way to what a stub of workerd stands for, as a new reference; undefined for any other root. */
  reachOf: (root: Root) => Reach | undefined;
  /** A new reference to a JsRpcTarget that stands for a function, an RpcTarget, or a stub, of which it has one of its own. */
  serve: (target: object, scheduler: Scheduler, terms: Terms) => Hook;
} = { stub: notReady, reachOf: notReady, serve: notReady };

function notReady(): never {
  throw new RpcError("failed", "internal-error", "the bridge to workerd is not loaded");
}
