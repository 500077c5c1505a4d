// Role: the objects that the scenarios call; whoever serves, serves a new Api at each Bootstrap.
// State: per Api, the objects it made. Must not know: scenarios, runtimes.

import { callContext, type RpcStub, RpcTarget } from "../../src/index.js";
import { Shop } from "./shop.js";
import { Streams } from "./stream-objects.js";

/** An object that is made on demand, and says when it is no longer held. */
export class Counter extends RpcTarget {
  readonly log: number[] = [];
  disposed = 0;
  readonly #gone: (() => void) | undefined;
  #count = 0;
  constructor(gone?: () => void) {
    super();
    this.#gone = gone;
  }
  add(by = 1): number {
    this.log.push(by);
    return (this.#count += by);
  }
  get count(): number {
    return this.#count;
  }
  get entries(): number[] {
    return this.log;
  }
  self(): this {
    return this;
  }
  [Symbol.dispose](): void {
    if (this.disposed++ === 0) this.#gone?.();
  }
}

export class User extends RpcTarget {
  readonly #id: number;
  constructor(id: number) {
    super();
    this.#id = id;
  }
  get name(): string {
    return `user ${this.#id}`;
  }
  friends(): number[] {
    return [this.#id + 1, this.#id + 2];
  }
  greet(word: string): string {
    return `${word} ${this.name}`;
  }
}

type Callback = RpcStub<(value: number) => number>;

/** What the peer serves. */
export class Api extends RpcTarget {
  /** Its own property: not to be reached. */
  secret = "hidden";
  readonly #hangUp: () => void;
  readonly #said: unknown[] = [];
  #alive = 0;
  #kept: RpcStub<Counter> | null = null;
  #held: RpcStub<Counter> | null = null;
  #release: () => void = () => {};
  #aborted = "";
  readonly #controller = new AbortController();

  /** @param hangUp ends the connection of who calls. */
  constructor(hangUp: () => void) {
    super();
    this.#hangUp = hangUp;
  }

  /** How many of the objects made here are held by anyone. */
  alive(): number {
    return this.#alive;
  }
  hangUp(): void {
    this.#hangUp();
  }

  streams(): Streams {
    return new Streams();
  }
  shop(): Shop {
    return new Shop();
  }

  echo(value: unknown): unknown {
    return value;
  }
  async later(value: number): Promise<number> {
    await new Promise((resolve) => {
      setTimeout(resolve, 1);
    });
    return value + 1;
  }
  count(...values: unknown[]): number {
    return values.length;
  }
  nothing(): void {}
  nobody(): number[] | null {
    return null;
  }
  say(word: unknown): void {
    this.#said.push(word);
  }
  get said(): unknown[] {
    return this.#said;
  }
  get answer(): Promise<number> {
    return Promise.resolve(42);
  }
  get nested(): { deep: { list: string[] } } {
    return { deep: { list: ["a", "b"] } };
  }
  get self(): this {
    return this;
  }
  bytes(size: number): Uint8Array {
    return new Uint8Array(size).fill(7);
  }
  size(bytes: Uint8Array): number {
    return bytes.length;
  }
  sum(...values: (number | { n: number })[]): number {
    return values.reduce<number>((sum, one) => sum + (typeof one === "number" ? one : one.n), 0);
  }

  fail(message: string): void {
    throw new RangeError(message);
  }
  failWithErrorAsValue(): Error {
    return new TypeError("a value", { cause: new Error("why") });
  }
  unsendable(): unknown {
    return { map: new WeakMap() };
  }
  failsFor(id: number): number {
    if (id === 2) throw new Error("two");
    return id;
  }
  noCounter(): Counter {
    throw new Error("no counter");
  }

  make(): Counter {
    this.#alive++;
    return new Counter(() => void this.#alive--);
  }
  record(): { user: { name: string; counter: Counter }; list: Counter[]; size: number } {
    return { user: { name: "ada", counter: this.make() }, list: [this.make()], size: 3 };
  }
  async slowly(): Promise<Counter> {
    await new Promise<void>((resolve) => (this.#release = resolve));
    return this.make();
  }
  release(): void {
    this.#release();
  }
  adder(by: number): (x: number) => number {
    return (x) => x + by;
  }
  addTo(counter: RpcStub<Counter> | Counter, by: number): unknown {
    return counter.add(by);
  }

  async apply(f: Callback, x: number): Promise<number> {
    return f(await f(x));
  }
  async progress(report: Callback, times: number): Promise<string> {
    for (let i = 1; i <= times; i++) void report(i);
    return "done";
  }
  pass(value: unknown): unknown {
    return value;
  }
  both(): Counter[] {
    const one = this.make();
    return [one, one];
  }

  /** Keeps what is lent, as one must. */
  keep(counter: RpcStub<Counter>): void {
    this.#kept = counter.dup();
  }
  /** Keeps what is lent, as one must not. */
  hold(counter: RpcStub<Counter>): void {
    this.#held = counter;
  }
  useKept(): Promise<number> {
    return this.#kept!.add(1);
  }
  async useHeld(): Promise<number> {
    return this.#held!.add(1);
  }
  drop(): void {
    this.#kept?.[Symbol.dispose]();
    this.#kept = null;
  }
  async echoLater(counter: RpcStub<Counter>): Promise<RpcStub<Counter>> {
    const kept = counter.dup();
    await new Promise<void>((resolve) => (this.#release = resolve));
    return kept;
  }
  wrap(counter: RpcStub<Counter>): { counter: RpcStub<Counter> } {
    return { counter: counter.dup() };
  }

  users(): number[] {
    return [1, 2, 3];
  }
  user(id: number): User {
    return new User(id);
  }

  never(): Promise<number> {
    return new Promise(() => {});
  }
  /** Until the caller gives up. */
  async patient(): Promise<void> {
    const { signal } = callContext();
    await new Promise<void>((resolve) => {
      signal.addEventListener("abort", () => {
        this.#aborted = "aborted";
        resolve();
      });
    });
  }
  get aborted(): string {
    return this.#aborted;
  }
  async work(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#release = () => resolve("done");
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener("abort", () => reject(signal.reason as Error));
    });
  }
  look(signal: AbortSignal): unknown {
    return signal.aborted ? (signal.reason as unknown) : "not aborted";
  }
  ends(): { signal: AbortSignal } {
    return { signal: this.#controller.signal };
  }
  end(reason: string): void {
    this.#controller.abort(reason);
  }
}
