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
  times(n: number): number;
}
