// What vats that trust each other say of capabilities beside passing them: hook/identities.ts.

import { describe, expect, it } from "vitest";
import type { Origin } from "../../src/base/origin.js";
import { Scheduler } from "../../src/base/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import type { Identities } from "../../src/hook/identities.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { type Method, payload, Recorder, request, tell } from "../support/objects.js";
import { World } from "../support/world.js";

/** Remembers what it is told, and says what it knows: what it was told as well. */
class Known implements Identities {
  /** Of what it was told, what is held now. */
  readonly held: string[] = [];
  readonly names = new Map<Hook, string>();
  of(hook: Hook): Uint8Array | null {
    const name = this.names.get(hook.resolved());
    return name === undefined ? null : new TextEncoder().encode(name);
  }
  note(hook: Hook, identity: Uint8Array): () => void {
    const name = new TextDecoder().decode(identity);
    this.names.set(hook.resolved(), name);
    this.held.push(name);
    return () => this.held.splice(this.held.indexOf(name), 1);
  }
}

type Name = "a" | "b" | "c";

/** Vats a, b and c in a row, of which those named in `trusting` trust who they are linked to. */
function world(trusting: string) {
  const known = { a: new Known(), b: new Known(), c: new Known() };
  const arrived: Hook[] = [];
  /** What they return. */
  const given: Hook[] = [];
  const keep: Method = (call, value) => {
    for (const cap of call.params.caps) if (cap !== null) arrived.push(cap.addRef());
    call.returns(payload(value, ...given.map((hook) => hook.addRef())));
  };
  const made = new World({ a: { 0: keep }, b: { 0: keep }, c: { 0: keep } }, (name) =>
    trusting.includes(name) ? { identities: known[name as Name] } : {},
  );
  /** `from` passes `caps` to `to`. @returns what arrived, held until the end, and the outcome. */
  const pass = (from: Name, to: Name, ...caps: Hook[]) => {
    const before = arrived.length;
    const result = tell(made.bootstrap(from, to), 0, ...caps.map((cap) => cap.addRef()));
    made.settle();
    return { came: arrived.slice(before), result };
  };
  const end = (): void => {
    for (const hook of arrived.splice(0)) hook.release();
    made.end();
  };
  return { made, known, given, pass, end, object: (at: Name) => made.object(at, new Recorder()) };
}

it("is heard by who trusts, of what it was said of, whatever else is in the table", () => {
  const { known, pass, end, object } = world("ab");
  const [one, two, three] = [object("a"), object("a"), object("a")];
  known.a.names.set(one, "the first");
  known.a.names.set(three, "the third, longer than a word");
  const { came, result } = pass("a", "b", one, two, three);
  expect(came.map((hook) => known.b.names.get(hook.resolved()))).toEqual([
    "the first",
    undefined,
    "the third, longer than a word",
  ]);
  result.release();
  end();
});

it("is said again by who passes the capability on, and not to who hosts it", () => {
  const { known, pass, end, object } = world("abc");
  const mine = object("a");
  known.a.names.set(mine, "a's");
  const first = pass("a", "b", mine);
  const second = pass("b", "c", first.came[0]!);
  expect(known.c.names.get(second.came[0]!.resolved())).toBe("a's");
  known.a.names.clear();
  const home = pass("b", "a", first.came[0]!);
  expect(home.came[0]!.resolved()).toBe(mine);
  expect(known.a.names.size).toBe(0);
  for (const { result } of [first, second, home]) result.release();
  end();
});

it("is neither said to a stranger, nor taken from one", () => {
  const { known, pass, end, object } = world("ac");
  const mine = object("a");
  known.a.names.set(mine, "a's");
  // b does not trust: what a says is not taken, and nothing is said to c.
  const first = pass("a", "b", mine);
  expect(known.b.names.size).toBe(0);
  const second = pass("b", "c", first.came[0]!, object("b"));
  expect(known.c.names.size).toBe(0);
  for (const { result } of [first, second]) result.release();
  end();
});

it("comes with the resolution of a promise", () => {
  const { made, known, pass, end, object } = world("ab");
  const mine = object("a");
  known.a.names.set(mine, "a's");
  const promise = new PromiseHook(made.vat("a").scheduler);
  const { came, result } = pass("a", "b", promise);
  expect(known.b.names.size).toBe(0);
  promise.resolve(mine.addRef());
  promise.release();
  made.settle();
  expect(known.b.names.get(came[0]!.resolved())).toBe("a's");
  result.release();
  end();
});

it("is heard once, and so is that nobody holds the capability any more", () => {
  const { known, pass, end, object } = world("abc");
  const mine = object("a");
  known.a.names.set(mine, "a's");
  const all = [pass("a", "b", mine, mine), pass("a", "b", mine)];
  const came = all.flatMap((one) => one.came);
  expect(came).toHaveLength(3);
  expect(known.b.held).toEqual(["a's"]);
  // Whom it is passed on to hears of it as well, and holds it for himself.
  const passed = pass("b", "c", came[0]!);
  expect(known.c.held).toEqual(["a's"]);
  for (const { result } of [...all, passed]) result.release();
  expect([known.a.held, known.b.held, known.c.held]).toEqual([[], ["a's"], ["a's"]]);
  end();
  expect([known.b.held, known.c.held]).toEqual([[], []]);
});

it("holds what is held here after the connection has ended", () => {
  const { made, known, pass, object } = world("ab");
  const mine = object("a");
  known.a.names.set(mine, "a's");
  const { came, result } = pass("a", "b", mine);
  result.release();
  const held = came[0]!.addRef();
  made.mesh.cut("a", "b");
  made.settle();
  for (const hook of came.splice(0)) hook.release();
  expect(known.b.held).toEqual(["a's"]);
  held.release();
  expect(known.b.held).toEqual([]);
});

it("comes with results", () => {
  const { known, given, pass, end, object } = world("ab");
  const theirs = object("b");
  known.b.names.set(theirs, "b's");
  given.push(theirs);
  const { result } = pass("a", "b");
  expect(known.a.names.get(result.caps[0]!.resolved())).toBe("b's");
  result.release();
  end();
});

describe("who calls", () => {
  /** An origin that is only known by its name. */
  class Caller implements Origin {
    readonly scheduler = new Scheduler();
    readonly name: string;
    constructor(name: string) {
      this.name = name;
    }
  }

  class Telling extends Known {
    caller(origin: Origin): Uint8Array | null {
      const { name } = origin as Caller;
      return name === "" ? null : new TextEncoder().encode(name);
    }
    calledBy(said: Uint8Array): Origin | null {
      const name = new TextDecoder().decode(said);
      return name === "unheard" ? null : new Caller(name);
    }
  }

  /** Vats a, b and c, of which those named in `trusting` trust; c has an object that notes who calls it. */
  function callers(trusting: string) {
    const heard: (string | null)[] = [];
    const note: Method = (call, value) => {
      expect(value).toBe(7);
      heard.push(call.origin === null ? null : (call.origin as Caller).name);
      call.returns(payload(value));
    };
    const made = new World({ a: { 0: note }, b: { 0: note }, c: { 0: note } }, (name) =>
      trusting.includes(name) ? { identities: new Telling() } : {},
    );
    const call = (hook: Hook, name: string | null, ...caps: Hook[]): void => {
      const made = request(0, 7, ...caps);
      if (name !== null) made.origin = new Caller(name);
      hook.call(made).cancel();
    };
    return { made, heard, call };
  }

  it("goes with the call, in order, whatever else is in it", () => {
    const { made, heard, call } = callers("ab");
    const b = made.bootstrap("a", "b");
    call(b, "first");
    call(b, null);
    call(b, "a name of more than a word", made.object("a", new Recorder()), b.addRef());
    call(b, "");
    call(b, "unheard");
    call(b, "last");
    made.settle();
    expect(heard).toEqual(["first", null, "a name of more than a word", null, null, "last"]);
    made.end();
  });

  it("is neither said by who does not trust, nor taken from one", () => {
    for (const trusting of ["a", "b"]) {
      const { made, heard, call } = callers(trusting);
      const b = made.bootstrap("a", "b");
      call(b, "first");
      made.settle();
      expect(heard).toEqual([null]);
      made.end();
    }
  });
});
