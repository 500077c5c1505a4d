// The input gate by itself: order, turns, holds, critical sections, breaking.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { Gates } from "./kit.js";

describe("an input gate", () => {
  it("lets one event in in a turn, in the order in which they came", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    for (const name of ["1", "2", "3"]) gates.event(gate, name);
    expect(gates.take()).toEqual(["1"]);
    gates.turns.end(1);
    expect(gates.take()).toEqual(["2"]);
    gates.turns.end(1);
    expect(gates.take()).toEqual(["3"]);
    expect(gate.isIdle).toBe(false);
    gates.turns.end();
    expect(gate.isIdle).toBe(true);
  });

  it("lets none in while it is held, and goes on when the last holder lets go", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const [first, second] = [gate.hold(), gate.hold()];
    gates.event(gate, "1");
    first();
    first();
    expect(gates.take()).toEqual([]);
    second();
    expect(gates.take()).toEqual(["1"]);
  });

  it("lets none in in a turn in which its code runs for another reason", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    gate.turn();
    gates.event(gate, "1");
    expect(gates.take()).toEqual([]);
    gates.turns.end(1);
    expect(gates.take()).toEqual(["1"]);
  });

  it("closes with a section, which runs later, and lets in only what comes back to it", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const section = gates.section(gate, "section");
    gates.event(gate, "1");
    expect(gates.take()).toEqual([]);
    gates.turns.end();
    gates.event(gate, "back", null, section);
    gates.turns.end();
    expect(gates.take()).toEqual(["section", "back"]);
    section.end();
    expect(gates.take()).toEqual(["1"]);
  });

  it("runs sections one after the other, and one inside another at once", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const first = gates.section(gate, "first");
    const second = gates.section(gate, "second");
    gates.turns.end();
    const inner = gates.section(gate, "inner", first.frame);
    gates.turns.end();
    gates.event(gate, "to the first", null, first);
    gates.event(gate, "to the inner", null, inner);
    expect(gates.take()).toEqual(["first", "inner", "to the inner"]);
    gates.turns.end();
    inner.end();
    expect(gates.take()).toEqual(["to the first"]);
    gates.turns.end();
    first.end();
    expect(gates.take()).toEqual(["second"]);
    second.end();
    expect(gate.inSection).toBe(false);
  });

  it("gives what is in a section that ends to the level around it", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const outer = gates.section(gate, "outer");
    gates.turns.end();
    const inner = gates.section(gate, "inner", outer.frame);
    gates.event(gate, "to the outer", null, outer);
    gates.event(gate, "1");
    gates.turns.end();
    outer.end();
    gates.turns.end();
    expect(gates.take()).toEqual(["outer", "inner"]);
    expect(gate.running).toBe(inner);
    inner.end();
    gates.turns.end();
    expect(gates.take()).toEqual(["to the outer", "1"]);
  });

  it("C-HOS-08: has a hundred and fifty thousand wait, in a section or not, and lets all in, in order", () => {
    const gates = new Gates();
    const gate = gates.gate("a");
    gate.turn();
    const section = gates.section(gate, "section");
    gates.turns.end();
    const frame = gates.frames.get("section")!;
    const most = 150_000;
    const release = gate.hold();
    for (let i = 0; i < most; i++) gates.event(gate, `new ${i}`);
    for (let i = 0; i < most; i++) gates.event(gate, `back ${i}`, frame, section);
    gates.take();
    section.end();
    release();
    gates.turns.end(3 * most);
    const own = (kind: string): string[] => Array.from({ length: most }, (_, i) => `${kind} ${i}`);
    expect(gates.take()).toEqual([...own("back"), ...own("new")]);
    expect(gate.isIdle).toBe(true);
  });

  it("takes what comes back to a section that has ended as a new event", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const section = gates.section(gate, "section");
    gates.turns.end();
    section.end();
    gates.event(gate, "back", null, section);
    expect(gates.take()).toEqual(["section", "back"]);
  });

  it("stays broken with its first cause, and refuses all that waits, in sections too, and all that comes", () => {
    const gates = new Gates();
    const gate = gates.gate("A");
    const cause = new RpcError("failed", "internal-error", "the cause");
    const section = gates.section(gate, "section");
    gates.turns.end();
    const release = gate.hold();
    gates.event(gate, "1");
    gates.event(gate, "back", null, section);
    gates.section(gate, "inner", section.frame);
    gates.section(gate, "next");
    gate.break(cause);
    gate.break(new RpcError("failed", "internal-error", "another"));
    gates.event(gate, "2");
    release();
    gates.turns.end();
    expect(gates.take().sort()).toEqual(
      ["section", "1 refused", "back refused", "inner refused", "next refused", "2 refused"].sort(),
    );
    for (const error of gates.errors.values()) expect(error).toBe(cause);
    expect(() => gates.section(gate, "late")).toThrow(cause);
    expect(gate.brokenBy).toBe(cause);
  });
});

describe("a cycle of calls through closed gates", () => {
  it("fails where it closes, with the cycle named", () => {
    const gates = new Gates();
    const [a, b] = [gates.gate("A"), gates.gate("B")];
    const section = gates.section(a, "section");
    gates.turns.end();
    gates.event(b, "a calls b", section.frame);
    gates.event(a, "b calls a", gates.frames.get("a calls b"));
    expect(gates.take()).toEqual(["section", "a calls b", "b calls a refused"]);
    const error = gates.errors.get("b calls a")!;
    expect(error.code).toBe("gate-cycle");
    expect(error.message).toContain("A -> B -> A");
    // Nothing else is touched by it.
    gates.event(a, "1");
    section.end();
    gates.turns.end();
    expect(gates.take()).toEqual(["1"]);
  });

  it("fails when an object calls itself from a section", () => {
    const gates = new Gates();
    const a = gates.gate("A");
    const section = gates.section(a, "section");
    gates.turns.end();
    gates.event(a, "self", section.frame);
    expect(gates.errors.get("self")!.message).toContain("A -> A;");
  });

  it("is found over two sections that wait for each other", () => {
    const gates = new Gates();
    const [a, b, c] = [gates.gate("A"), gates.gate("B"), gates.gate("C")];
    const first = gates.section(a, "first");
    const second = gates.section(b, "second");
    gates.turns.end();
    gates.event(b, "a calls b", first.frame);
    gates.event(c, "b calls c", second.frame);
    gates.event(a, "c calls a", gates.frames.get("b calls c"));
    expect(gates.take()).toEqual(["first", "second", "b calls c", "c calls a refused"]);
    expect(gates.errors.get("c calls a")!.message).toContain("B -> C -> A -> B;");
    // The other one goes on when the section that failed has ended.
    second.end();
    gates.turns.end();
    expect(gates.take()).toEqual(["a calls b"]);
  });

  it("is found from a section inside a section, and from one that waits for its turn", () => {
    const gates = new Gates();
    const [a, b] = [gates.gate("A"), gates.gate("B")];
    const outer = gates.section(a, "outer");
    gates.turns.end();
    const inner = gates.section(a, "inner", outer.frame);
    gates.turns.end();
    gates.event(b, "inner calls b", inner.frame);
    gates.event(a, "b calls a", gates.frames.get("inner calls b"));
    expect(gates.errors.get("b calls a")!.message).toContain("A -> B -> A;");
    // The code of b, called from the section of a, begins a section that would wait for one which waits for a.
    const blocking = gates.section(b, "blocking");
    gates.turns.end();
    gates.event(a, "blocking calls a", blocking.frame);
    expect(() => gates.section(b, "waiting", gates.frames.get("inner calls b"))).toThrow(
      /A -> B -> A;/,
    );
  });

  it("is none where a gate is held by a read, or by a section that the call does not come from", () => {
    const gates = new Gates();
    const [a, b] = [gates.gate("A"), gates.gate("B")];
    gates.event(a, "1");
    gates.event(b, "a calls b", gates.frames.get("1"));
    gates.turns.end();
    const section = gates.section(a, "section");
    gates.turns.end();
    gates.event(a, "b calls a", gates.frames.get("a calls b"));
    const release = b.hold();
    gates.event(b, "from the section", section.frame);
    release();
    section.end();
    gates.turns.end();
    expect(gates.take()).toEqual(["1", "a calls b", "section", "from the section", "b calls a"]);
  });
});
