// Role: waits until nothing more comes by a connection of what its other side had sent before.
// State: none. Must not know: what is sent, or why it matters.
//
// A process counts what it sends as held as long as its own end of the connection is open. When it has closed that, or has died, what it
// sent may still be in the hands of the system, and comes. So whoever wants to know that nothing is on its way to him asks each of
// those who are connected something, and has the answer, or has read the connection to its end.

import { RpcError } from "../../base/errors.js";
import type { Session } from "../../vat/session.js";

/**
 * Resolves when all was handled that others had sent when it was called, on connections that are there.
 *
 * @throws RpcError what kept one from being asked (as a rejection).
 */
export async function fence(sessions: Iterable<Session>): Promise<void> {
  await Promise.all(Array.from(sessions, asked));
}

async function asked(session: Session): Promise<void> {
  if (session.state === "closed") return;
  // One that takes no question any more ends within its limit of time.
  if (session.state === "draining") return void (await session.closed);
  // The one question that every vat answers, whatever it offers.
  const hook = session.bootstrap();
  try {
    const refusal = hook.resolved().brokenBy;
    if (refusal !== null) throw RpcError.from(refusal);
    if (hook.isPromise)
      await new Promise<void>((resolve) => hook.resolved().watch({ hookResolved: resolve }));
  } finally {
    hook.release();
  }
}
