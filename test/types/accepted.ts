// What users of stubs may write, and what type it has.

import {
  type CallContext,
  callContext,
  type Given,
  processScheduler,
  type Reconnecting,
  type RpcPromise,
  RpcStub,
  serve,
  type Session,
} from "../../src/index.js";
import { fits, is } from "./kit.js";
import { type Api, type Box, Counter, type Found, type Shape } from "./objects.js";

export async function results(api: RpcStub<Api>): Promise<void> {
  is<string>()(await api.hello("you"));
  is<string>()(await api.hello("you", 2));
  is<string>()(await api.later());
  is<void>()(await api.nothing());
  is<RpcPromise<string>>()(api.hello("you"));
  is<RpcPromise<Counter>>()(api.laterCounter());
  is<RpcStub<Counter>>()(await api.counter());
  is<RpcStub<Counter>>()(await api.laterCounter());
  is<RpcStub<Counter> | undefined>()(await api.maybe("x"));
  is<Date>()(await api.when());
  is<Uint8Array>()(await api.bytes());
  fits<string[]>(await api.list());
  fits<readonly RpcStub<Counter>[]>(await api.counters());
  fits<Map<string, RpcStub<Counter>>>(await api.byName());
  is<number>()(await (await api.byName()).get("x")!.add());
  fits<Set<string>>(await api.names());
  is<string | number>()(await api.either(1));
  is<number>()(await api.sum(1, 2, 3));
  fits<[number, string]>(await api.pair(["a", 1]));
  const adder = await api.adder(1);
  is<number>()(await adder(2));
  is<number>()(await api.adder(1)(2));
  is<RpcStub<Counter>>()(await api.pass(await api.counter()));
  is<unknown>()(await api.anything(1));
  fits<PromiseLike<unknown>>(api.counter());
}

export async function given(api: RpcStub<Api>): Promise<void> {
  using found = await api.found();
  is<string>()(found.name);
  is<RpcStub<Counter>>()(found.counter);
  is<number>()(await found.counter.count);
  is<number>()(await found.more[0]!.add());
  fits<Disposable>(found);
  using counters = await api.counters();
  fits<number>(counters.length);
  fits<Given<Found>>(found);
}

export async function unions(api: RpcStub<Api>): Promise<void> {
  const shape = await api.shape({ kind: "circle", radius: 1 });
  if (shape.kind === "circle") is<number>()(shape.radius);
  else is<number>()(shape.side);
  fits<Shape>(await api.shape({ kind: "square", side: 2 }));
  const counter = await api.maybe("x");
  if (counter !== undefined) is<number>()(await counter.add());
  const opened = await api.open("x");
  if (typeof opened === "string") is<string>()(opened);
  else is<number>()(await opened.add());
}

export async function generics(
  api: RpcStub<Api>,
  texts: RpcStub<Box<string>>,
  mixed: RpcStub<Box<number | Counter | null>>,
): Promise<void> {
  is<string>()(await texts.get());
  is<string>()(await texts.kept);
  await texts.set(api.hello("x"));
  await texts.change((text) => text.trim());
  is<string>()(await api.box().get());
  is<RpcStub<Counter>>()(await (await api.boxes())[0]!.get());
  is<number>()(await api.boxes()[0]!.get().add());
  await api.boxes()[0]!.set(new Counter());
  is<number | RpcStub<Counter> | null>()(await mixed.get());
  await mixed.set(api.counter());
  const through = async <T extends Counter>(stub: RpcStub<T>): Promise<RpcStub<T>> => stub.dup();
  is<RpcStub<Counter>>()(await through(await api.counter()));
  // Type parameters of a method become unknown: ask for more with a method of its own, or a class with the parameter.
  is<unknown>()(await api.first([1, 2]));
}

export async function overloads(api: RpcStub<Api>): Promise<void> {
  // The last one is the one that is seen.
  is<string>()(await api.parse("1", "text"));
}

export async function pipelines(api: RpcStub<Api>): Promise<void> {
  is<number>()(await api.counter().add(1));
  is<number>()(await api.counter().count);
  is<string>()(await api.found().name);
  is<number>()(await api.found().counter.add(1));
  is<number>()(await api.found().more[0]!.count);
  is<string>()(await api.title);
  is<boolean>()(await api.settings.theme.dark);
  is<number>()(await api.settings.counter.add());
  is<number>()(await api.pass(await api.counter()).add());
}

export async function callbacks(api: RpcStub<Api>): Promise<void> {
  await api.each([1], (item, index) => {
    is<number>()(item);
    is<number>()(index);
  });
  await api.each([1], async (item) => `${item}`);
  await api.each([1], () => {});
  await api.listen({
    said(text) {
      is<string>()(text);
    },
  });
  await api.listen({ said: (text) => text.trim(), done: () => {} });
  is<number>()(await api.apply((x) => x * 2, 1));
  await api.visit((found, index) => {
    is<string>()(found.name);
    is<RpcStub<Counter>>()(found.counter);
    return found.more.length > index;
  });
  using visitor = new RpcStub((found: Found, index: number) => found.name.length > index);
  await api.visit(visitor);
  await api.onEnd(null);
  await api.onEnd((count) => is<number>()(count));
  using double = new RpcStub((x: number) => x * 2);
  is<number>()(await api.apply(double, 1));
  is<number>()(await double(3));
}

export async function argumentsOfCalls(api: RpcStub<Api>): Promise<void> {
  const counter = new Counter();
  using stub = new RpcStub(counter);
  await api.useTarget(counter);
  await api.useTarget(stub);
  await api.useTarget(api.counter());
  await api.use(stub);
  await api.use(counter);
  await api.use(api.counter());
  await api.useFound({ name: "x", counter, more: [] });
  await api.useFound({ name: "x", counter: stub, more: [stub, api.counter()] });
  await api.useFound({ name: api.hello("x"), counter: api.counter(), more: [], tags: ["a"] });
  await api.useFound(api.found());
  await api.useMap(new Map([["a", stub]]));
  await api.useMap(new Map([["a", counter]]));
  is<string>()(await api.hello(api.later(), api.sum(1)));
  await api.sum(1, api.sum(2), api.counter().count);
  await api.anything({ at: [stub, counter, 1n, new Map()] });
}

export async function maps(api: RpcStub<Api>): Promise<void> {
  fits<string[]>(await api.list().map((name) => api.hello(name)));
  fits<{ name: string; count: number }[]>(
    await api.list().map((name) => ({ name: api.hello(name), count: api.sum(1) })),
  );
  fits<number[]>(await api.counters().map((counter) => counter.add(1)));
  fits<number | undefined>(await api.maybe("x").map((counter) => counter.add(1)));
  const rows = await api.founds().map((one) => ({ name: one.name, count: one.counter.add() }));
  is<string>()(rows[0]!.name);
  is<number>()(rows[0]!.count);
  is<string>()(await api.found().map((one) => one.name));
}

export async function whatEachHas(api: RpcStub<Api>): Promise<void> {
  is<RpcStub<Api>>()(api.dup());
  is<RpcStub<Counter>>()(api.counter().dup());
  fits<Disposable>(api.onRpcBroken((error) => is<string>()(error.message)));
  is<string>()(await api.with({ signal: AbortSignal.timeout(1) }).hello("x"));
  is<string>()(await api.with({ deadline: Date.now() }).later());
  is<string>()(await api.with({ signal: AbortSignal.timeout(1), deadline: new Date() }).title);
  is<string>()(await api.with(callContext()).hello("x"));
  api[Symbol.dispose]();
  await api.later().catch(() => "");
  await api.later().finally(() => {});
  fits<Promise<string>>(api.later());
  is<[string, string]>()(await Promise.all([api.later(), api.hello("x")]));
}

export async function entries(
  session: Session,
  link: Reconnecting,
  context: CallContext,
): Promise<void> {
  is<number | undefined>()(context.deadline);
  is<AbortSignal>()(context.signal);
  is<RpcStub<Api>>()(session.bootstrap(RpcStub<Api>));
  is<RpcStub<Api>>()(link.bootstrap(RpcStub<Api>));
  is<RpcStub<Counter>>()(new RpcStub(new Counter()));
  is<RpcStub<Counter>>()(new RpcStub<Counter>(serve(new Counter())));
  fits<RpcStub<Counter>>(new RpcStub(new Counter(), { scheduler: processScheduler() }));
}
