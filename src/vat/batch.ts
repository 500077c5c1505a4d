// Role: opens the asking half of an HTTP batch: a session whose first turn that wants an answer is its only one.
// State: none beside the session's. Must not know: Node.

import { BATCH_CLIENT, batchLeft } from "../rpc/batch.js";
import { type HttpRequestOptions, HttpRequestTransport } from "../transport/http-request.js";
import { Session, type SessionOptions } from "./session.js";
import type { TurnEnd } from "./turn.js";

export type BatchOptions = SessionOptions & HttpRequestOptions;

/**
 * Opens a batch. Nothing is sent yet. The calls of a turn of the program leave together as one POST, at the end of the
 * first turn in which somebody wants an answer; a turn is all that runs before the next timer or event, so that an `await`
 * of what is there already does not end it.
 *
 * @param url `http://host:port/path` or `https://host:port/path`.
 * @returns a session that ends by itself with the response. What is called later fails as `batch-over`.
 * @throws RpcError invalid-argument when an option is no time.
 * @example const session = openBatch("https://example.org/rpc");
 */
export function openBatch(url: string, options: BatchOptions = {}): Session {
  const transport = new HttpRequestTransport(url, options);
  const turnEnd: TurnEnd = (flush) => {
    let asked = false;
    const run = (): void => {
      asked = false;
      flush();
      const { connection } = session;
      if (connection.error !== null || !connection.expectsResults) return;
      connection.seal(batchLeft());
      transport.post();
    };
    return () => {
      if (!asked) setTimeout(run, 0);
      asked = true;
    };
  };
  const session: Session = new Session(transport, { ...options, turnEnd }, BATCH_CLIENT);
  return session;
}
