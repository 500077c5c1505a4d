// Role: a stub of workerd as other peers of Capstan's call it: an object whose calls go on to workerd.
// State: the stub, as long as anybody holds this. Must not know: how calls travel, on either side.

import type { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { hookOfValue } from "../cap/dynamic/object.js";
import type { Root } from "../cap/dynamic/place.js";
import { METHOD_GET } from "../cap/dynamic/protocol.js";
import type { Terms } from "../cap/dynamic/terms.js";
import { discard } from "../cap/stream/values.js";
import { type CallRequest, Hook, type HookWatcher, type Lifeline } from "../hook/hook.js";
import type { Results } from "../hook/results.js";

/** It breaks as the stub does, which the object behind it could not tell. */
export class RelayHook extends Hook {
  private readonly object: Hook;
  private readonly on: Hook | null;
  private readonly ended: () => void;

  /**
   * @param stub what is called: a stub, or a promise of what is. @param on what that depends on; taken over.
   * @param ended nobody holds this any more.
   */
  constructor(
    stub: object,
    on: Hook | null,
    scheduler: Scheduler,
    terms: Terms,
    ended: () => void,
  ) {
    super(scheduler);
    this.on = on;
    this.ended = ended;
    this.object = hookOfValue(stub, scheduler, terms);
  }

  /** One is made each time that a stub goes somewhere, so two of them may stand for one object. */
  get brand(): object {
    return this;
  }

  call(request: CallRequest): Results {
    return this.object.call(request);
  }

  override get brokenBy(): RpcError | null {
    return this.on?.resolved().brokenBy ?? null;
  }

  override get lifeline(): Lifeline | null {
    return this.on?.resolved().lifeline ?? null;
  }

  override watch(watcher: HookWatcher): void {
    this.on?.resolved().watch(watcher);
  }

  override unwatch(watcher: HookWatcher): void {
    this.on?.resolved().unwatch(watcher);
  }

  protected unreferenced(): void {
    this.object.release();
    this.on?.release();
    this.ended();
  }
}

/** Passes a call of another peer's on to a stub or promise of workerd's. */
export function relayTo(root: Root): NonNullable<Root["relay"]> {
  return (path, args, call, { timeout, map }) => {
    const options = timeout === 0 ? undefined : { deadline: Date.now() + timeout };
    const isAsked = call.methodId === METHOD_GET;
    const answer =
      map === undefined
        ? root.start(path, isAsked ? null : args, options)
        : root.startMap(path, (element) => element, options);
    call.onCancel = (): void => discard(answer);
    return answer;
  };
}
