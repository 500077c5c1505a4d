// The queue whose length others decide.

import { expect, it } from "vitest";
import { Fifo } from "../../src/base/fifo.js";

it("gives back what came, in order, whatever is pushed and taken in between", () => {
  const queue = new Fifo<number>();
  expect([queue.length, queue.first, queue.take()]).toEqual([0, undefined, undefined]);
  let pushed = 0;
  let taken = 0;
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < 100; i++) queue.push(pushed++);
    for (let i = 0; i < 50 + (round % 90); i++) {
      if (taken === pushed) break;
      expect(queue.first).toBe(taken);
      expect(queue.take()).toBe(taken++);
    }
    expect(queue.length).toBe(pushed - taken);
  }
  while (taken < pushed) expect(queue.take()).toBe(taken++);
  expect([queue.length, queue.first, queue.take()]).toEqual([0, undefined, undefined]);
});

it("takes back the first, or the rest of it, before all others", () => {
  const queue = new Fifo<string>();
  queue.putBack("a");
  queue.push("b");
  expect(queue.take()).toBe("a");
  queue.putBack("rest of a");
  expect([queue.length, queue.first]).toEqual([2, "rest of a"]);
  expect([queue.take(), queue.take(), queue.take()]).toEqual(["rest of a", "b", undefined]);
});

it("C-HOS-08: takes no longer for one of a million than for one of a few", () => {
  const queue = new Fifo<object>();
  const one = {};
  const most = 1_000_000;
  for (let i = 0; i < most; i++) queue.push(one);
  const start = performance.now();
  for (let i = 0; i < most; i++) queue.take();
  // An array that is shifted takes minutes.
  expect(performance.now() - start).toBeLessThan(10_000);
});
