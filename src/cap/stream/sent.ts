// Role: what is kept of a stream that goes by reference, until the call that it goes with has ended.
// State: none. Must not know: streams of either kind.

import type { RpcError } from "../../base/errors.js";
import type { Hook } from "../../hook/hook.js";

export interface Sent {
  /** Goes into the payload. */
  readonly hook: Hook;
  /** The call that it went with is given up: breaks the stream at both sides. */
  readonly giveUp: (error: RpcError) => void;
  /** Nothing was sent: the stream is its owner's again. */
  readonly restore: () => void;
}
