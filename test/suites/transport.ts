// What every transport must do, whatever carries it. A kind of transport brings a pair of them and a raw peer.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { limitsWith } from "../../src/base/limits.js";
import { RpcError } from "../../src/base/errors.js";
import type { Transport, TransportOptions } from "../../src/transport/transport.js";
import { Listener, listenTo, numbers, turn, Writer, until } from "../support/messages.js";
import { expectNoResidue, resources } from "../support/residue.js";

export interface TransportPair {
  readonly a: Transport;
  readonly b: Transport;
  /** Closes what the pair needed besides: a server, a listener. Both transports are over by then. */
  dispose?(): Promise<void> | void;
}

/** A transport whose peer writes and reads raw units: chunks of a stream, or what the carrier calls a message. */
export interface RawPair {
  readonly transport: Transport;
  send(unit: Uint8Array): void;
  /** Ends the raw side in an orderly way. */
  end(): void;
  /** Bytes of messages that came from the transport. */
  received(): number;
  dispose(): Promise<void> | void;
}

export interface TransportKind {
  readonly name: string;
  /** Whether a reader that pauses holds the writer up: false where the carrier cannot be stopped. */
  readonly stoppable: boolean;
  /** Whether the carrier says when it has taken a batch. */
  readonly backlog: boolean;
  /** Whether units are chunks of a stream, cut anywhere. */
  readonly stream: boolean;
  /** Whether one side may end and still read what the other sends until that ends too. */
  readonly halfClose: boolean;
  pair(options?: TransportOptions): Promise<TransportPair>;
  raw(options?: TransportOptions): Promise<RawPair>;
}

/** Bytes of the frame that {@link Writer} makes for `number`. */
export function frameBytes(number: number, bytes = 16): Uint8Array {
  const batch = new Writer().batch([number], bytes);
  const all = new Uint8Array(batch.bytes);
  let at = 0;
  for (const chunk of batch.chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}

/** Waits until the carrier has taken all that was written. */
async function taken(transport: Transport): Promise<void> {
  await until(() => transport.bufferedBytes === 0);
  expect(transport.bufferedBytes).toBe(0);
}

/** A frame header that promises 2^32 segments (C-FRM-04). */
const GARBAGE = new Uint8Array(16).fill(0xff);

/** What a carrier cannot do is no test of it: not one skipped. */
function itIf(can: boolean): (name: string, test: () => Promise<void>) => void {
  return (name, test) => {
    if (can) it(name, test);
  };
}

export function transportSuite(kind: TransportKind): void {
  describe(`${kind.name}: the transport suite`, () => {
    let before: Map<string, number>;
    let cleanup: (() => Promise<void> | void)[];
    let writer: Writer;

    beforeEach(() => {
      before = resources();
      cleanup = [];
      writer = new Writer();
    });

    afterEach(async () => {
      for (const step of cleanup.reverse()) await step();
      await expectNoResidue(before);
      expect(writer.unreleased, "batches not released").toBe(0);
    });

    async function open(options?: TransportOptions): Promise<{ a: Transport; b: Transport }> {
      const pair = await kind.pair(options);
      cleanup.push(async () => {
        pair.a.close();
        pair.b.close();
        await pair.dispose?.();
      });
      return pair;
    }

    async function openRaw(options?: TransportOptions): Promise<RawPair> {
      const pair = await kind.raw(options);
      cleanup.push(async () => {
        pair.transport.close();
        await pair.dispose();
      });
      return pair;
    }

    it("C-FRM-17: brings messages of both directions in order, each once", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      for (let i = 0; i < 50; i++) {
        a.write(writer.batch(numbers(i * 20, 20)));
        b.write(writer.batch(numbers(i * 20, 20), 24));
        if (i % 10 === 0) await turn();
      }
      await Promise.all([atA.messages(1000), atB.messages(1000)]);
      expect(atB.numbers).toEqual(numbers(0, 1000));
      expect(atA.numbers).toEqual(numbers(0, 1000));
      expect(atA.sizes.every((size) => size === 24)).toBe(true);
      expect(b.receivedBytes).toBeGreaterThanOrEqual(24_000);
    });

    it("brings small, referenced and very large messages whole", async () => {
      const { a, b } = await open();
      const atB = listenTo(b);
      const sizes = [16, 8192, 8200, 65_536, 100_000, 5_000_000, 16, 3_000_000];
      listenTo(a);
      sizes.forEach((size, i) => writer.add(i, size));
      a.write(writer.take());
      await atB.messages(sizes.length);
      expect(atB.sizes).toEqual(sizes);
      expect(atB.numbers).toEqual(numbers(0, sizes.length));
      await taken(a);
    });

    it("hands nothing over from inside a call of its own", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      let inside = false;
      atA.onMessage = atB.onMessage = () => expect(inside).toBe(false);
      const during = (call: () => void): void => {
        inside = true;
        call();
        inside = false;
      };
      b.pause();
      during(() => a.write(writer.batch(numbers(0, 5))));
      during(() => b.write(writer.batch(numbers(0, 5))));
      await atA.messages(5);
      await turn();
      during(() => b.resume());
      await atB.messages(5);
      during(() => a.close());
      expect(atA.ends).toEqual([]);
      await atA.ended();
    });

    it("C-FRM-03: end shows the peer an orderly end behind all that was written", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      a.write(writer.batch(numbers(0, 100), 1000));
      a.end();
      a.end();
      a.write(writer.batch([1000]));
      expect(await atB.ended()).toBeNull();
      expect(await atA.ended()).toBeNull();
      expect(atB.numbers).toEqual(numbers(0, 100));
      await turn();
      expect([atA.ends.length, atB.ends.length]).toEqual([1, 1]);
    });

    itIf(kind.halfClose)("goes on reading after its own end", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      atB.onMessage = () => {
        b.write(writer.batch([7]));
      };
      a.write(writer.batch([1]));
      a.end();
      await atB.ended();
      expect(await atA.ended()).toBeNull();
      expect(atA.numbers).toEqual([7]);
    });

    it("close ends both sides once, however often it is called", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      a.write(writer.batch([1]));
      await atB.messages(1);
      a.close();
      a.close(new RpcError("failed", "internal-error", "a later reason"));
      a.end();
      a.write(writer.batch([2]));
      a.pause();
      a.resume();
      expect(await atA.ended()).toBeNull();
      await atB.ended();
      b.close();
      b.end();
      await turn();
      expect(atA.log).toEqual(["closed"]);
      expect(atB.log).toEqual(["message 1", "closed"]);
    });

    it("close gives its error to its own side", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      const reason = new RpcError("overloaded", "queue-full", "too much");
      a.close(reason);
      expect(await atA.ended()).toBe(reason);
      await atB.ended();
    });

    it("hands over no message after close, and both at once may close", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      atB.onMessage = (number) => {
        if (number === 2) b.close();
      };
      a.write(writer.batch(numbers(0, 100)));
      await atB.messages(3);
      a.close();
      await Promise.all([atA.ended(), atB.ended()]);
      expect(atB.numbers).toEqual([0, 1, 2]);
    });

    it("loses nothing that came, end included, before it was started", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      a.write(writer.batch(numbers(0, 10)));
      a.end();
      await turn();
      const atB = listenTo(b);
      expect(await atB.ended()).toBeNull();
      expect(atB.numbers).toEqual(numbers(0, 10));
      await atA.ended();
    });

    it("says the end to who starts it after it was closed", async () => {
      const { a, b } = await open();
      a.close();
      const atB = listenTo(b);
      await atB.ended();
      const atA = listenTo(a);
      expect(atA.ends).toEqual([]);
      expect(await atA.ended()).toBeNull();
    });

    it("C-DIS-09: a paused side reads what came before the end, then the end", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const atB = listenTo(b);
      b.pause();
      a.write(writer.batch(numbers(0, 100)));
      a.end();
      for (let i = 0; i < 5; i++) await turn();
      expect(atB.log).toEqual([]);
      b.resume();
      expect(await atB.ended()).toBeNull();
      expect(atB.numbers).toEqual(numbers(0, 100));
      expect(atB.log.at(-1)).toBe("closed");
      await atA.ended();
    });

    it("stops in the midst of a unit when paused there, and goes on in order", async () => {
      const { a, b } = await open();
      const atB = listenTo(b);
      listenTo(a);
      atB.onMessage = (number) => {
        if (number % 30 === 0) b.pause();
      };
      a.write(writer.batch(numbers(1, 100)));
      a.write(writer.batch(numbers(101, 19)));
      for (const seen of [30, 60, 90, 119]) {
        await atB.messages(seen);
        for (let i = 0; i < 3; i++) await turn();
        expect(atB.numbers).toEqual(numbers(1, seen));
        b.resume();
        b.pause();
        b.resume();
      }
    });

    itIf(kind.stoppable)("C-FLO-20: a paused reader holds the writer up", async () => {
      const limits = limitsWith({ outgoingBytes: 100_000 });
      const { a, b } = await open({ limits });
      const atB = listenTo(b);
      listenTo(a);
      b.pause();
      let writable = 0;
      const count = 24;
      for (let i = 0; i < count; i++) {
        a.write(writer.batch([i], 1_000_000));
        await turn();
      }
      expect(a.bufferedBytes).toBeGreaterThan(limits.outgoingBytes);
      if (kind.backlog) {
        expect(a.backlog.messages).toBeGreaterThan(1);
        expect(a.backlog.messages).toBeLessThanOrEqual(count);
        expect(a.backlog.oldestMs).toBeGreaterThan(1);
      }
      void a.whenWritable().then(() => writable++);
      for (let i = 0; i < 20; i++) await turn();
      expect(writable).toBe(0);
      expect(atB.numbers.length).toBe(0);
      b.resume();
      await a.whenWritable();
      expect(a.bufferedBytes).toBeLessThanOrEqual(limits.outgoingBytes);
      expect(writable).toBe(1);
      await atB.messages(count);
      await taken(a);
      expect(a.backlog).toEqual({ messages: 0, oldestMs: 0 });
    });

    it("counts what waits rightly over many batches that never all leave at once", async () => {
      const { a, b } = await open();
      const atB = listenTo(b);
      listenTo(a);
      for (let i = 0; i < 1000; i++) {
        a.write(writer.batch([i], 512));
        if (i % 100 === 0) await turn();
      }
      await atB.messages(1000);
      await taken(a);
      expect(a.backlog).toEqual({ messages: 0, oldestMs: 0 });
      a.write(writer.batch([1000, 1001]));
      if (kind.backlog) expect(a.backlog.messages).toBe(2);
    });

    it("whenWritable resolves at once with room, and when the transport ends", async () => {
      const { a, b } = await open({ limits: limitsWith({ outgoingBytes: 1000 }) });
      const atA = listenTo(a);
      listenTo(b);
      await a.whenWritable();
      b.pause();
      for (let i = 0; i < 10; i++) a.write(writer.batch([i], 1_000_000));
      const room = a.whenWritable();
      a.close();
      await room;
      await atA.ended();
      await a.whenWritable();
    });

    itIf(kind.stream)("C-FRM-01: any chunking gives the same messages", async () => {
      const { transport, send } = await openRaw();
      const listener = listenTo(transport);
      const bytes = new Uint8Array(
        numbers(1, 40).flatMap((n) => [...frameBytes(n, 16 + 8 * (n % 7))]),
      );
      for (let at = 0, step = 1; at < bytes.length; step = (step * 5 + 3) % 23) {
        const next = Math.min(bytes.length, at + step + 1);
        send(bytes.slice(at, next));
        at = next;
        if (step % 4 === 0) await turn();
      }
      await listener.messages(40);
      expect(listener.numbers).toEqual(numbers(1, 40));
    });

    itIf(kind.stream)("C-FRM-03: an end inside a frame is a lost connection", async () => {
      const { transport, send, end } = await openRaw();
      const listener = listenTo(transport);
      send(frameBytes(1));
      send(frameBytes(2).subarray(0, 20));
      await listener.messages(1);
      await turn();
      end();
      expect(await listener.ended()).toMatchObject({
        type: "disconnected",
        code: "connection-lost",
      });
      expect(listener.log).toEqual(["message 1", "closed"]);
    });

    it("C-HOS-20: garbage is one fault behind the messages before it; an Abort can still leave", async () => {
      const { transport, send, received } = await openRaw();
      const listener = listenTo(transport);
      send(frameBytes(1));
      send(frameBytes(2));
      send(GARBAGE);
      send(GARBAGE);
      send(frameBytes(3));
      await listener.faulted();
      await turn();
      expect(listener.log).toEqual(["message 1", "message 2", "fault"]);
      expect(listener.faults[0]).toMatchObject({ type: "failed", code: "malformed-frame" });
      transport.write(writer.batch([9], 4000));
      transport.end();
      await until(() => received() >= 4008);
      expect(received()).toBe(4008);
      transport.close();
      expect(await listener.ended()).toBe(listener.faults[0]);
      expect(listener.log.length).toBe(4);
    });

    it("after a fault the peer can still write, and nothing of it is said", async () => {
      const { transport, send } = await openRaw();
      const listener = listenTo(transport);
      send(GARBAGE);
      await listener.faulted();
      const { receivedBytes } = transport;
      for (let i = 0; i < 20; i++) send(frameBytes(i, 200_000));
      const flowed = (): number => transport.receivedBytes - receivedBytes;
      await until(() => !kind.stream || flowed() >= 4_000_000);
      if (kind.stream) expect(flowed()).toBeGreaterThanOrEqual(4_000_000);
      expect(listener.log).toEqual(["fault"]);
    });

    itIf(kind.name === "memory")(
      "garbage that waits in a pause is a fault, not a good end, though the peer ended since",
      async () => {
        const { transport, send, end } = await openRaw();
        const listener = listenTo(transport);
        transport.pause();
        send(GARBAGE);
        end();
        await turn();
        transport.resume();
        await listener.faulted();
        expect(await listener.ended()).toMatchObject({ code: "malformed-frame" });
      },
    );

    it("garbage that comes during a pause waits behind the messages", async () => {
      const { transport, send } = await openRaw();
      const listener = listenTo(transport);
      transport.pause();
      send(frameBytes(1));
      send(GARBAGE);
      send(frameBytes(2));
      for (let i = 0; i < 5; i++) await turn();
      expect(listener.log).toEqual([]);
      transport.resume();
      await listener.faulted();
      for (let i = 0; i < 3; i++) await turn();
      expect(listener.log).toEqual(["message 1", "fault"]);
    });

    it("a listener may close, end and write from inside what it is told", async () => {
      const { a, b } = await open();
      const atA = listenTo(a);
      const inner = new Listener();
      inner.onMessage = (number) => {
        b.write(writer.batch([number + 1]));
        b.end();
        if (number === 3) b.close();
      };
      b.start(inner);
      a.write(writer.batch([3, 4, 5]));
      await inner.ended();
      await atA.ended();
      expect(inner.numbers).toEqual([3]);
    });
  });
}
