// Role: the body of a request to a server of Node's, as it is asked for; and what is written into the answer to one.
// State: the chunk that has come and nobody has asked for. Must not know: services.

import type { IncomingMessage, ServerResponse } from "node:http";
import { RpcError } from "../base/errors.js";
import type { BodySource } from "./outgoing-body.js";
import { Refusal } from "./front-head.node.js";

function clientGone(): RpcError {
  return new RpcError("disconnected", "connection-lost", "the client went away");
}

type Chunk = { readonly done?: boolean; readonly value?: unknown };

export class NodeBody implements BodySource {
  private readonly request: IncomingMessage;
  private readonly most: number;
  private count = 0;
  private readonly ready: Chunk[] = [];
  private error: Error | null = null;
  private waiting: { resolve(chunk: Chunk): void; reject(error: Error): void } | null = null;
  private canceled = false;

  /** @param most bytes that it may have. */
  constructor(request: IncomingMessage, most: number) {
    this.request = request;
    this.most = most;
    request.on("data", (chunk: Buffer) => this.arrived(chunk));
    request.on("end", () => this.offer({ done: true }));
    // When the client is gone, so is its response: that is told to the exchange, which wants no more of this.
  }

  read(): Promise<Chunk> {
    const chunk = this.ready.shift();
    if (chunk !== undefined) return Promise.resolve(chunk);
    if (this.error !== null) return Promise.reject(this.error);
    this.request.resume();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
    });
  }

  /** What still comes is let go by: the answer goes over the same connection. */
  cancel(): void {
    this.canceled = true;
    this.request.resume();
  }

  private arrived(value: Buffer): void {
    if (this.canceled) return;
    this.request.pause();
    this.count += value.length;
    if (this.count > this.most) this.fail(new Refusal(413));
    else this.offer({ value });
  }

  private offer(chunk: Chunk): void {
    if (this.error !== null) return;
    const { waiting } = this;
    this.waiting = null;
    if (waiting === null) this.ready.push(chunk);
    else waiting.resolve(chunk);
  }

  private fail(error: Error): void {
    this.error ??= error;
    this.waiting?.reject(this.error);
    this.waiting = null;
  }
}

/** @returns resolves when more is welcome; rejects when nothing is any more. */
export function writeTo(answer: ServerResponse, chunk: Uint8Array): Promise<void> {
  if (answer.destroyed) return Promise.reject(clientGone());
  if (answer.write(chunk)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      answer.off("drain", done);
      answer.off("close", done);
      resolve();
    };
    answer.on("drain", done);
    answer.on("close", done);
  });
}
