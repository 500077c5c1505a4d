// Role: streams between test vats over links with a bandwidth: producers that send all their windows allow, consumers
// that count, and what one can see of both in virtual time.
// State: the vats, what each producer sent, what each consumer got.
// Must not know: how large a window should be.
//
// A chunk's message is small and carries the number of bytes that it stands for, which the producer counts in its window
// and the line in its time: 64 MiB chunks cost no more here than those of one byte. test/flow/bytes.test.ts shows with
// real chunks that this changes nothing.

import { limitsWith } from "../../src/base/limits.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import type { AdaptiveWindow } from "../../src/rpc/adaptive-window.js";
import type { StreamFlow } from "../../src/rpc/flow.js";
import { type MeshVat, TestVats } from "../../src/testing.js";
import { Content } from "../../src/wire/content.js";
import { type Outcome, outcome, payload, tell } from "./objects.js";

const KIB = 1024;
const MIB = KIB * KIB;
const WRITE = 1;
const OPEN = 2;
/** Marks the last word of a message whose weight stands before it. */
const MARK = 0x57e1;
/** About what a Call message adds to its params. */
const ENVELOPE = 96;

export interface Path {
  /** Milliseconds there and back, without any queue. */
  roundTrip: number;
  /** Bytes per millisecond; a MB/s is 1000 of them. */
  bandwidth: number;
}

/** Bytes that are under way on a path without a queue. */
export const fits = ({ roundTrip, bandwidth }: Path): number => roundTrip * bandwidth;

/** What the queue of a path may reach: twice what fits, or 64 KiB; for each stream at least its first window. */
export const queueBound = (path: Path, streams = 1): number =>
  Math.max(2 * fits(path), streams * 64 * KIB);

/** Limits that are no part of the question. */
const LIMITS = limitsWith({
  outgoingBytes: 1024 * MIB,
  questions: 10_000_000,
  answers: 10_000_000,
});

/** A Data of so many real bytes. */
function realChunk(size: number): CallRequest {
  const bytes = new Uint8Array(16 + ((size + 7) & -8));
  const view = new DataView(bytes.buffer);
  view.setUint32(6, 1, true);
  view.setUint32(8, 1, true);
  view.setUint32(12, (size << 3) | 2, true);
  return new CallRequest(0, 0x7e57, WRITE, new Payload(new Content(bytes)));
}

function chunkOf(weight: number): CallRequest {
  const bytes = new Uint8Array(24);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, 2, true);
  view.setUint32(12, weight, true);
  view.setUint32(16, MARK, true);
  return new CallRequest(0, 0x7e57, WRITE, new Payload(new Content(bytes)));
}

function weightIn(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 16, 16);
  return view.getUint32(8, true) === MARK ? view.getUint32(4, true) : bytes.length;
}

/** Sends chunks as long as the window has room, and goes on when it has again. */
export class Producer {
  readonly hook: Hook;
  readonly flow: StreamFlow;
  sent = 0;
  /** Why it ended; null while it did not fail. */
  error: Error | null = null;
  /** The most that was under way. */
  most = 0;
  private running = false;
  private waiting = false;
  private readonly chunk: () => number;

  private readonly real: boolean;

  /** @param real chunks have all their bytes, instead of standing for them. */
  constructor(hook: Hook, chunk: number | (() => number), real: boolean) {
    this.hook = hook;
    this.real = real;
    this.flow = hook.flow as StreamFlow;
    this.chunk = typeof chunk === "number" ? () => chunk : chunk;
  }

  /** The stream's window, which nothing outside rpc/ sees. */
  get window(): AdaptiveWindow {
    return (this.flow as unknown as { window: AdaptiveWindow }).window;
  }

  get blocked(): boolean {
    return this.waiting;
  }

  start(): void {
    this.running = true;
    this.pump();
  }

  stop(): void {
    this.running = false;
  }

  write(weight: number): void {
    const request = this.real ? realChunk(weight) : chunkOf(weight);
    const bytes = this.real ? request.params.content.byteLength : weight;
    const results = this.hook.call(request);
    this.flow.sent(this.real ? bytes + ENVELOPE : weight, results);
    this.sent += weight;
    this.most = Math.max(this.most, this.flow.bytesInFlight);
  }

  private pump(): void {
    while (this.running && this.flow.ready) this.write(this.chunk());
    if (!this.running || this.waiting) return;
    this.waiting = true;
    this.flow.whenReady((error) => {
      this.waiting = false;
      this.error = error;
      if (error === null) this.pump();
      else this.running = false;
    });
  }
}

/** Counts what comes. Held, it takes chunks and answers none until it goes on. */
export class Consumer {
  received = 0;
  held = false;
  /** Milliseconds that each chunk takes, one after the other. */
  pace = 0;
  /** Milliseconds until a chunk is answered, others meanwhile: as if it went on to another end of the world. */
  distance = 0;
  private readonly net: TestVats;
  private readonly parked: LocalCall[] = [];

  constructor(net: TestVats) {
    this.net = net;
  }

  take(call: LocalCall): void {
    if (this.distance === 0) call.streaming();
    this.received += weightIn(call.params.content.bytes);
    if (this.held) this.parked.push(call);
    else if (this.pace + this.distance > 0)
      this.net.after(this.pace + this.distance, () => call.returns());
    else call.returns();
  }

  goOn(): void {
    this.held = false;
    for (const call of this.parked.splice(0)) call.returns();
  }
}

export interface Stream {
  readonly producer: Producer;
  readonly consumer: Consumer;
}

/** Hops between vats called v0, v1, ...: producers at the first, consumers at the last, proxies in between. */
export class StreamLab {
  readonly net = new TestVats();
  readonly streams: Stream[] = [];
  readonly first = "v0";
  readonly last: string;
  private readonly root: Hook;
  private readonly desk: Hook;

  /** @param streamWindow the limit of that name, for all vats. */
  constructor(path: Path | readonly Path[], streamWindow = 64 * KIB) {
    const hops = "bandwidth" in path ? [path] : path;
    this.net.checking = false;
    this.last = `v${hops.length}`;
    const names = [...hops, null].map((_, i) => `v${i}`);
    const vats: MeshVat[] = names.map((name, i) =>
      this.net.vat(name, {
        limits: limitsWith({ ...LIMITS, streamWindow }),
        bootstrap: (): Hook =>
          i < hops.length ? vats[i]!.to(names[i + 1]!).bootstrap() : root.addRef(),
      }),
    );
    const root: Hook = new LocalHook(
      { dispatch: (call) => this.dispatch(call) },
      vats.at(-1)!.scheduler,
    );
    this.root = root;
    hops.forEach(({ roundTrip, bandwidth }, i) =>
      this.net.link(names[i]!, names[i + 1]!, {
        delay: roundTrip / 2,
        bandwidth,
        weigh: weightIn,
      }),
    );
    this.desk = vats[0]!.to("v1").bootstrap();
  }

  private dispatch(call: LocalCall): void {
    if (call.methodId !== OPEN) {
      call.returns(payload(0));
      return;
    }
    const consumer = this.streams.at(-1)!.consumer;
    const { scheduler } = this.net.vats.get(this.last)!;
    call.returns(payload(0, new LocalHook({ dispatch: (one) => consumer.take(one) }, scheduler)));
  }
  /** One more stream, which does not send yet. */
  open(chunk: number | (() => number), real = false): Stream {
    const consumer = new Consumer(this.net);
    const opened = outcomeOfOpen(this.desk);
    (this.streams as { consumer: Consumer }[]).push({ consumer });
    while (!opened.settled) this.net.advance(1000);
    const stream = { producer: new Producer(opened.caps[0]!.addRef(), chunk, real), consumer };
    opened.release();
    this.streams[this.streams.length - 1] = stream;
    return stream;
  }

  /** Calls that each vat has sent on and waits for, the first one's first. */
  held(): number[] {
    const names = [...this.net.vats.keys()];
    return names.slice(1).map((next, i) => {
      const { questions } = this.net.vats.get(names[i]!)!.to(next).stats();
      return questions;
    });
  }

  /** Bytes of each connection's calls that the vat it leads to is handling or withholds. */
  taken(): number[] {
    const names = [...this.net.vats.keys()];
    return names.slice(1).map((name, i) => {
      const stats = this.net.vats.get(name)!.to(names[i]!).stats();
      return stats.incomingCallBytes + stats.withheldCallBytes;
    });
  }

  /** A small call, told by the time it took once it is there. */
  ping(): { took: number } {
    const from = this.net.now;
    const seen = { took: -1 };
    tellThen(this.desk, () => (seen.took = this.net.now - from));
    return seen;
  }

  /** Ends all at zero residue. */
  end(): void {
    for (const { producer, consumer } of this.streams) {
      producer.stop();
      consumer.goOn();
    }
    this.net.advance(1e7);
    for (const { producer } of this.streams) producer.hook.release();
    this.desk.release();
    this.net.advance(1e7);
    this.root.release();
    this.net.assertEmpty();
  }
}

function outcomeOfOpen(desk: Hook): Outcome {
  return outcome(desk.call(new CallRequest(0, 0x7e57, OPEN, payload(0))));
}

function tellThen(hook: Hook, done: () => void): void {
  const results = hook.call(new CallRequest(0, 0x7e57, 0, payload(0)));
  results.observe({
    immediate: false,
    resultsSettled(settled) {
      if (settled.error === null) settled.takePayload().release();
      settled.dropPipeline();
      done();
    },
  });
}
export { tell };
