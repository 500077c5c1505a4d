// Role: streams and signals that workerd makes here, before the value that names them.
// State: per stream, who reads and who writes; per signal, its controller. Must not know: calls.

import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import type { Terms } from "../cap/dynamic/terms.js";
import type { Drain } from "../cap/stream/sink-server.js";
import { droppedError } from "../cap/stream/values.js";
import type { Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { IncomingBody, type Inlet, inletInto } from "../http/incoming-body.js";
import { NOTHING_BESIDE, streamValues } from "./errors.js";
import { methodOf, readPush, readReason, writeCapabilities } from "./protocol.js";
import { decodeV8 } from "./v8-value/index.js";

function noMethod(): never {
  throw new RpcError("unimplemented", "method-unimplemented", "this has no methods");
}

/** What stands for a stream until a value names it. */
export class PushedStream implements Server {
  readonly passive = true;
  private readonly body: IncomingBody;
  private readonly inlet: Inlet;
  private taken = false;
  private over = false;
  private session: Hook | null = null;
  private readonly size: number | null;

  constructor(size: number | null, scheduler: Scheduler, terms: Terms) {
    this.size = size;
    const body = new IncomingBody(
      (reason) => {
        this.inlet.broken(reason);
        this.ended();
      },
      () => body.abort(droppedError()),
    );
    const drain: Drain = {
      write: (chunk) => body.write(chunk),
      end: () => body.end().finally(() => this.ended()),
      abort: (reason) => {
        body.abort(reason);
        this.ended();
      },
      dropped: () => {
        body.dropped();
        this.ended();
      },
    };
    this.body = body;
    this.inlet = inletInto(drain, size, scheduler, streamValues(terms));
  }

  get sink(): Hook {
    return this.inlet.hook;
  }

  /** The stream, once. @param session kept until its end; stays the caller's. @throws RpcError invalid-payload the second time. */
  open(session: Hook | null, scheduler: Scheduler): ReadableStream {
    if (this.taken)
      throw new RpcError("failed", "invalid-payload", "two values came with one stream");
    this.taken = true;
    if (!this.over) this.session = session?.addRef() ?? null;
    return this.body.open(this.size, scheduler);
  }

  /** Nobody will read it. */
  giveUp(): void {
    if (!this.over) this.inlet.broken(droppedError("nobody read it"));
    this.ended();
  }

  private ended(): void {
    this.over = true;
    this.session?.release();
    this.session = null;
  }

  dispatch(): void {
    noMethod();
  }

  dropped(): void {
    if (!this.taken) this.giveUp();
  }
}

/** What stands for a signal until a value names it. */
export class PushedSignal implements Server {
  readonly passive = true;
  readonly controller = new AbortController();

  dispatch(): void {
    noMethod();
  }
}

/** Fires a signal. */
class Trigger implements Server {
  readonly passive = true;
  private readonly controller: AbortController;

  constructor(controller: AbortController) {
    this.controller = controller;
  }

  dispatch(call: LocalCall): void {
    if (methodOf(call.interfaceHi, call.interfaceLo, call.methodId) !== "abort") noMethod();
    const { bytes } = readReason(call.params.content);
    this.controller.abort(decodeV8(bytes, NOTHING_BESIDE));
    call.returns();
  }
}

/** Answers a call that makes one of both here; false for any other call. @throws RpcError invalid-payload. */
export function pushedHere(call: LocalCall, terms: Terms): boolean {
  const { scheduler } = call;
  switch (methodOf(call.interfaceHi, call.interfaceLo, call.methodId)) {
    case "pushByteStream": {
      const pushed = new PushedStream(readPush(call.params.content), scheduler, terms);
      call.returns(writeCapabilities(new LocalHook(pushed, scheduler), pushed.sink));
      return true;
    }
    case "pushAbortSignal": {
      const pushed = new PushedSignal();
      const trigger = new LocalHook(new Trigger(pushed.controller), scheduler);
      call.returns(writeCapabilities(new LocalHook(pushed, scheduler), trigger));
      return true;
    }
    default:
      return false;
  }
}

/** Makes streams for results, and does nothing else. */
class Pusher implements Server {
  readonly passive = true;
  private readonly terms: Terms;

  constructor(terms: Terms) {
    this.terms = terms;
  }

  dispatch(call: LocalCall): void {
    if (!pushedHere(call, this.terms)) noMethod();
  }
}

const pushers = /* @__PURE__ */ new WeakMap<Scheduler, LocalHook>();

/** The one that all calls under `scheduler` give along: it keeps nothing between two of them. Not a new reference. */
export function pusherOf(scheduler: Scheduler, terms: Terms): Hook {
  let pusher = pushers.get(scheduler);
  if (pusher === undefined) {
    pusher = new LocalHook(new Pusher(terms), scheduler);
    pushers.set(scheduler, pusher);
  }
  return pusher;
}

/** What a capability of ours stands for that came back in a value. */
export function pushedBehind(hook: Hook): Server | null {
  const end = hook.resolved();
  return end instanceof LocalHook ? end.server : null;
}
