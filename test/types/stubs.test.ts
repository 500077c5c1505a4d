// What type-checks of stubs, and what does not: checked by tsc, with the rest of the project. The test itself runs nothing.

import { expectTypeOf, it } from "vitest";
import { type CallContext, callContext, RpcPromise, RpcStub, RpcTarget } from "../../src/index.js";
import type { Session } from "../../src/index.js";

class Item extends RpcTarget {
  own = 1;
  size(): number {
    return 1;
  }
}

interface Row {
  id: number;
  tags: string[];
  item: Item;
}

class Api extends RpcTarget {
  text(a: string, b?: number): string {
    return a + String(b);
  }
  async later(): Promise<Row> {
    return { id: 1, tags: [], item: new Item() };
  }
  item(): Item {
    return new Item();
  }
  rows(): Row[] {
    return [];
  }
  maybe(): Row | null {
    return null;
  }
  takesItem(item: RpcStub<Item>): number {
    void item;
    return 1;
  }
  takesRow(row: Row): void {
    void row;
  }
  visit(callback: (row: Row, index: number) => boolean): void {
    void callback;
  }
  adder(): (x: number) => number {
    return (x) => x;
  }
  identity<T>(value: T): T {
    return value;
  }
  union(value: string | { a: number }): string | { a: number } {
    return value;
  }
  bytes(): Uint8Array {
    return new Uint8Array();
  }
  table(): Map<string, Item> {
    return new Map();
  }
  get count(): number {
    return 1;
  }
  get nested(): { deep: Row } {
    return { deep: { id: 1, tags: [], item: new Item() } };
  }
  #secret(): void {}
  used(): void {
    this.#secret();
  }
}

declare const api: RpcStub<Api>;
declare const session: Session;

/** Never called: types only. */
async function accepted(): Promise<void> {
  expectTypeOf(await api.text("a")).toEqualTypeOf<string>();
  expectTypeOf(await api.text("a", 1)).toEqualTypeOf<string>();
  expectTypeOf(await api.count).toEqualTypeOf<number>();
  expectTypeOf(await api.bytes()).toEqualTypeOf<Uint8Array>();

  // Objects go by reference: what is awaited is a stub.
  const item = await api.item();
  expectTypeOf(item).toExtend<RpcStub<Item>>();
  expectTypeOf(await item.size()).toEqualTypeOf<number>();
  using row = await api.later();
  expectTypeOf(row.id).toEqualTypeOf<number>();
  expectTypeOf(await row.item.size()).toEqualTypeOf<number>();
  expectTypeOf((await api.table()).get("a")!.size).toBeFunction();

  // Pipelining: methods and properties, to any depth.
  expectTypeOf(await api.item().size()).toEqualTypeOf<number>();
  expectTypeOf(await api.later().item.size()).toEqualTypeOf<number>();
  expectTypeOf(await api.nested.deep.item.size()).toEqualTypeOf<number>();
  expectTypeOf(await api.adder()(1)).toEqualTypeOf<number>();

  // Arguments: values, objects, stubs, and promises of either.
  await api.text(api.text("a"));
  await api.takesItem(new Item());
  await api.takesItem(item);
  await api.takesItem(api.item());
  await api.takesRow({ id: api.count, tags: ["a"], item: api.item() });
  await api.takesRow(api.later());

  // The parameters of a callback are inferred.
  await api.visit((one, index) => one.id === index && one.tags.length > 0);
  using callback = new RpcStub((one: Row, index: number) => one.id === index);
  await api.visit(callback);

  expectTypeOf(await api.union("a")).toExtend<string | { a: number }>();
  expectTypeOf(await api.with({ signal: AbortSignal.timeout(1), deadline: 5 }).count).toBeNumber();
  expectTypeOf(await api.with(callContext()).text("a")).toBeString();
  expectTypeOf(api.dup()).toEqualTypeOf<RpcStub<Api>>();
  expectTypeOf(session.bootstrap(RpcStub<Api>)).toEqualTypeOf<RpcStub<Api>>();
  expectTypeOf(api.item()).toExtend<PromiseLike<unknown>>();
  expectTypeOf<CallContext["deadline"]>().toEqualTypeOf<number | undefined>();

  // map: elements are promises, results are settled.
  const mapped = await api.rows().map((one) => ({ id: one.id, size: one.item.size() }));
  expectTypeOf(mapped[0]!.id).toEqualTypeOf<number>();
  expectTypeOf(mapped[0]!.size).toEqualTypeOf<number>();
  expectTypeOf(await api.later().map((one) => one.id)).toEqualTypeOf<number>();

  using local = new RpcStub(new Api());
  expectTypeOf(local).toEqualTypeOf<RpcStub<Api>>();
}

/** Never called: each line is one that must not type-check. */
async function refused(): Promise<void> {
  // @ts-expect-error -- there is no such method
  void api.missing();
  // @ts-expect-error -- a number is no string
  void api.text(1);
  // @ts-expect-error -- an argument is missing
  void api.text();
  // @ts-expect-error -- a promise of a number is no promise of a string
  void api.text(api.count);
  // @ts-expect-error -- private
  void api.secret();
  // @ts-expect-error -- a stub is no promise
  void api.then;
  // @ts-expect-error -- the call has not been awaited
  void api.text("a").length.toFixed();
  // @ts-expect-error -- another type of object
  void api.takesItem(new Api());
  // @ts-expect-error -- another type of stub
  void api.takesItem(api);
  // @ts-expect-error -- the callback returns no boolean
  void api.visit(() => "x");
  // @ts-expect-error -- members cannot be set
  api.count = 3;
  // @ts-expect-error -- an unknown option
  void api.with({ timeout: 1 });
  // @ts-expect-error -- promises are what calls return
  void new RpcPromise();
}

it("type-checks as the lines above say", () => {
  expectTypeOf(accepted).toBeFunction();
  expectTypeOf(refused).toBeFunction();
});
