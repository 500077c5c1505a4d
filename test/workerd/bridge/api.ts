// The types of what bridge/worker.js serves.

import type { FetchInit, HttpResponse } from "../../../src/http.js";
import type { RpcTarget } from "../../../src/node.js";
import type { ServiceToken } from "../../../src/workerd.node.js";

export interface Counter extends RpcTarget {
  readonly count: number;
  add(by?: number): number;
  fork(): Counter;
  plus(other: Counter): number;
}

export interface Guest extends RpcTarget {
  readonly name: string;
  friend(name: string): Guest;
  greet(whom: string): string;
}

export interface Caught {
  isError: boolean;
  name: string;
  message: string;
  code?: string;
  stack: string;
  overloaded?: boolean;
  retryable?: boolean;
}

/** What both kinds have. */
export interface Api extends RpcTarget {
  echo(value: unknown): unknown;
  echoCounter(value: Counter): Counter;
  echoFunction(value: (n: number) => number): (n: number) => number;
  echoStream(value: ReadableStream): ReadableStream<Uint8Array>;
  echoParts(value: { blob: Blob; list: number[] }): { blob: Blob; list: number[] };
  add(a: number, b: number): number;
  nothing(): void;
  counter(from?: number): Counter;
  parts(): { name: string; inner: { counter: Counter }; twice: (n: number) => number };
  disposable(): { n: number };
  callBack(callback: (a: number, b: number) => unknown, a?: number, b?: number): unknown;
  visit(guest: Guest): string[];
  catches(callback: () => unknown): Caught;
  fails(kind: string): void;
  refuses(stream: unknown): void;
  size(stream: ReadableStream): number;
  stream(size: number, chunk?: number): ReadableStream<Uint8Array>;
  writeInto(writable: WritableStream, chunks: number): void;
  copy(from: ReadableStream, into: WritableStream): void;
  sink(): { writable: WritableStream<Uint8Array>; size: () => number };
  sinkAlone(): WritableStream<Uint8Array>;
  lastSize(): number;
  note(n: number): void;
  notes(): number[];
  echoSignal(signal: AbortSignal): boolean;
  aborted(signal: AbortSignal): unknown;
  answer(request: Request): Response;
  describeBlob(blob: Blob): string;
  room(name: string): RoomInResult;
  token(room: unknown): number;
  never(): void;
  missing(): void;
  disposals(): number;
  fetch(input: string, init?: FetchInit & { duplex?: "half" }): HttpResponse;
}

/** A stub of an object arrives as a token, and can be called while it is on its way. */
export type RoomInResult = ServiceToken & { add(a: number, b: number): number };

export interface Room extends Api {
  id(): string;
  idOf(name: string): string;
  keep(callback: (n: number) => unknown): void;
  callKept(n: number): unknown;
  dropKept(): void;
  reset(): void;
}

export interface Desk extends Api {
  props(): unknown;
}
