// Sessions for tests: calls as promises, and a watch on what a session writes.

import type { RpcError } from "../../src/base/errors.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import type { Results } from "../../src/hook/results.js";
import type { Session } from "../../src/vat/session.js";
import type { Transport } from "../../src/transport/transport.js";
import type { Batch } from "../../src/wire/outbox.js";
import { type Method, Recorder, request, valueOf } from "./objects.js";

/** Calls and waits for the number that comes back. The results' capabilities are let go. */
export function ask(hook: Hook, method: number, value: number, ...caps: Hook[]): Promise<number> {
  return answerTo(hook.call(request(method, value, ...caps)));
}

/** The number in what a call brings. */
export function answerTo(results: Results): Promise<number> {
  return new Promise((resolve, reject) => {
    results.observe({
      immediate: false,
      resultsSettled(settled) {
        settled.dropPipeline();
        if (settled.error !== null) {
          reject(settled.error);
          return;
        }
        const payload = settled.takePayload();
        const answer = valueOf(payload);
        payload.release();
        resolve(answer);
      },
    });
  });
}

/** The error that a promise rejects with. @throws Error when it does not. */
export async function failure(promise: Promise<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("it did not fail");
}

/** An object of the process's own vat, with one reference, which the caller owns. */
export function object(methods: Record<number, Method> = {}): { recorder: Recorder; hook: Hook } {
  const recorder = new Recorder(methods);
  return { recorder, hook: recorder.hook(processScheduler()) };
}

/** Notes every batch that `transport` is given: how many messages it held. */
export function watchWrites(transport: Transport): number[] {
  const counts: number[] = [];
  const write = transport.write.bind(transport);
  transport.write = (batch: Batch) => {
    counts.push(batch.count);
    write(batch);
  };
  return counts;
}

/** Ends both sessions. */
export async function closeAll(...sessions: Session[]): Promise<void> {
  await Promise.all(sessions.map((session) => session.close()));
}
