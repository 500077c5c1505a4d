// Each property by itself, on the smallest program that can break it. The programs were shrunk from planted faults.

import { it } from "vitest";
import { call, three } from "./kit.js";
import { replay } from "./shrink.js";

it("C-EMB-24: E1: calls on one reference arrive in the order they were made", () => {
  replay(three, [
    { op: "bootstrap", id: 3, vat: 1, peer: 2 },
    call(25, 30, 0, [30]),
    call(77, 30, 7, [], 78),
    { op: "settle" },
    call(93, 630),
    call(94, 630),
    { op: "resolve", promise: 78, to: 203 },
  ]);
});

it("C-EMB-25: E2: calls through a reference that was passed on arrive behind those made before", () => {
  replay({ ...three, tight: true }, [
    { op: "bootstrap", id: 2, vat: 1, peer: 0 },
    { op: "bootstrap", id: 3, vat: 1, peer: 2 },
    { op: "bootstrap", id: 5, vat: 0, peer: 2 },
    { op: "bootstrap", id: 6, vat: 2, peer: 0 },
    call(10, 46),
    call(15, 30, 0, [22, 22, 22]),
    { op: "settle" },
    call(37, 54, 4, [125], 38),
    { op: "settle" },
    call(52, 296),
  ]);
});

it("C-EMB-26: E3: behind a call that was lost nothing arrives", () => {
  replay({ ...three, tailCalls: "never" }, [
    { op: "bootstrap", id: 2, vat: 1, peer: 0 },
    { op: "bootstrap", id: 3, vat: 1, peer: 2 },
    { op: "settle" },
    call(10, 22, 1, [-1, -1, 30]),
    { op: "deliver", from: 1, to: 0 },
    { op: "pipeline", call: 10, slot: 2 },
    call(23, 82),
    { op: "deliver", from: 0, to: 1 },
    call(29, 82),
    { op: "cut", a: 0, b: 1 },
  ]);
});

it("C-EMB-27: E4: order holds across a resolution", () => {
  replay(three, [
    { op: "bootstrap", id: 4, vat: 2, peer: 1 },
    { op: "bootstrap", id: 6, vat: 2, peer: 0 },
    call(16, 54, 1, [38, 38]),
    { op: "pipeline", call: 16, slot: 1 },
    call(50, 129),
    { op: "watch", ref: 129, id: 53 },
  ]);
});

it("C-EMB-28: E5: what is called when results are seen arrives behind what was pipelined on them", () => {
  replay({ ...three, tailCalls: "never" }, [
    { op: "bootstrap", id: 1, vat: 0, peer: 1 },
    { op: "bootstrap", id: 2, vat: 1, peer: 0 },
    { op: "call", id: 17, on: 22, method: 0, args: [], child: 0, then: 18 },
    { op: "settle" },
    { op: "pipeline", call: 17, slot: 0 },
    call(37, 136),
    { op: "answer", call: 17, caps: [14] },
  ]);
});

it("C-EMB-29: E6: tables are empty and objects dropped when all is released", () => {
  replay(three, [{ op: "bootstrap", id: 5, vat: 0, peer: 2 }, { op: "settle" }, call(9, 46)]);
});
