// The queue of jobs: what one of them throws, and what whoever is told of it throws, stops no other.

import { expect, it } from "vitest";
import { Scheduler } from "../../src/base/scheduler.js";

it("a job that throws is told of, and those behind it run", () => {
  const scheduler = new Scheduler();
  const log: string[] = [];
  scheduler.onError = (error) => void log.push(`${error.code}: ${(error.cause as Error).message}`);
  scheduler.post({
    run() {
      throw new Error("oops");
    },
  });
  scheduler.post({ run: () => void log.push("next") });
  scheduler.drain();
  expect(log).toEqual(["internal-error: oops", "next"]);
});

it("what onError throws comes out, and those behind it run at the next drain, which is asked for", () => {
  const scheduler = new Scheduler();
  const log: string[] = [];
  let asked = 0;
  scheduler.wake = () => asked++;
  scheduler.onError = (error) => {
    throw error.cause;
  };
  for (const name of ["one", "two"]) {
    scheduler.post({
      run() {
        throw new Error(name);
      },
    });
    scheduler.post({ run: () => void log.push(`behind ${name}`) });
  }
  expect(asked).toBe(1);
  expect(() => scheduler.drain()).toThrow("one");
  expect([asked, scheduler.pending]).toEqual([2, 3]);
  expect(() => scheduler.drain()).toThrow("two");
  expect([asked, scheduler.pending]).toEqual([3, 1]);
  scheduler.drain();
  expect(log).toEqual(["behind one", "behind two"]);
  expect([asked, scheduler.pending]).toEqual([3, 0]);
});
