// Role: what the scenarios of streams call.
// State: what became of the streams it gave and took. Must not know: scenarios, runtimes.

import { RpcTarget } from "../../src/index.js";
import { Counter } from "./objects.js";

/** Every chunk, as long as there are some. @throws what the stream fails with. */
export async function all<T>(stream: ReadableStream<T>): Promise<T[]> {
  const chunks: T[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    chunks.push(value);
  }
}

/** A stream of these chunks, made when they are asked for. */
export function streamOf<T>(...chunks: T[]): ReadableStream<T> {
  let at = 0;
  return new ReadableStream<T>(
    {
      pull(controller) {
        if (at < chunks.length) controller.enqueue(chunks[at++]!);
        else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

export function concat(chunks: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/** Bytes that differ from their neighbours. */
export function pattern(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, i) => i * 7 + (i >> 8));
}

export class Streams extends RpcTarget {
  #made = 0;
  #reason: unknown = "none yet";
  #taken: unknown[] = [];
  #closed = false;
  #goOn: () => void = () => {};

  /** Chunks made by {@link endless}. */
  made(): number {
    return this.#made;
  }
  /** Why a stream of ours was canceled, or one that was written to aborted. */
  reason(): unknown {
    return this.#reason;
  }
  taken(): unknown[] {
    return this.#taken;
  }
  closed(): boolean {
    return this.#closed;
  }

  give(...chunks: unknown[]): ReadableStream {
    return streamOf(...chunks);
  }
  nested(...chunks: unknown[]): { title: string; body: ReadableStream } {
    return { title: "nested", body: streamOf(...chunks) };
  }
  collect(stream: ReadableStream): Promise<unknown[]> {
    return all(stream);
  }
  collectIn(value: { streams: Map<string, ReadableStream> }): Promise<unknown[][]> {
    return Promise.all([...value.streams.values()].map(all));
  }
  bytes(length: number): ReadableStream<Uint8Array> {
    const bytes = pattern(length);
    let at = 0;
    return new ReadableStream({
      type: "bytes",
      pull(controller) {
        if (at < length) return controller.enqueue(bytes.slice(at, (at += 10_000)));
        controller.close();
        controller.byobRequest?.respond(0);
      },
    });
  }
  async sum(stream: ReadableStream<Uint8Array>): Promise<number> {
    return concat(await all(stream)).reduce((sum, byte) => sum + byte, 0);
  }
  /** Chunks of 4 KiB without an end. */
  endless(): ReadableStream<Uint8Array> {
    return new ReadableStream(
      {
        pull: (controller) => {
          this.#made++;
          controller.enqueue(new Uint8Array(4096));
        },
        cancel: (reason) => void (this.#reason = reason),
      },
      { highWaterMark: 0 },
    );
  }
  fails(message: string): ReadableStream<string> {
    let asked = 0;
    return new ReadableStream({
      pull(controller) {
        if (asked++ === 0) controller.enqueue("first");
        else controller.error(new RangeError(message));
      },
    });
  }
  counters(): ReadableStream<{ counter: Counter }> {
    return streamOf({ counter: new Counter() }, { counter: new Counter() });
  }

  /** Takes what is written: each chunk at once, or, held, when {@link goOn} is called. */
  open(held = false): WritableStream {
    return new WritableStream({
      write: async (chunk) => {
        this.#taken.push(chunk);
        if (held) await new Promise<void>((resolve) => (this.#goOn = resolve));
      },
      close: () => void (this.#closed = true),
      abort: (reason) => void (this.#reason = reason),
    });
  }
  goOn(): void {
    this.#goOn();
  }
  full(message: string): WritableStream {
    return new WritableStream({
      write() {
        throw new RangeError(message);
      },
    });
  }
  doubling(): TransformStream<number, number> {
    return new TransformStream({
      transform: (n, controller) => controller.enqueue(2 * n),
    });
  }

  async shout(request: Request): Promise<Response> {
    const text = await request.text();
    return new Response(text.toUpperCase(), { status: 201, headers: { "x-seen": request.url } });
  }
}
