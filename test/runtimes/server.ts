// Role: what each peer offers to whoever runs the scenarios.
// State: the sessions it serves. Must not know: runtimes, how sessions are made.

import { serve, type Session, type SessionOptions } from "../../src/index.js";
import { Api } from "./objects.js";
import { TYPES } from "./shop.js";

/** Serves a new Api at each Bootstrap of the sessions that {@link Host.of} is told of. */
export class Host {
  readonly sessions = new Set<Session>();
  readonly options: SessionOptions = {
    bootstrap: () => serve(new Api(() => this.hangUp()), { types: TYPES }),
  };

  of(session: Session): void {
    this.sessions.add(session);
    void session.closed.then(() => this.sessions.delete(session));
  }

  /** Scenarios run one by one, so there is one session that this can mean. */
  private hangUp(): void {
    for (const session of this.sessions) void session.close();
  }
}
