// What tsc refuses: each line behind @ts-expect-error is one case.

import {
  type Reconnecting,
  RpcPromise,
  RpcStub,
  type RpcTarget,
  type Session,
} from "../../src/index.js";
import type { Api, Box, Counter } from "./objects.js";

export async function members(api: RpcStub<Api>, counter: RpcStub<Counter>): Promise<void> {
  // @ts-expect-error there is no such method
  void api.nonsense();
  // @ts-expect-error private methods are not seen
  void counter.own();
  // @ts-expect-error private properties are not seen
  void counter.hidden;
  // @ts-expect-error nor those of the language, by any name
  void counter["#count"];
  // @ts-expect-error protected methods are not seen
  void counter.inside();
  // @ts-expect-error protected properties are not seen
  void counter.guarded;
  // @ts-expect-error nor through a promise
  void api.counter().own();
  // @ts-expect-error nor of what was given
  void (await api.counter()).hidden;
  // @ts-expect-error a getter's value is no function
  void counter.count();
  // @ts-expect-error a stub is no promise
  void counter.then(() => {});
  // @ts-expect-error an object that is no function cannot be called
  void api();
  // @ts-expect-error nor made
  new api.counter();
  // @ts-expect-error members cannot be set
  api.title = "x";
  // @ts-expect-error only promises can be mapped
  void counter.map(() => 1);
  // @ts-expect-error what is in a value is not in the stub of its owner
  void api.theme;
  // @ts-expect-error symbols are no members
  void api[Symbol.iterator];
}

export async function argumentsOfCalls(
  api: RpcStub<Api>,
  counter: RpcStub<Counter>,
  object: Api,
): Promise<void> {
  // @ts-expect-error an argument is missing
  void api.hello();
  // @ts-expect-error one is too many
  void api.hello("x", 1, 2);
  // @ts-expect-error of the wrong type
  void api.hello(1);
  // @ts-expect-error a promise of the wrong type
  void api.hello(api.sum(1));
  // @ts-expect-error a native promise is no argument: await it
  void api.hello(Promise.resolve("x"));
  // @ts-expect-error no value stands for an object that goes by reference
  void api.useTarget({ add: () => 1 });
  // @ts-expect-error a stub of something else
  void api.use(api);
  // @ts-expect-error an object of another class
  void api.use(object);
  // @ts-expect-error a promise of something else
  void api.useTarget(api.later());
  // @ts-expect-error deep in a value
  void api.useFound({ name: "x", counter: 1, more: [] });
  // @ts-expect-error a promise deep in a value
  void api.useFound({ name: api.sum(1), counter, more: [] });
  // @ts-expect-error a part is missing
  void api.useFound({ name: "x", counter });
  // @ts-expect-error a case of no union
  void api.shape({ kind: "triangle" });
  // @ts-expect-error mixed cases of a union
  void api.shape({ kind: "circle", side: 1 });
  // @ts-expect-error not of the union
  void api.either(true);
  // @ts-expect-error rest arguments have a type
  void api.sum(1, "2");
  // @ts-expect-error a pair has two
  void api.pair(["a"]);
  // @ts-expect-error a map of other values
  void api.useMap(new Map([["a", 1]]));
}

export async function genericsAndOverloads(
  api: RpcStub<Api>,
  texts: RpcStub<Box<string>>,
): Promise<void> {
  // @ts-expect-error what a class of texts keeps is a text
  void texts.set(1);
  // @ts-expect-error so is what it gives
  void ((await texts.get()) satisfies number);
  // @ts-expect-error and what its callback is given
  void texts.change((text: number) => text);
  // @ts-expect-error a stub of another instance of the class
  texts satisfies RpcStub<Box<number>>;
  // @ts-expect-error nothing is known of what a method's own parameter stands for
  void (await api.first([1])).toFixed();
  // @ts-expect-error of an overloaded method the last one is seen
  void api.parse("1", "number");
  // @ts-expect-error and no other
  void api.parse("1");
}

export async function callbacks(api: RpcStub<Api>): Promise<void> {
  // @ts-expect-error a callback with parameters of other types
  void api.each([1], (item: string) => item);
  // @ts-expect-error that gives what is not asked for
  void api.visit(() => "x");
  // @ts-expect-error a case that the union has not
  void api.onEnd(undefined);
  // @ts-expect-error with more parameters than it gets
  void api.each([1], (item: number, index: number, more: number) => more + item + index);
  // @ts-expect-error what it gets is no string
  void api.each([1], (item) => item.trim());
  // @ts-expect-error no function at all
  void api.each([1], 1);
  // @ts-expect-error a listener without what it needs
  void api.listen({ done: () => {} });
  // @ts-expect-error a function that gives something else
  void api.apply((x) => String(x), 1);
}

export async function results(api: RpcStub<Api>): Promise<void> {
  // @ts-expect-error a result is a promise until it is awaited
  void api.hello("x").trim();
  // @ts-expect-error its properties are promises too
  void api.found().name.length.toFixed();
  // @ts-expect-error of another type
  void ((await api.hello("x")) satisfies number);
  // @ts-expect-error an object arrives as a stub, whose methods return promises
  void ((await api.counter()).add() satisfies number);
  // @ts-expect-error it may be a string
  void (await api.open("x")).add();
  // @ts-expect-error it may not be there
  void (await api.maybe("x")).add();
  // @ts-expect-error what was given is a stub, not the object
  void ((await api.counter()) satisfies Counter);
  // @ts-expect-error a string has nothing to be disposed
  using text = await api.hello("x");
  void text;
}

export async function maps(api: RpcStub<Api>): Promise<void> {
  // @ts-expect-error an element is a promise: nothing can be decided by it
  await api.list().map((name) => name.startsWith("x"));
  // @ts-expect-error what comes is a list
  void ((await api.list().map((name) => api.hello(name))) satisfies string);
  // @ts-expect-error a callback takes one element
  await api.list().map((name, index: number) => [name, index]);
}

export function entries(session: Session, link: Reconnecting, target: RpcTarget): void {
  // @ts-expect-error a promise is what a call returns, and is not made
  new RpcPromise(target);
  // @ts-expect-error nor of nothing
  new RpcPromise();
  // @ts-expect-error options have a type
  void session.bootstrap(RpcStub<Api>).with({ timeout: 1 });
  // @ts-expect-error a listener is a function
  session.bootstrap(RpcStub<Api>).onRpcBroken(1);
  // @ts-expect-error a state is one of four
  link.state satisfies "open" | "closed";
}
