// The types of what serve/worker.js serves, by the debug port.

import type { RpcTarget } from "../../../src/node.js";

export interface Caught {
  readonly name: string;
  readonly message: string;
  readonly class: string;
  readonly stack: string;
  readonly retryable?: boolean;
  readonly overloaded?: boolean;
  readonly code?: string;
  readonly cause?: unknown;
  readonly own: object;
}

export interface Caller extends RpcTarget {
  call(path: string[], ...args: unknown[]): unknown;
  get(path: string[]): unknown;
  fails(path: string[], ...args: unknown[]): Caught | { value: unknown } | null;
  pipelined(): string;
  deeper(): unknown[];
  guests(): unknown[];
  visits(n: number): void;
  parallel(n: number): number[];
  readStream(size: number, chunk: number): number;
  readSlowly(size: number, chunk: number): number;
  readBroken(): Caught;
  sendEndless(): void;
  sendStream(size: number): number;
  echoStream(size: number): number;
  sendBroken(): Caught;
  writeIntoTheirs(size: number, chunk: number): number;
  lendWritable(chunks: number): number;
  pipe(size: number): number;
  signal(): Caught;
  theirSignal(): Caught;
  bridge(what: string): unknown;
  web(): object;
  echoes(): unknown[];
  maps(): Caught | null;
  connects(): Caught | null;
  passesPromise(): Caught | null;
  callsStub(): string;
  disposes(): void;
  token(): string;
  keep(name: string): string;
  useKept(text: string): string | Caught;
  dropKept(): void;
  subscribe(): void;
  heard(): string[];
  subscribeBriefly(): void;
  leaves(): void;
  page(path: string, init?: RequestInit): { status: number; text: string; kind: string | null };
  upload(size: number): number;
  socket(): unknown[];
}
