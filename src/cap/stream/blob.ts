// Role: Blobs and Files by reference: their bytes are fetched as a stream, before the value that holds them is handed on.
// State: per Blob that comes in, what has come of it. Must not know: values around it.
//
// A Blob gives its bytes later, and a value is encoded now; but who gets a value may ask a Blob for its size and slice it. So it
// goes as a source that may be read any number of times, whose first chunk says what it is, and a receiver waits for all of it.

import { RpcError } from "../../base/errors.js";
import type { Scheduler } from "../../base/scheduler.js";
import type { Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { WRITE_BYTES } from "./protocol.js";
import { pipe, Source } from "./source.js";
import type { Drain, SinkServer } from "./sink-server.js";
import { droppedError, type Values } from "./values.js";

/** Bytes in a Blob that goes by value, since whoever gets it holds all of it. A larger one goes as `blob.stream()`. */
export const MAX_BLOB = 16 * 1024 * 1024;

interface Head {
  readonly type: string;
  readonly size: number;
  /** Of a File, with the next. */
  readonly name?: string;
  readonly lastModified?: number;
}

/** What a Blob goes as. @throws TypeError when it is too large. */
export function sendBlob(blob: Blob, scheduler: Scheduler, values: Values): Hook {
  if (blob.size > MAX_BLOB)
    throw new TypeError(
      `it is a Blob of ${blob.size} bytes, and ${MAX_BLOB} is the most that goes by value: send blob.stream()`,
    );
  return new LocalHook(new BlobSource(blob, values), scheduler);
}

class BlobSource implements Server {
  readonly passive = true;
  private readonly blob: Blob;
  private readonly values: Values;

  constructor(blob: Blob, values: Values) {
    this.blob = blob;
    this.values = values;
  }

  readonly dispatch = (call: LocalCall): void => {
    new Source(chunksOf(this.blob).getReader(), this.values).dispatch(call);
  };
}

function chunksOf(blob: Blob): ReadableStream<unknown> {
  let at = -1;
  return new ReadableStream<unknown>(
    {
      async pull(controller) {
        if (at < 0) {
          at = 0;
          controller.enqueue(headOf(blob));
        } else if (at < blob.size) {
          const part = blob.slice(at, (at += WRITE_BYTES));
          controller.enqueue(new Uint8Array(await part.arrayBuffer()));
        } else controller.close();
      },
    },
    { highWaterMark: 0 },
  );
}

function headOf(blob: Blob): Head {
  const { type, size } = blob;
  if (typeof File === "undefined" || !(blob instanceof File)) return { type, size };
  return { type, size, name: blob.name, lastModified: blob.lastModified };
}

/**
 * Fetches the Blob behind `hook`, which is taken over. Tells one of both, from a job; neither once the returned was called.
 * @returns gives it up.
 */
export function receiveBlob(
  hook: Hook,
  values: Values,
  received: (blob: Blob) => void,
  failed: (error: RpcError) => void,
): () => void {
  const collector = new Collector(received, failed);
  collector.server = pipe(hook, collector, values, (error) => {
    hook.release();
    collector.finish(error ?? droppedError());
  });
  return () => collector.giveUp();
}

class Collector implements Drain {
  server: SinkServer | null = null;
  private readonly received: (blob: Blob) => void;
  private readonly failed: (error: RpcError) => void;
  private head: Head | null = null;
  /** Copies: chunks of a byte, or of none, or views on large messages would hold far more than the Blob has. */
  private bytes = new Uint8Array(0);
  private size = 0;
  private over = false;

  constructor(received: (blob: Blob) => void, failed: (error: RpcError) => void) {
    this.received = received;
    this.failed = failed;
  }

  write(chunk: unknown): Promise<void> {
    const { head, bytes, size } = this;
    if (head === null) this.head = readHead(chunk);
    else if (chunk instanceof Uint8Array) this.size += chunk.length;
    if (this.head !== null && this.size <= this.head.size) {
      if (this.size > bytes.length) {
        this.bytes = new Uint8Array(Math.min(this.head.size, 2 * this.size));
        this.bytes.set(bytes);
      }
      if (this.size > size) this.bytes.set(chunk as Uint8Array, size);
      return Promise.resolve();
    }
    const error = new RpcError("failed", "invalid-payload", "this is not how a Blob is sent");
    this.server!.broken(error);
    this.finish(error);
    return Promise.reject(error);
  }

  end(): Promise<void> {
    const { head, bytes } = this;
    if (head === null || this.size !== head.size) this.finish(droppedError("it is too short"));
    else if (!this.over) {
      this.over = true;
      const { type, name, lastModified } = head;
      this.received(
        name === undefined || typeof File === "undefined"
          ? new Blob([bytes], { type })
          : new File([bytes], name, { type, lastModified: lastModified! }),
      );
    }
    return Promise.resolve();
  }

  abort(reason: unknown): void {
    this.finish(RpcError.from(reason));
  }

  dropped(): void {
    // The answer to the call says why.
  }

  giveUp(): void {
    this.over = true;
    this.server!.broken(droppedError());
  }

  finish(error: RpcError): void {
    if (this.over) return;
    this.over = true;
    this.failed(error);
  }
}

function readHead(chunk: unknown): Head | null {
  if (typeof chunk !== "object" || chunk === null) return null;
  const { type, size, name, lastModified } = chunk as Partial<Record<keyof Head, unknown>>;
  if (typeof type !== "string" || typeof size !== "number" || !(size <= MAX_BLOB)) return null;
  if (typeof name !== "string" || typeof lastModified !== "number") return { type, size };
  return { type, size, name, lastModified };
}
