// Role: gathers the small byte chunks of one turn, so that a call carries many of them.
// State: the params of the write that is being gathered; whether somebody looks for the end of the turn.
// Must not know: what a sink is, or whether it has room.

import { Content } from "../../wire/content.js";
import { putBytesHead } from "./protocol.js";

/** A chunk of more bytes goes alone. */
export const GATHER_UP_TO = 1024;
/** So many bytes are enough for a call: more would save little, and a reader takes and answers a call at a time. */
const ENOUGH = 4096;
const LEAST_BUFFER = 512;
const HEAD = 16;
/**
 * A turn is taken for over when so many microtasks passed without another chunk. From one write of a WritableStream to the
 * next, when each is awaited, it takes half of them.
 */
const QUIET_HOPS = 12;

const SETTLED: Promise<void> = /* @__PURE__ */ Promise.resolve();

/**
 * Chunks of bytes on their way into one call.
 * @example if (gathered.add(chunk)) send(gathered.take());
 */
export class Gathered {
  private buffer = new Uint8Array(0);
  private end = HEAD;
  private looking = false;
  private quiet = 0;
  private readonly turnOver: () => void;

  /** @param turnOver called in a microtask, when something is there and no more came for a while. */
  constructor(turnOver: () => void) {
    this.turnOver = turnOver;
  }

  get isEmpty(): boolean {
    return this.end === HEAD;
  }

  /** Copies `chunk`, of at most {@link GATHER_UP_TO} bytes. @returns whether it is enough, and to be sent now. */
  add(chunk: Uint8Array): boolean {
    const { end } = this;
    const next = end + chunk.length;
    if (next > this.buffer.length) this.grow(next);
    this.buffer.set(chunk, end);
    this.end = next;
    this.quiet = 0;
    if (next >= ENOUGH) return true;
    if (!this.looking) {
      this.looking = true;
      void SETTLED.then(this.look);
    }
    return false;
  }

  /** Params of ByteStream.write with all that was gathered, in memory that the next chunk uses again. */
  take(): Content {
    const { buffer, end } = this;
    const padded = (end + 7) & -8;
    buffer.fill(0, end, padded);
    putBytesHead(buffer, end - HEAD);
    this.end = HEAD;
    return new Content(buffer.subarray(0, padded), null, true);
  }

  private grow(bytes: number): void {
    const most = HEAD + ENOUGH + GATHER_UP_TO;
    const size = Math.min(most, Math.max(LEAST_BUFFER, 2 * bytes));
    const buffer = new Uint8Array(size);
    buffer.set(this.buffer.subarray(0, this.end));
    this.buffer = buffer;
  }

  private readonly look = (): void => {
    if (this.quiet++ < QUIET_HOPS) {
      void SETTLED.then(this.look);
      return;
    }
    this.looking = false;
    if (!this.isEmpty) this.turnOver();
  };
}
