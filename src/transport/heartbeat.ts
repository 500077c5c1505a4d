// Role: notices a peer that gives no sign of life, on carriers that have a probe of their own.
// State: one timer, and how long nothing came. Must not know: what a probe is.

import type { Timer, TransportSettings } from "./transport.js";

export interface HeartbeatOwner {
  /** Grows with every byte that arrives. */
  readonly signsOfLife: number;
  /** Whether silence means anything now. */
  readonly expecting: boolean;
  /** Sends what the peer's own machinery answers. */
  probe(): void;
  /** Nothing came within `peerTimeout`, although a probe was sent. */
  silent(): void;
}

/**
 * Looks at regular times whether anything came since it last looked; if not, probes; if still not, says so: after at
 * most `peerTimeout`, and not before two thirds of it.
 */
export class Heartbeat {
  private readonly owner: HeartbeatOwner;
  private readonly every: number;
  private readonly patience: number;
  private timer: Timer | undefined;
  private due = 0;
  private seen = 0;
  private silences = 0;
  private expected = false;

  constructor(
    owner: HeartbeatOwner,
    settings: Pick<TransportSettings, "keepAliveInterval" | "peerTimeout">,
  ) {
    const { keepAliveInterval, peerTimeout } = settings;
    this.owner = owner;
    // A third, so that there is a whole step for the answer.
    this.every = peerTimeout > 0 ? Math.min(keepAliveInterval, peerTimeout / 3) : keepAliveInterval;
    this.patience = peerTimeout > 0 ? Math.floor(peerTimeout / this.every + 1e-9) : Infinity;
  }

  /** Begins to watch; does nothing when keep-alive is off. */
  start(): void {
    if (this.every === 0) return;
    this.seen = this.owner.signsOfLife;
    this.expected = this.owner.expecting;
    this.next();
  }

  stop(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
  }

  private next(): void {
    this.due = performance.now() + this.every;
    this.timer = setTimeout(this.look, this.every);
  }

  private readonly look = (): void => {
    const { owner } = this;
    const seen = owner.signsOfLife;
    // A timer that comes late says that this process, not the peer, was held up: what the peer sent is still unread.
    const late = performance.now() - this.due > this.every / 2;
    // What began to be expected just now has had no time yet.
    const counts = this.expected && owner.expecting;
    this.expected = owner.expecting;
    if (seen !== this.seen || late || !counts) {
      this.seen = seen;
      this.silences = 0;
    } else if (++this.silences + 1 >= this.patience) {
      this.timer = undefined;
      owner.silent();
      return;
    } else owner.probe();
    this.next();
  };
}
