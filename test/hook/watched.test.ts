// Who watches a hook is told once, in turn, however many there are, and not at all after it has gone.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Scheduler } from "../../src/base/scheduler.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook } from "../../src/hook/results.js";

const lost = new RpcError("disconnected", "connection-lost", "lost");

function watched() {
  const scheduler = new Scheduler();
  const promise = new PromiseHook(scheduler);
  const told: string[] = [];
  const watcher = (name: string, also = (): void => {}) => ({
    hookResolved() {
      told.push(name);
      also();
    },
  });
  const resolve = (): void => {
    promise.resolve(brokenHook(lost, scheduler));
    scheduler.drain();
  };
  return { scheduler, promise, told, watcher, resolve };
}

it("C-LOC-04: watchers are told once, in the order in which they came, from a job", () => {
  const { scheduler, promise, told, watcher, resolve } = watched();
  for (const name of ["a", "b", "c"]) promise.watch(watcher(name));
  promise.resolve(brokenHook(lost, scheduler));
  expect(told).toEqual([]);
  scheduler.drain();
  expect(told).toEqual(["a", "b", "c"]);
  resolve();
  expect(told).toEqual(["a", "b", "c"]);
  promise.release();
});

it("a watcher that has gone is not told; one that comes late, or while others are told, is told in a job of its own", () => {
  const { scheduler, promise, told, watcher, resolve } = watched();
  const gone = watcher("gone");
  const again = watcher("again");
  promise.watch(watcher("first", () => promise.watch(again)));
  promise.watch(gone);
  promise.watch(watcher("last"));
  promise.unwatch(gone);
  promise.unwatch(gone);
  resolve();
  expect(told).toEqual(["first", "last", "again"]);
  promise.watch(watcher("late"));
  const later = watcher("never");
  promise.watch(later);
  promise.unwatch(later);
  scheduler.drain();
  expect(told.slice(3)).toEqual(["late"]);
  promise.release();
});

it("a watcher that throws is reported, and keeps nobody from hearing of it", () => {
  const { scheduler, promise, told, watcher, resolve } = watched();
  scheduler.onError = (error) => told.push(error.message);
  promise.watch(
    watcher("first", () => {
      throw new Error("thrown");
    }),
  );
  promise.watch(watcher("last"));
  resolve();
  expect(told).toEqual(["first", "thrown", "last"]);
  promise.release();
});

it("a hundred thousand watchers come and go, the oldest last", () => {
  const { promise, told, watcher, resolve } = watched();
  const all = Array.from({ length: 100_000 }, (_, i) => watcher(String(i)));
  for (const one of all) promise.watch(one);
  for (const one of all.reverse().slice(1)) promise.unwatch(one);
  resolve();
  expect(told).toEqual(["99999"]);
  promise.release();
});
