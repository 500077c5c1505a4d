// Role: the window of stream calls on one capability over one connection.
// State: bytes in flight, the largest message seen, who waits.
// Must not know: what is streamed. Sending is always immediate; the window only says when the NEXT may go, since a
// message held back here while others pass would break order (C-FLO-03).

import type { RpcError } from "../base/errors.js";
import type { FlowController } from "../hook/hook.js";
import type { Results, ResultsObserver } from "../hook/results.js";

type Listener = (error: RpcError | null) => void;

/**
 * A fixed window of `window` bytes. Ready while what is in flight is no more than one message, or less than the window
 * and one message.
 *
 * Source: C-FLO-03, C-FLO-04, C-FLO-06, C-FLO-07.
 */
export class StreamFlow implements FlowController {
  private readonly window: number;
  private inFlight = 0;
  private largest = 0;
  private error: RpcError | null = null;
  private waiting: Listener[] = [];
  private idle: Listener[] = [];

  constructor(window: number) {
    this.window = window;
  }

  get bytesInFlight(): number {
    return this.inFlight;
  }

  get ready(): boolean {
    return (
      this.error === null &&
      (this.inFlight <= this.largest || this.inFlight < this.window + this.largest)
    );
  }

  sent(bytes: number, results: Results): void {
    this.inFlight += bytes;
    if (bytes > this.largest) this.largest = bytes;
    results.observe(new Acknowledgement(this, bytes));
  }

  whenReady(listener: Listener): void {
    if (this.error !== null || this.ready) listener(this.error);
    else this.waiting.push(listener);
  }

  whenIdle(listener: Listener): void {
    if (this.error !== null || this.inFlight === 0) listener(this.error);
    else this.idle.push(listener);
  }

  acknowledged(bytes: number, error: RpcError | null): void {
    this.inFlight -= bytes;
    this.error ??= error;
    if (this.error !== null || this.ready) this.tell(this.waiting.splice(0));
    if (this.error !== null || this.inFlight === 0) this.tell(this.idle.splice(0));
  }

  private tell(listeners: Listener[]): void {
    for (const listener of listeners) listener(this.error);
  }
}

class Acknowledgement implements ResultsObserver {
  readonly immediate = false;
  private readonly flow: StreamFlow;
  private readonly bytes: number;

  constructor(flow: StreamFlow, bytes: number) {
    this.flow = flow;
    this.bytes = bytes;
  }

  resultsSettled(results: Results): void {
    this.flow.acknowledged(this.bytes, results.error);
    results.cancel();
  }
}
