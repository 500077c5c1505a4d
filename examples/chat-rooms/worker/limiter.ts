// How much one address may do: an object for each. Once it is evicted its bucket would be full again anyway.

import { DurableObject } from "cloudflare:workers";
import type { Env } from "./worker.js";

export class Limiter extends DurableObject<Env> {
  private readonly rate = Number(this.env.RATE);
  private readonly burst = Number(this.env.BURST);
  private tokens = this.burst;
  private at = Date.now();

  /** @returns 0 when it may be done now, else the milliseconds after which to try again. */
  take(): number {
    const now = Date.now();
    this.tokens = Math.min(this.burst, this.tokens + ((now - this.at) / 1000) * this.rate);
    this.at = now;
    if (this.tokens < 1) return Math.ceil(((1 - this.tokens) / this.rate) * 1000);
    this.tokens--;
    return 0;
  }
}
