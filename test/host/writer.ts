// An object whose writes belong together, so that one can tell afterwards whether they are all there.

import { DurableObject } from "../../src/host.node.js";

/** So many numbers are kept. */
export const KEPT = 4;

/** What there is of a {@link Writer}. */
export interface WriterState {
  readonly count: number;
  /** The numbers of both halves. */
  readonly left: readonly number[];
  readonly right: readonly number[];
}

export class Writer extends DurableObject {
  /** Writes that are there together, or not at all. @returns how often it has written. */
  async step(): Promise<number> {
    const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
    const { storage } = this.ctx;
    void storage.put("count", count);
    void storage.put(`left:${count}`, "x".repeat(count % 5000));
    void storage.put(`right:${count}`, count);
    void storage.delete([`left:${count - KEPT}`, `right:${count - KEPT}`]);
    return count;
  }

  async state(): Promise<WriterState> {
    const numbers = async (prefix: string): Promise<number[]> => {
      const found = await this.ctx.storage.list({ prefix });
      return [...found.keys()].map((key) => Number(key.slice(prefix.length)));
    };
    const count = (await this.ctx.storage.get<number>("count")) ?? 0;
    return { count, left: await numbers("left:"), right: await numbers("right:") };
  }
}

/** What is wrong with `state`, when `acknowledged` was answered; undefined when nothing is. */
export function faultOf(
  { count, left, right }: WriterState,
  acknowledged: number,
): string | undefined {
  if (count < acknowledged) return `${acknowledged} was answered, and ${count} is there`;
  const kept = new Set(Array.from({ length: Math.min(count, KEPT) }, (_, i) => count - i));
  for (const half of [left, right])
    if (half.length !== kept.size || !half.every((number) => kept.has(number)))
      return `of ${count} there is ${half.join()}`;
  return undefined;
}
