// The objects whose stubs type tests look at.

import { RpcTarget, type RpcStub } from "../../src/index.js";

export class Counter extends RpcTarget {
  #count = 0;
  private readonly hidden = 1;
  protected readonly guarded = 2;
  add(by = 1): number {
    return (this.#count += by + this.hidden + this.guarded);
  }
  get count(): number {
    return this.#count;
  }
  protected inside(): void {}
  private own(): void {}
  touch(): void {
    this.own();
  }
}

export interface Found {
  readonly name: string;
  readonly counter: Counter;
  readonly more: readonly Counter[];
  readonly tags?: string[];
}

export type Shape = { kind: "circle"; radius: number } | { kind: "square"; side: number };

export declare class Box<T> extends RpcTarget {
  get(): T;
  set(value: T): void;
  get kept(): T;
  change(how: (value: T) => T): void;
}

export declare class Api extends RpcTarget {
  hello(name: string, times?: number): string;
  later(): Promise<string>;
  nothing(): void;
  counter(): Counter;
  laterCounter(): Promise<Counter>;
  maybe(name: string): Counter | undefined;
  found(): Found;
  founds(): Found[];
  visit(visit: (found: Found, index: number) => boolean): void;
  onEnd(done: ((count: number) => void) | null): void;
  open(name: string): string | Counter;
  list(): string[];
  counters(): Counter[];
  byName(): Map<string, Counter>;
  names(): Set<string>;
  when(): Date;
  bytes(): Uint8Array;
  shape(shape: Shape): Shape;
  either(value: string | number): string | number;
  sum(...numbers: number[]): number;
  pair(pair: readonly [string, number]): [number, string];
  each(list: number[], visit: (item: number, index: number) => unknown): Promise<number>;
  listen(listener: { said(text: string): void; done?: () => void }): void;
  adder(by: number): (x: number) => number;
  use(counter: RpcStub<Counter>): number;
  useTarget(counter: Counter): number;
  useFound(found: Found): void;
  useMap(map: Map<string, Counter>): void;
  apply(f: RpcStub<(x: number) => number>, x: number): number;
  pass(stub: RpcStub<Counter>): RpcStub<Counter>;
  first<T>(values: T[]): T;
  box(): Box<string>;
  boxes(): Box<Counter>[];
  parse(text: string): number;
  parse(text: string, as: "text"): string;
  get title(): string;
  get settings(): { theme: { dark: boolean }; counter: Counter };
  anything(value: unknown): unknown;
}
