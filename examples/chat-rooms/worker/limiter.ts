// How much one address may do: an object for each. Once it is evicted its bucket would be full again anyway.

import { DurableObject } from "cloudflare:workers";
import type { Env } from "./worker.js";

export class Limiter extends DurableObject<Env> {
  private tokens = this.env.BURST;
  private at = Date.now();

  /** @returns 0 when it may be done now, else the milliseconds after which to try again. */
  take(): number {
    const { RATE, BURST } = this.env;
    const now = Date.now();
    this.tokens = Math.min(BURST, this.tokens + ((now - this.at) / 1000) * RATE);
    this.at = now;
    if (this.tokens < 1) return Math.ceil(((1 - this.tokens) / RATE) * 1000);
    this.tokens--;
    return 0;
  }
}
