// Older and newer versions of one schema talking to each other (C-VAL-18 to 21).

import { describe, expect, it } from "vitest";
import { Message, RpcError, type Struct, type StructType } from "../../src/typed.js";
import { host, settle } from "./kit.js";
import * as newer from "./schemas/newer.capnp.js";
import * as older from "./schemas/older.capnp.js";

/** The same bytes under another version of the schema. */
function as<S extends Struct>(type: StructType<S>, struct: Struct): S {
  return new type(struct.segment, struct.byteOffset);
}

const old: older.Record.Init = {
  flag: true,
  level: older.Level.high,
  item: { id: 7, name: "seven" },
  items: [{ id: 1 }, { id: 2, name: "two" }],
  numbers: [10, -20],
  names: ["ann", "bob"],
  voids: [null, null, null],
  count: 200,
  wide: [0x1_0000_0002n],
};

function oldRecord(): older.Record {
  const record = new Message().initRoot(older.Record);
  record.set(old);
  return record;
}

describe("an older writer, a newer reader", () => {
  it("C-VAL-20: fields that the writer did not know have their defaults", () => {
    const record = as(newer.Record, oldRecord());
    expect([record.flag, record.level, record.more, record.late, record.extra.id]).toEqual([
      true,
      1,
      true,
      -1n,
      99,
    ]);
    expect(record.count).toBe(200);
    const { item } = record;
    expect([item.id, item.title, item.weight, item.detail.owner, item.detail.rank]).toEqual([
      7,
      "seven",
      2.5,
      "nobody",
      -3,
    ]);
    expect(item.tags.length).toBe(0);
    expect(item.hasTags()).toBe(false);
  });

  it("structs in lists are as long as the writer made them", () => {
    const { items } = as(newer.Record, oldRecord());
    expect(items.map((one) => [one.id, one.title, one.weight, one.detail.owner])).toEqual([
      [1, "", 2.5, "nobody"],
      [2, "two", 2.5, "nobody"],
    ]);
  });

  it("C-VAL-18: a list of primitives or pointers is read as structs of one field", () => {
    const record = as(newer.Record, oldRecord());
    expect(record.numbers.map((one) => [one.value, one.exact])).toEqual([
      [10, true],
      [-20, true],
    ]);
    expect(record.names.map((one) => [one.text, one.language])).toEqual([
      ["ann", "en"],
      ["bob", "en"],
    ]);
    expect(record.voids.map((one) => one.label)).toEqual(["was void", "was void", "was void"]);
  });

  it("copying the old struct into a new message gives it room for the new fields", () => {
    const to = new Message().initRoot(newer.Record);
    to.item = as(newer.Item, oldRecord().item);
    to.item.weight = 9;
    to.item.detail.owner = "me";
    expect(to.item.toObject()).toEqual({
      id: 7,
      title: "seven",
      weight: 9,
      detail: { owner: "me", rank: -3 },
    });
    expect(to.item.tags.length).toBe(0);
  });

  it("a struct that is too short for a field refuses to have it set", () => {
    const record = as(newer.Record, oldRecord());
    expect(() => (record.late = 5n)).toThrow(expect.objectContaining({ code: "invalid-state" }));
    expect(() => (record.items.get(0).weight = 1)).toThrow(RpcError);
    expect(record.late).toBe(-1n);
  });
});

describe("a newer writer, an older reader", () => {
  function newRecord(): newer.Record {
    const record = new Message().initRoot(newer.Record);
    record.set({
      flag: true,
      level: newer.Level.extreme,
      item: { id: 1, title: "t", tags: ["x"], weight: 1, detail: { owner: "o", rank: 4 } },
      items: [{ id: 1, title: "a", tags: ["b"] }, { id: 2 }],
      numbers: [{ value: 5, exact: false }, { value: 6 }],
      names: [{ text: "n", language: "fr" }, {}],
      voids: [{ label: "l" }],
      text: "a member the reader does not know",
      wide: [3],
      late: 4n,
    });
    return record;
  }

  it("C-VAL-21: unknown enum values and union members are told as such", () => {
    const record = as(older.Record, newRecord());
    expect(record.level).toBe(2);
    expect(record.which).toBe("_unknown");
    expect(() => record.count).toThrow(RpcError);
    expect(record.item.toObject()).toEqual({ id: 1, name: "t" });
  });

  it("C-VAL-19: a list of structs is read as a list of its first field", () => {
    const record = as(older.Record, newRecord());
    expect(record.numbers.toArray()).toEqual([5, 6]);
    expect(record.names.toArray()).toEqual(["n", ""]);
    expect(record.voids.length).toBe(1);
    expect(record.items.map((one) => [one.id, one.name])).toEqual([
      [1, "a"],
      [2, ""],
    ]);
  });

  it("C-VAL-19: a list of elements that are too small is an error", () => {
    const record = as(older.Record, newRecord());
    expect(() => record.wide).toThrow(expect.objectContaining({ code: "invalid-payload" }));
    const widened = as(newer.Record, oldRecord());
    expect(widened.wide.toArray()).toEqual([2]); // the low half
  });

  it("what the older side copies keeps what it does not know", () => {
    const copy = new Message().initRoot(older.Record);
    const from = as(older.Record, newRecord());
    copy.item = from.item;
    copy.items = from.items;
    const back = as(newer.Record, copy);
    expect(back.item.toObject()).toEqual({
      id: 1,
      title: "t",
      tags: ["x"],
      weight: 1,
      detail: { owner: "o", rank: 4 },
    });
    expect(back.items.get(0).tags.toArray()).toEqual(["b"]);
  });
});

describe("calls between versions", () => {
  const oldServer: older.Service.Server = {
    echo: ({ record }) => ({ record }),
    greet: ({ name }) => ({ text: `hi ${name}` }),
    send: () => {},
  };
  const sent: number[] = [];
  const newServer: newer.Service.Server = {
    echo: ({ record, times }) => ({ record, times: times + 1 }),
    greet: ({ name, politely }) => ({
      text: `${politely ? "dear" : "yo"} ${name}`,
      language: "de",
    }),
    send: ({ bytes }) => void sent.push(bytes.length),
    added: () => {},
    ping: () => ({}),
  };

  it("a new client of an old server", async () => {
    const client = host(older.Service, oldServer).castAs(newer.Service);
    const { record, times } = await client.echo({
      record: { level: 2, text: "new", late: 5n },
      times: 3,
    });
    expect([record.level, record.text, record.late, record.more, times]).toEqual([
      2,
      "new",
      5n,
      true,
      0,
    ]);
    const greeting = await client.greet({ name: "x", politely: false });
    expect([greeting.text, greeting.language]).toEqual(["hi x", "en"]);
    await client.send({ bytes: new Uint8Array(3) });
    await expect(client.added()).rejects.toMatchObject({ type: "unimplemented" });
    await expect(client.ping()).rejects.toMatchObject({ type: "unimplemented" });
  });

  it("an old client of a new server", async () => {
    const client = host(newer.Service, newServer).castAs(older.Service);
    const { record } = await client.echo({ record: old });
    expect(record.toObject()).toMatchObject(old);
    expect((await client.greet({ name: "x" })).text).toBe("dear x");
    await client.send({ bytes: new Uint8Array(5) });
    await settle();
    expect(sent).toEqual([5]);
  });

  it("capabilities in a list survive the list's change to structs", async () => {
    const client = host(newer.Service, newServer);
    const { record } = await client
      .castAs(older.Service)
      .echo({ record: { peers: [client.castAs(older.Service)] } });
    const peer = record.peers.get(0).castAs(newer.Service);
    expect((await peer.ping()).n).toBe(7);
    const upgraded = as(newer.Record, record);
    expect((await upgraded.peers.get(0).service.ping()).n).toBe(7);
  });
});
