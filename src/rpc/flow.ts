// Role: the flow of stream calls on one capability: what is in flight, and who waits to send more.
// State: bytes in flight, the largest message under way, who waits.
// Must not know: what is streamed, or how large the window should be. Sending is always immediate; the window only
// says when the NEXT may go, since a message held back here while others pass would break order (C-FLO-03).

import type { RpcError } from "../base/errors.js";
import type { FlowController } from "../hook/hook.js";
import type { Results, ResultsObserver } from "../hook/results.js";
import type { SentRecord, StreamWindow } from "./adaptive-window.js";

type Listener = (error: RpcError | null) => void;

/**
 * The stream calls of one capability. Ready while what is in flight is no more than one message, or less than the
 * window and one message; without a window, while nothing is in flight.
 *
 * Source: C-FLO-03, C-FLO-06, C-FLO-07, C-FLO-13.
 */
export class StreamFlow implements FlowController {
  private readonly window: StreamWindow | null;
  private inFlight = 0;
  private readonly largest = new Largest();
  private error: RpcError | null = null;
  private waiting: Listener[] = [];
  private idle: Listener[] = [];

  constructor(window: StreamWindow | null) {
    this.window = window;
  }

  get bytesInFlight(): number {
    return this.inFlight;
  }

  get isIdle(): boolean {
    return this.error === null && this.inFlight === 0;
  }

  get ready(): boolean {
    if (this.error !== null) return false;
    if (this.window === null) return this.inFlight === 0;
    const largest = this.largest.bytes;
    return this.inFlight <= largest || this.inFlight < this.window.bytes + largest;
  }

  sent(bytes: number, results: Results): void {
    this.inFlight += bytes;
    this.largest.sent(bytes);
    const record = this.window?.sent(bytes, this.inFlight) ?? null;
    this.window?.hasRoom(this.ready);
    results.observe(new Acknowledgement(this, bytes, record));
  }

  whenReady(listener: Listener): void {
    if (this.error !== null || this.ready) listener(this.error);
    else this.waiting.push(listener);
  }

  whenIdle(listener: Listener): void {
    if (this.error !== null || this.inFlight === 0) listener(this.error);
    else this.idle.push(listener);
  }

  acknowledged(bytes: number, record: SentRecord | null, error: RpcError | null): void {
    this.inFlight -= bytes;
    this.largest.acknowledged(bytes);
    this.error ??= error;
    if (record !== null) this.window!.acknowledged(record);
    this.window?.hasRoom(this.ready);
    if (this.error !== null || this.ready) this.tell(this.waiting.splice(0));
    if (this.error !== null || this.inFlight === 0) this.tell(this.idle.splice(0));
  }

  private tell(listeners: Listener[]): void {
    for (const listener of listeners) listener(this.error);
  }
}

/**
 * The largest message under way. One that has been handled says nothing about those to come: were it remembered, a large
 * one at the beginning would let as much of a queue of small ones pass for ever.
 */
class Largest {
  bytes = 0;
  /** The largest behind that one. */
  private next = 0;
  private sentBytes = 0;
  private handledBytes = 0;
  /** All is handled up to the end of the largest when so many bytes are. */
  private end = 0;

  sent(bytes: number): void {
    this.sentBytes += bytes;
    if (bytes >= this.bytes) {
      this.bytes = bytes;
      this.end = this.sentBytes;
      this.next = 0;
    } else if (bytes > this.next) this.next = bytes;
  }

  acknowledged(bytes: number): void {
    this.handledBytes += bytes;
    if (this.handledBytes < this.end) return;
    this.bytes = this.next;
    this.next = 0;
    this.end = this.sentBytes;
  }
}

class Acknowledgement implements ResultsObserver {
  readonly immediate = false;
  private readonly flow: StreamFlow;
  private readonly bytes: number;
  private readonly record: SentRecord | null;

  constructor(flow: StreamFlow, bytes: number, record: SentRecord | null) {
    this.flow = flow;
    this.bytes = bytes;
    this.record = record;
  }

  resultsSettled(results: Results): void {
    this.flow.acknowledged(this.bytes, this.record, results.error);
    results.cancel();
  }
}

/**
 * The flow of a promise that has resolved to something with another flow: calls under way on the old path count first,
 * so that a sender does not fill a second window while the first is still full (C-FLO-12). What broke the old one
 * breaks the stream (C-FLO-07).
 */
class HandedOverFlow implements FlowController {
  private readonly old: StreamFlow;
  private readonly next: FlowController;

  constructor(old: StreamFlow, next: FlowController) {
    this.old = old;
    this.next = next;
  }

  get ready(): boolean {
    return this.old.isIdle && this.next.ready;
  }

  sent(bytes: number, results: Results): void {
    this.next.sent(bytes, results);
  }

  whenReady(listener: Listener): void {
    this.old.whenIdle((error) => {
      if (error === null) this.next.whenReady(listener);
      else listener(error);
    });
  }

  whenIdle(listener: Listener): void {
    this.old.whenIdle((error) => {
      if (error === null) this.next.whenIdle(listener);
      else listener(error);
    });
  }
}

/** The flow of a promise over a target with flow `old` that is now something with flow `next`. */
export function flowAfter(
  old: StreamFlow | null,
  next: FlowController | null,
): FlowController | null {
  if (old === null || old === next || old.isIdle) return next;
  return new HandedOverFlow(old, next ?? new StreamFlow(null));
}
