// Role: one attempt to connect, that may take only so long and may be called off.
// State: its timer and its listener, both gone when it ends. Must not know: what is attempted.

import { checkMs, type Timer } from "./transport.js";
import { connectFailed } from "./connect-error.js";

export interface AttemptOptions {
  /** Milliseconds that the connection may take to come about; 0 for no limit. Default 30 000. */
  readonly connectTimeout?: number | undefined;
  /** Calls the attempt off. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs one attempt.
 *
 * @param begin starts it, calls one of the two functions once, the second with what to say of the cause where it knows
 *   better than the cause itself, and returns how to call it off.
 * @throws RpcError connect-failed, when it fails, takes too long or is called off.
 */
export async function attempt<T>(
  address: string,
  options: AttemptOptions,
  begin: (done: (result: T) => void, failed: (cause: unknown, why?: string) => void) => () => void,
): Promise<T> {
  const ms = checkMs("connectTimeout", options.connectTimeout, 30_000);
  const { signal } = options;
  if (signal?.aborted === true) throw connectFailed(address, "it was called off");
  let timer: Timer | undefined;
  let onAbort: (() => void) | undefined;
  try {
    return await new Promise<T>((resolve, reject) => {
      const fail = (cause: unknown, why?: string): void =>
        reject(connectFailed(address, cause, why));
      const give = (why: string): void => {
        fail(why);
        cancel();
      };
      onAbort = (): void => give("it was called off");
      // Before anything is opened: it may be no signal at all.
      signal?.addEventListener("abort", onAbort);
      const cancel = begin(resolve, fail);
      if (ms > 0) timer = setTimeout(() => give(`no answer within ${ms} ms`), ms);
    });
  } finally {
    clearTimeout(timer);
    if (onAbort !== undefined) signal?.removeEventListener("abort", onAbort);
  }
}
