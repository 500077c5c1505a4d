// Another user of msgpackr in the same process, with extensions that claim everything, neither harms nor is harmed.

import * as msgpackr from "msgpackr";
import { afterAll, beforeAll, expect, it } from "vitest";
import { decodeValue, encodeValue } from "../../../src/cap/dynamic/values/index.js";
import { difference, NO_REFS, roundTrip } from "./help.js";

const value = {
  list: [1, -0, "x", undefined, 2n ** 99n],
  bytes: new Uint8Array([1, 2, 3]),
  date: new Date(5),
  error: new TypeError("no"),
  map: new Map([["k", new Set([1])]]),
  constructor: "mine",
};
const plain = [
  1,
  { a: ["text", 5n, null] },
  "a text of more than sixty-four characters, which is read by another way than short ones",
];

class Point {
  x = 1;
}
const neighbour = new msgpackr.Packr({ structuredClone: true });
const packed: Uint8Array[] = [];
let before: Uint8Array;

beforeAll(() => {
  before = Uint8Array.from(
    neighbour.pack([new Date(7), new Error("theirs"), undefined, new Set([1])]),
  );
  const grab = (Class: unknown, type: number): void =>
    msgpackr.addExtension({
      Class: Class as typeof Point,
      type,
      pack: () => new Uint8Array([9, 9]),
      unpack: () => "grabbed",
    });
  grab(Point, 1);
  for (const Class of [Uint8Array, Date, Error, Map, Set, Object, Array]) grab(Class, 2);
  for (let type = 3; type < 0x80; type++) grab(Point, type);
  msgpackr.addExtension({ type: 0, unpack: () => "grabbed" } as never);
});
afterAll(() => {
  packed.length = 0;
});

it("they do not change what we send or receive", () => {
  expect(difference(roundTrip(value), value)).toBeNull();
  expect(difference(roundTrip(plain), plain)).toBeNull();
  expect(difference(roundTrip(undefined), undefined)).toBeNull();
  for (const name of ["constructor", "toJSON", "hasOwnProperty"])
    expect(difference(roundTrip({ [name]: 1, a: [] }), { [name]: 1, a: [] })).toBeNull();
});

it("their extensions cannot be reached by bytes of a peer", () => {
  for (let type = 0; type < 256; type++) {
    const bytes = new Uint8Array([0x91, 0xd4, type, 0]);
    expect(() => decodeValue(bytes, NO_REFS)).toThrow("the token 0xd4 has no meaning here");
    bytes[0] = 0xc1;
    expect(() => decodeValue(bytes, NO_REFS)).toThrow("the token 0xd4 has no meaning here");
  }
});

it("we do not change what they send or receive", () => {
  const first = neighbour.pack({ theirs: ["first"], point: new Point() });
  const copy = Uint8Array.from(first);
  packed.push(encodeValue(value, NO_REFS), encodeValue(plain, NO_REFS));
  const second = neighbour.pack(["second"]);
  packed.push(encodeValue(plain, NO_REFS));
  expect([...first]).toEqual([...copy]);
  expect(neighbour.unpack(first)).toEqual({ theirs: ["first"], point: "grabbed" });
  expect(neighbour.unpack(second)).toEqual(["second"]);
  expect(before.length).toBeGreaterThan(4);
});

it("each may run inside the other", () => {
  class Ours {}
  msgpackr.addExtension({
    Class: Ours,
    type: 0x7f,
    pack: () => encodeValue(plain, NO_REFS),
    unpack: (bytes: Uint8Array) => decodeValue(bytes, NO_REFS),
  });
  const outer = neighbour.pack(["a", new Ours(), "z", new Ours()]);
  expect(neighbour.unpack(outer)).toEqual(["a", plain, "z", plain]);
  const theirs = {
    get inner(): unknown {
      return neighbour.unpack(neighbour.pack(["in"]));
    },
    x: -0,
  };
  expect(difference(roundTrip(theirs), { inner: ["in"], x: -0 })).toBeNull();
});

it("memory that they reuse is not ours", () => {
  const memory = new Uint8Array(8192);
  neighbour.useBuffer(memory);
  const bytes = encodeValue(["kept", { a: 1 }], NO_REFS);
  memory.fill(0xff);
  neighbour.useBuffer(new Uint8Array(8192));
  expect(decodeValue(bytes, NO_REFS)).toEqual(["kept", { a: 1 }]);
});
