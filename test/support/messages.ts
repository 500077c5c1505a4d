// Messages for tests of what carries them: batches that hold numbered frames, and a handler that writes down what comes.

import type { RpcError } from "../../src/base/errors.js";
import type { Transport, TransportHandler } from "../../src/transport/transport.js";
import type { Frame } from "../../src/wire/frame.js";
import { type Batch, Outbox, SlabPool } from "../../src/wire/outbox.js";

/** Slabs of the tests' own, so that a slab that does not come back is seen. */
export class Writer {
  readonly pool = new SlabPool(1000);
  private readonly outbox = new Outbox(this.pool);
  private lent = 0;
  private back = 0;

  /** Batches handed out and not released. */
  get unreleased(): number {
    return this.lent - this.back;
  }

  /**
   * One batch of one-segment frames. Word 0 of each is its number, the last word is the number again; `bytes` is the
   * length of the segment. A frame of more than 8 KiB is sent by reference.
   */
  batch(numbers: readonly number[], bytes = 16): Batch {
    for (const number of numbers) this.add(number, bytes);
    return this.take();
  }

  add(number: number, bytes: number): void {
    if (bytes < 16 || bytes % 8 !== 0) throw new Error("whole words, at least two");
    const { outbox } = this;
    const referred = bytes > 8192;
    outbox.begin(8 + (referred ? 0 : bytes));
    const at = outbox.at >> 2;
    outbox.i32[at] = 0;
    outbox.i32[at + 1] = bytes / 8;
    if (referred) {
      const body = new Uint8Array(bytes);
      const words = new Int32Array(body.buffer);
      words[0] = number;
      words[words.length - 2] = number;
      outbox.commit(8, body);
      return;
    }
    outbox.i32.fill(0, at + 2, at + 2 + bytes / 4);
    outbox.i32[at + 2] = number;
    outbox.i32[at + bytes / 4] = number;
    outbox.commit(8 + bytes);
  }

  take(): Batch {
    const batch = this.outbox.take()!;
    this.lent++;
    const release = batch.release.bind(batch);
    let released = false;
    batch.release = () => {
      if (!released) this.back++;
      released = true;
      release();
    };
    return batch;
  }
}

/** Reads the number of a frame that {@link Writer} made. @throws Error when the frame is damaged. */
export function numberOf(frame: Frame): number {
  const start = frame.segStart[0]!;
  const end = frame.segEnd[0]!;
  const first = frame.view.getInt32(start, true);
  const last = frame.view.getInt32(end - 8, true);
  if (frame.segments !== 1 || first !== last) throw new Error(`damaged: ${first} and ${last}`);
  return first;
}

/** Writes down what a transport says, and waits for it. */
export class Listener implements TransportHandler {
  readonly numbers: number[] = [];
  readonly sizes: number[] = [];
  readonly faults: RpcError[] = [];
  readonly ends: (RpcError | null)[] = [];
  /** Messages, the fault and the end in the order they came. */
  readonly log: string[] = [];
  /** Called for each message, before {@link until} is asked. */
  onMessage: (number: number) => void = () => {};
  onFault: () => void = () => {};
  private waiters: { ready: () => boolean; resolve: () => void }[] = [];

  message(frame: Frame): void {
    const number = numberOf(frame);
    this.numbers.push(number);
    this.sizes.push(frame.length - 8);
    this.log.push(`message ${number}`);
    this.onMessage(number);
    this.wake();
  }

  fault(error: RpcError): void {
    this.faults.push(error);
    this.log.push("fault");
    this.onFault();
    this.wake();
  }

  closed(error: RpcError | null): void {
    this.ends.push(error);
    this.log.push("closed");
    this.wake();
  }

  /** Waits until `count` messages have come. */
  messages(count: number): Promise<void> {
    return this.until(() => this.numbers.length >= count, `${count} messages`);
  }

  faulted(): Promise<void> {
    return this.until(() => this.faults.length > 0, "the fault");
  }

  async ended(): Promise<RpcError | null> {
    await this.until(() => this.ends.length > 0, "the end");
    return this.ends[0]!;
  }

  until(ready: () => boolean, what: string, ms = 10_000): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`waited ${ms} ms for ${what}; seen: ${this.log.slice(-20).join(", ")}`));
      }, ms);
      this.waiters.push({
        ready,
        resolve: () => {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  private wake(): void {
    const waiting = this.waiters;
    this.waiters = [];
    for (const waiter of waiting) {
      if (waiter.ready()) waiter.resolve();
      else this.waiters.push(waiter);
    }
  }
}

/** Starts `transport` with a new listener. */
export function listenTo(transport: Transport): Listener {
  const listener = new Listener();
  transport.start(listener);
  return listener;
}

/** `count` numbers from `first` on. */
export function numbers(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => first + i);
}

/** A turn of the event loop, input and timers included. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 1);
  });
}

/** Waits for what another thread, process or carrier does: at once if it is so, and not for ever if it never will be. */
export async function until(met: () => boolean): Promise<void> {
  const end = performance.now() + 60_000;
  while (!met() && performance.now() < end) await turn();
}
