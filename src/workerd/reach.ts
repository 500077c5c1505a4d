// Role: the ways to what a stub of workerd stands for: an entry point, which has an event for each call, or a target in an event.
// State: references to both. Must not know: stubs, values.

import { RpcError } from "../base/errors.js";
import { type CallRequest, type FlowController, Hook, type Lifeline } from "../hook/hook.js";
import { brokenHook, type Results } from "../hook/results.js";
import { openHttp, openSession } from "./protocol.js";

/** What a call is made on, and the event that it belongs to; null in a call of theirs. References of whoever gets them. */
export interface Opened {
  readonly cap: Hook;
  readonly session: Hook | null;
}

const BRAND = {};

function noCapability(): RpcError {
  return new RpcError("failed", "internal-error", "this is called by what it opens");
}

/** One reference that keeps all that a stub needs. It is counted as every hook is, and is itself no capability of any peer's. */
export abstract class Reach extends Hook {
  /** What it depends on: the end of this is the end of the stub. Not a new reference. */
  abstract readonly on: Hook;

  abstract open(): Opened;

  /** Whether it takes requests of HTTP. */
  get serves(): boolean {
    return false;
  }

  /** The HttpService for one request, where it takes them. @param cf goes beside it, as JSON; undefined for nothing. */
  http(_cf: unknown): Hook {
    return brokenHook(noCapability(), this.scheduler);
  }

  get brand(): object {
    return BRAND;
  }

  call(request: CallRequest): Results {
    const broken = brokenHook(noCapability(), this.scheduler);
    const results = broken.call(request);
    broken.release();
    return results;
  }
}

/** A Worker's entry point or a durable object: each call is an event of its own. */
export class EntryReach extends Reach {
  readonly on: Hook;

  /** @param worker a WorkerBootstrap; taken over. */
  constructor(worker: Hook) {
    super(worker.scheduler);
    this.on = worker;
  }

  open(): Opened {
    return openSession(this.on);
  }

  override get serves(): boolean {
    return true;
  }

  override http(cf: unknown): Hook {
    return openHttp(this.on, cf === undefined ? null : JSON.stringify(cf));
  }

  protected unreferenced(): void {
    this.on.release();
  }
}

/** What came in a result, or in arguments. The event must last as long as this. */
export class TargetReach extends Reach {
  readonly on: Hook;
  readonly session: Hook | null;

  /** @param target a JsRpcTarget; both are taken over. */
  constructor(target: Hook, session: Hook | null) {
    super(target.scheduler);
    this.on = target;
    this.session = session;
  }

  open(): Opened {
    return { cap: this.on.addRef(), session: this.session?.addRef() ?? null };
  }

  protected unreferenced(): void {
    this.on.release();
    this.session?.release();
  }
}

/** A capability that keeps its event: for who knows nothing of events. It is called here, and not passed on. */
export class KeptHook extends Hook {
  private readonly on: Hook;
  private readonly session: Hook;

  /** Both are taken over. */
  constructor(on: Hook, session: Hook) {
    super(on.scheduler);
    this.on = on;
    this.session = session;
  }

  get brand(): object {
    return BRAND;
  }

  call(request: CallRequest): Results {
    return this.on.call(request);
  }

  override get flow(): FlowController | null {
    return this.on.flow;
  }

  override get brokenBy(): RpcError | null {
    return this.on.brokenBy;
  }

  override get lifeline(): Lifeline | null {
    return this.on.resolved().lifeline;
  }

  protected unreferenced(): void {
    this.on.release();
    this.session.release();
  }
}
