// Role: the one source of chance of a model run: the same seed gives the same program and the same schedule.
// State: 32 bits. Must not know: what is drawn.

/** A small seeded generator (mulberry32). */
export class Rng {
  private state: number;

  constructor(seed: number) {
    this.state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) | 0;
  }

  /** A whole number in [0, n). */
  below(n: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % n;
  }

  /** True in `percent` of a hundred draws. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  /** One of `list`, the later ones more often: what a program did last is where its races are. */
  recent<T>(list: readonly T[]): T {
    const n = list.length;
    return list[this.chance(50) ? Math.max(0, n - 1 - this.below(4)) : this.below(n)]!;
  }
}
