// What users of stubs may write, and what type it has.

import {
  type Given,
  processScheduler,
  type Reconnecting,
  type RpcPromise,
  RpcStub,
  serve,
  type Session,
} from "../../src/index.js";
import { fits, is } from "./kit.js";
import { type Api, Counter, type Found, type Shape } from "./objects.js";

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
  fits<Uint8Array>(await api.bytes());
  fits<string[]>(await api.list());
  fits<readonly RpcStub<Counter>[]>(await api.counters());
  fits<Map<string, RpcStub<Counter>>>(await api.byName());
  fits<Set<string>>(await api.names());
  is<string | number>()(await api.either(1));
  is<number>()(await api.sum(1, 2, 3));
  fits<[number, string]>(await api.pair(["a", 1]));
  const adder = await api.adder(1);
  is<number>()(await adder(2));
  is<number>()(await api.adder(1)(2));
  is<RpcStub<Counter>>()(await api.pass(await api.counter()));
  is<unknown>()(await api.anything(1));
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
  await api.useFound({ name: api.hello("x"), counter: api.counter(), more: [] });
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
}

export async function whatEachHas(api: RpcStub<Api>): Promise<void> {
  is<RpcStub<Api>>()(api.dup());
  is<RpcStub<Counter>>()(api.counter().dup());
  fits<Disposable>(api.onRpcBroken((error) => is<string>()(error.message)));
  is<string>()(await api.with({ signal: AbortSignal.timeout(1) }).hello("x"));
  is<string>()(await api.with({ deadline: Date.now() }).later());
  api[Symbol.dispose]();
  await api.later().catch(() => "");
  await api.later().finally(() => {});
  fits<Promise<string>>(api.later());
  is<[string, string]>()(await Promise.all([api.later(), api.hello("x")]));
}

export async function entries(session: Session, link: Reconnecting): Promise<void> {
  is<RpcStub<Api>>()(session.bootstrap(RpcStub<Api>));
  is<RpcStub<Api>>()(link.bootstrap(RpcStub<Api>));
  is<RpcStub<Counter>>()(new RpcStub(new Counter()));
  is<RpcStub<Counter>>()(new RpcStub<Counter>(serve(new Counter())));
  fits<RpcStub<Counter>>(new RpcStub(new Counter(), { scheduler: processScheduler() }));
}

/** The last overload is the one that is seen; type parameters become unknown. Ask for more with a method of its own. */
export async function overloadsAndGenerics(api: RpcStub<Api>): Promise<void> {
  is<string>()(await api.parse("1", "text"));
  fits<unknown>(await api.first([1, 2]));
}
