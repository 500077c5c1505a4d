// The receiver of WebSocket frames beside that of the `ws` package: the same bytes give the same messages, pings and close
// code, however they are cut; and what a header promises is not allocated.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import * as ws from "ws";
import { PLAIN_MEMORY } from "../../src/wire/frame-memory.js";
import { type ReceiverOwner, WebSocketReceiver } from "../../src/transport/websocket-receiver.js";
import { closing, KEY, wsFrame } from "../support/websocket-frames.js";

const MAX_BYTES = 100_000;

/** What a receiver said, in order. */
class Heard implements ReceiverOwner {
  readonly log: string[] = [];
  /** Bytes of each allocation. */
  readonly allocated: number[] = [];
  /** Bytes that were read to where they cannot stay. */
  copied = 0;

  unit(memory: Uint8Array, view: DataView, at: number, end: number, own: boolean): void {
    expect(view.byteLength).toBe(memory.length);
    if (own) expect([memory.byteOffset, at]).toEqual([0, 0]);
    const bytes = Buffer.from(memory.subarray(at, end));
    this.log.push(`message ${bytes.toString("base64")}`);
  }
  text(): void {
    this.log.push("text");
  }
  ping(payload: Uint8Array): void {
    this.log.push(`ping ${Buffer.from(payload).toString("hex")}`);
  }
  closeFrame(code: number, reason: string): void {
    this.log.push(`close ${code} ${reason}`);
  }
  broken(code: number): void {
    this.log.push(`broken ${code}`);
  }
}

/** Hands the bytes over as a socket does: to one buffer, or to where the receiver wants them; `cuts` are sizes of reads. */
function ours(bytes: Uint8Array, cuts: readonly number[], fromClient: boolean): Heard {
  const heard = new Heard();
  const memory = {
    ...PLAIN_MEMORY,
    allocate: (size: number) => {
      heard.allocated.push(size);
      // Room behind it, and stale bytes in it.
      return new Uint8Array(size + 4096).fill(0xee);
    },
  };
  const receiver = new WebSocketReceiver(heard, memory, fromClient, MAX_BYTES);
  // Chunks of a stream of Node's begin anywhere in their buffer.
  const shared = new Uint8Array(new ArrayBuffer(65_544), cuts.length, 65_536);
  const view = new DataView(shared.buffer, shared.byteOffset, shared.length);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const { space } = receiver;
    const into = space ?? shared;
    expect(into.length).toBeGreaterThan(0);
    const most = space === null ? receiver.worthCopying : Infinity;
    expect(most).toBeGreaterThan(0);
    const n = Math.min(cuts[i % cuts.length]!, into.length, most, bytes.length - at);
    into.set(bytes.subarray(at, at + n));
    if (space === null) heard.copied += n;
    if (space === null) receiver.take(shared, view, n);
    else receiver.filled(space, n);
    at += n;
  }
  return heard;
}

interface Oracle extends NodeJS.WritableStream {
  readonly _opcode: number;
}

/** What `ws` makes of the same. */
async function theirs(bytes: Uint8Array, cuts: readonly number[], isServer: boolean) {
  const log: string[] = [];
  const { Receiver } = ws as unknown as { Receiver: new (options: object) => Oracle };
  const receiver = new Receiver({ isServer, maxPayload: MAX_BYTES });
  receiver.on("message", (data: Buffer, isBinary: boolean) =>
    log.push(isBinary ? `message ${data.toString("base64")}` : "text"),
  );
  receiver.on("ping", (data: Buffer) => log.push(`ping ${data.toString("hex")}`));
  let over = false;
  receiver.on("conclude", (code: number, reason: Buffer) => {
    log.push(`close ${code} ${reason.toString()}`);
    over = true;
  });
  const failed = new Promise<string[]>((resolve) => {
    receiver.on("error", (error: Error) => {
      const [symbol] = Object.getOwnPropertySymbols(error);
      const code = (error as unknown as Record<symbol, number>)[symbol!]!;
      // It looks whether text is UTF-8; here text is refused whatever it says.
      resolve([...log, code === 1007 && receiver._opcode === 1 ? "text" : `broken ${code}`]);
    });
  });
  for (let at = 0, i = 0; at < bytes.length && !over; i++) {
    const n = Math.min(cuts[i % cuts.length]!, bytes.length - at);
    // A chunk of its own: it is unmasked in place.
    receiver.write(bytes.slice(at, at + n));
    at += n;
  }
  const idle = new Promise<string[]>((resolve) => setImmediate(() => resolve(log)));
  return Promise.race([failed, idle]);
}

/** Up to where text came: then the connection is over here. */
function upToText(log: readonly string[]): string[] {
  const at = log.indexOf("text");
  return at < 0 ? [...log] : log.slice(0, at + 1);
}

async function same(bytes: Uint8Array, cuts: readonly number[], fromClient: boolean) {
  const heard = ours(bytes, cuts, fromClient);
  expect(upToText(heard.log)).toEqual(upToText(await theirs(bytes, cuts, fromClient)));
  return heard;
}

const size = fc.oneof(
  { weight: 6, arbitrary: fc.nat(40) },
  { weight: 2, arbitrary: fc.constantFrom(0, 1, 124, 125, 126, 127, 4095, 4096, 4097) },
  { weight: 1, arbitrary: fc.integer({ min: 16_000, max: 70_000 }) },
);
/** What well-behaved peers send, mostly, and each way to break a rule now and then. */
const anyFrame = fc.record({
  opcode: fc.oneof(
    { weight: 10, arbitrary: fc.constantFrom(0, 0, 2, 2, 9, 10) },
    { weight: 1, arbitrary: fc.nat(15) },
  ),
  fin: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, fc.boolean()),
  rsv: fc.oneof({ weight: 60, arbitrary: fc.constant(0) }, fc.nat(7)),
  bytes: size,
  fill: fc.nat(255),
  key: fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)),
  wrongMask: fc.oneof({ weight: 60, arbitrary: fc.constant(false) }, fc.boolean()),
  lengthBytes: fc.oneof({ weight: 12, arbitrary: fc.constant(undefined) }, fc.constantFrom(2, 8)),
  says: fc.oneof(
    { weight: 60, arbitrary: fc.constant(undefined) },
    fc.constantFrom(0n, 1n, 126n, 65_536n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n),
  ),
});
const anyClose = fc.record({
  code: fc.oneof(
    fc.constantFrom(1000, 1001, 1004, 1005, 1006, 1014, 1015, 2999, 3000),
    fc.nat(65_535),
  ),
  reason: fc.oneof(fc.string({ maxLength: 30 }), fc.uint8Array({ maxLength: 30 })),
});

describe("C-HOS-01: WebSocket frames", () => {
  for (const fromClient of [true, false])
    it(`any bytes of a ${fromClient ? "client" : "server"}'s give what ws makes of them, however they are cut`, async () => {
      const seen = new Set<string>();
      await fc.assert(
        fc.asyncProperty(
          fc.array(anyFrame, { maxLength: 8 }),
          fc.option(anyClose, { nil: undefined }),
          fc.array(fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 65_536 })), {
            minLength: 1,
            maxLength: 5,
          }),
          fc.option(fc.tuple(fc.nat(200_000), fc.nat(255)), { nil: undefined, freq: 3 }),
          async (frames, close, cuts, flip) => {
            // A message begins where none is open: else most programs would end at their second frame.
            let open = false;
            const parts = frames.map(({ opcode, bytes, fill, key, wrongMask, ...rest }) => {
              let kind = opcode;
              if (opcode === 0 && !open) kind = 2;
              else if (opcode === 2 && open) kind = 0;
              if (kind < 3) open = !rest.fin;
              const length = kind > 8 ? bytes % 126 : bytes;
              const payload = Uint8Array.from({ length }, (_, i) => (i * 7 + fill) & 255);
              const masked = fromClient !== wrongMask;
              const fin = kind > 8 || rest.fin;
              return wsFrame({
                ...rest,
                fin,
                opcode: kind,
                payload,
                key: masked ? key : undefined,
              });
            });
            if (close !== undefined) {
              const payload = closing(close.code, close.reason);
              parts.push(wsFrame({ opcode: 8, payload, key: fromClient ? KEY : undefined }));
            }
            const bytes = new Uint8Array(Buffer.concat(parts));
            if (flip !== undefined && bytes.length > 0) bytes[flip[0] % bytes.length]! ^= flip[1];
            const { log } = await same(bytes, cuts, fromClient);
            for (const line of log) seen.add(/^broken \d+|^\w+/.exec(line)![0]);
          },
        ),
        { numRuns: 400 },
      );
      // What it is to tell apart has come.
      for (const kind of ["message", "ping", "close", "broken 1002", "broken 1009", "text"])
        expect(seen).toContain(kind);
    });

  it("C-FRM-07: memory grows with what comes, not with what is promised, in one frame and in many", () => {
    const promised = wsFrame({ says: BigInt(MAX_BYTES), payload: new Uint8Array(10), key: KEY });
    expect(ours(promised, [5], true).allocated).toEqual([MAX_BYTES]);
    const heard = new Heard();
    const memory = {
      ...PLAIN_MEMORY,
      allocate: (n: number) => (heard.allocated.push(n), new Uint8Array(n)),
    };
    const large = new WebSocketReceiver(heard, memory, false, 2 ** 40);
    const head = wsFrame({ says: 2n ** 39n });
    large.take(head, new DataView(head.buffer), head.length);
    let filled = 0;
    for (let i = 0; i < 10; i++) {
      const space = large.space!;
      expect(space.length).toBeLessThanOrEqual(Math.max(128 * 1024, filled) + 4096);
      filled += space.length;
      large.filled(space, space.length);
    }
    expect(heard.allocated[0]).toBe(128 * 1024);
    for (let i = 1; i < heard.allocated.length; i++)
      expect(heard.allocated[i]).toBeLessThanOrEqual(heard.allocated[i - 1]! * 2 + 2);
  });

  it("messages that each fill a read are read to where they stay, with one allocation each", async () => {
    const count = 30;
    const parts = Array.from({ length: count }, (_, i) =>
      wsFrame({ payload: new Uint8Array(65_650).fill(i), key: KEY }),
    );
    // All that has come, and no more than one message at a time.
    for (const cuts of [[65_536], [65_536, 128]]) {
      const heard = await same(new Uint8Array(Buffer.concat(parts)), cuts, true);
      expect(heard.log).toHaveLength(count);
      expect(heard.allocated).toHaveLength(count);
      // The first comes unexpected; of the others only the beginning does.
      expect(heard.copied).toBeLessThan(65_536 + count * 5000);
    }
    // Whoever sends small ones again is read as before.
    const small = Array.from({ length: 600 }, () =>
      wsFrame({ payload: new Uint8Array(200), key: KEY }),
    );
    const heard = await same(new Uint8Array(Buffer.concat([...parts, ...small])), [65_536], true);
    expect(heard.log).toHaveLength(count + 600);
    expect(heard.copied).toBeGreaterThan(600 * 200 - 5000);
  });

  it("a message of very many fragments costs as many copies as its bytes doubled", async () => {
    const count = 20_000;
    const parts = Array.from({ length: count }, (_, i) =>
      wsFrame({
        opcode: i === 0 ? 2 : 0,
        fin: i === count - 1,
        payload: Uint8Array.of(i),
        key: KEY,
      }),
    );
    const heard = await same(new Uint8Array(Buffer.concat(parts)), [65_536], true);
    expect(heard.log).toHaveLength(1);
    expect(heard.allocated.length).toBeLessThan(10);
  });

  it("what is skipped is not kept, wherever it stands, and control frames in between are told", () => {
    const bytes = new Uint8Array(
      Buffer.concat([
        wsFrame({ fin: false, payload: new Uint8Array(50_000), key: KEY }),
        wsFrame({ opcode: 9, payload: Uint8Array.of(1), key: KEY }),
        wsFrame({ opcode: 0, payload: new Uint8Array(20_000), key: KEY }),
        wsFrame({ payload: Uint8Array.of(2), key: KEY }),
        wsFrame({ opcode: 8, payload: closing(1000), key: KEY }),
      ]),
    );
    // Skips in the midst of the first frame, between the question for space and the answer.
    for (const first of [10, 20_000, 40_000]) {
      const heard = new Heard();
      const receiver = new WebSocketReceiver(heard, PLAIN_MEMORY, true, MAX_BYTES);
      const shared = bytes.slice();
      receiver.take(shared, new DataView(shared.buffer), first);
      const space = receiver.space;
      receiver.discard();
      let at = first;
      if (space !== null) {
        const n = Math.min(space.length, 5000);
        space.set(bytes.subarray(at, at + n));
        receiver.filled(space, n);
        at += n;
      }
      expect(receiver.space).toBeNull();
      const rest = bytes.slice(at);
      receiver.take(rest, new DataView(rest.buffer), rest.length);
      expect(heard.log).toEqual(["ping 01", "close 1000 "]);
    }
  });
});
