// Streams that count what they are asked for, and what became of them.

/** A stream of these chunks. */
export function streamOf<T>(...chunks: T[]): ReadableStream<T> {
  return new ReadableStream<T>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

/** Every chunk, as long as there are some. @throws what the stream fails with. */
export async function all(stream: ReadableStream): Promise<unknown[]> {
  const chunks: unknown[] = [];
  const reader = stream.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return chunks;
    chunks.push(value);
  }
}

/** Makes a chunk when it is asked for one: 0, 1, 2, and so on. */
export class Producer {
  /** How often it was asked. */
  asked = 0;
  canceled: unknown = "not canceled";
  readonly stream: ReadableStream;

  /** @param silent gives nothing, ever. @param make what a chunk is. */
  constructor(
    count: number,
    error?: unknown,
    silent = false,
    make: (n: number) => unknown = (n) => n,
  ) {
    this.stream = new ReadableStream<unknown>(
      {
        pull: async (controller) => {
          if (silent) await new Promise<void>(() => {});
          if (this.asked < count) controller.enqueue(make(this.asked++));
          else if (error === undefined) controller.close();
          else controller.error(error);
        },
        cancel: (reason) => {
          this.canceled = reason;
        },
      },
      { highWaterMark: 0 },
    );
  }
}

/** Takes chunks, each when it is told to. */
export class Consumer {
  readonly chunks: unknown[] = [];
  closed = false;
  aborted: unknown = "not aborted";
  readonly stream: WritableStream;
  private waiting: (() => void)[] = [];
  private controller: WritableStreamDefaultController | null = null;

  /** @param slow holds on to a chunk until {@link take} is called. */
  constructor(slow = false) {
    this.stream = new WritableStream<unknown>({
      start: (controller) => {
        this.controller = controller;
      },
      write: (chunk) => {
        this.chunks.push(chunk);
        return slow ? new Promise<void>((taken) => this.waiting.push(taken)) : undefined;
      },
      close: () => {
        this.closed = true;
      },
      abort: (reason) => {
        this.aborted = reason;
      },
    });
  }

  take(): void {
    this.waiting.shift()?.();
  }

  fail(reason: unknown): void {
    this.controller!.error(reason);
  }
}
