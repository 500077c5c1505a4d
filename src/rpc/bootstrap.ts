// Role: answers Bootstrap: results made of one capability.
// State: none. Must not know: what the capability offers.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { Hook } from "../hook/hook.js";
import { Payload } from "../hook/payload.js";
import { LocalResults } from "../hook/promise.js";
import { Content } from "../wire/content.js";
import type { ConnectionState } from "./state.js";

/** What a connection offers to whoever connects: one capability, or a factory asked at each Bootstrap (C-BST-06). */
export type BootstrapSource = Hook | (() => Hook) | null;

/** A content that is one capability pointer, to slot 0 (C-BST-01). */
const BARE_CAPABILITY = /* @__PURE__ */ new Content(Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0));

/** The error of an offer that is none. */
export function noCapability(): RpcError {
  return invalidArgument("bootstrap is no capability: serve(object)");
}

/** The results of one Bootstrap. A factory is user code and runs as a job. */
export class BootstrapResults extends LocalResults {
  protected readonly returnTo = null;
  private readonly offered: BootstrapSource;

  constructor(source: BootstrapSource, state: ConnectionState) {
    super(state.scheduler);
    this.offered = source;
    if (typeof source === "function") state.scheduler.post(this);
    else this.offer();
  }

  override run(): void {
    if (this.settled) super.run();
    else this.offer();
  }

  protected abandonedBeforeForward(): void {
    this.settle(null, new RpcError("failed", "call-canceled", "the Bootstrap was canceled"));
  }

  private offer(): void {
    const source = this.offered;
    if (source === null) {
      const message = "this vat offers no bootstrap capability";
      this.settle(null, new RpcError("failed", "no-bootstrap", message));
      return;
    }
    try {
      const hook: unknown = typeof source === "function" ? source() : source.addRef();
      if (!(hook instanceof Hook)) {
        // What an async function gives or fails with is nobody else's to let go, or to handle.
        void Promise.resolve(hook).then(
          (late) => late instanceof Hook && late.release(),
          () => {},
        );
        throw noCapability();
      }
      this.settle(new Payload(BARE_CAPABILITY, [hook]), null);
    } catch (thrown) {
      this.settle(null, RpcError.from(thrown));
    }
  }
}
