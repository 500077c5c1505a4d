// What a realm gives out: how long it is good, who sees what of it, and what can be made persistent.

import { inspect } from "node:util";
import { describe, expect, it } from "vitest";
import { RpcStub } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { LocalHook } from "../../src/hook/local.js";
import { KeyPair, MemoryTokenStore, Realm, save, SturdyRef } from "../../src/persist.js";
import { Content } from "../../src/wire/content.js";
import {
  countOf,
  failure,
  hookOf,
  rawCall,
  refusal,
  refWith,
  RESTORER,
  Room,
  type RoomRecord,
  tokenOf,
  Town,
} from "./kit.js";

describe("a reference", () => {
  it("can be revoked, by itself or by the id of its entry; what was restored stays", async () => {
    const town = new Town();
    const house = town.guest("guest");
    const restorer = await town.restorer(house);
    {
      using room = await town.run(house.room("lobby"));
      const [one, two, three] = (await town.run(
        Promise.all([save(room), save(room), save(room)]),
      )) as [SturdyRef, SturdyRef, SturdyRef];
      using live = restorer.restore(one, RpcStub<Room>);
      await town.run(live.post("live"));
      expect(await town.realm.revoke(one)).toBe(true);
      expect(await town.realm.revoke(one)).toBe(false);
      expect(await town.run(live.post("still"))).toBe(2);
      await refusal(town, restorer, one);
      using other = restorer.restore(two, RpcStub<Room>);
      expect(await town.run(other.name)).toBe("lobby");
      for await (const { id } of town.realm.list()) await town.realm.revoke(id);
      for (const ref of [two, three]) await refusal(town, restorer, ref);
    }
    expect(await countOf(town.store)).toBe(0);
    await town.end();
  });

  it("can be revoked with all others of its owner", async () => {
    const town = new Town();
    const restorer = await town.restorer(town.guest("guest"));
    const [alice, bob] = [KeyPair.generate(), KeyPair.generate()];
    const refs = [];
    for (const sealFor of [alice.publicKey, alice.publicKey, bob.publicKey, undefined])
      refs.push(await town.realm.save({ room: "lobby" }, { sealFor }));
    town.room("lobby");
    expect(await town.realm.revokeOwner(alice.publicKey)).toBe(2);
    const owners = [];
    for await (const { owner } of town.realm.list()) owners.push(owner);
    expect(owners).toEqual([Buffer.from(bob.publicKey).toString("hex"), null]);
    {
      using asAlice = await town.run(restorer.identify(alice, town.realm.publicKey));
      using asBob = await town.run(restorer.identify(bob, town.realm.publicKey));
      await refusal(town, asAlice, refs[0]!);
      using his = asBob.restore(refs[2]!, RpcStub<Room>);
      expect(await town.run(his.name)).toBe("lobby");
    }
    await town.end();
  });

  it("ends with its lifetime, swept or not", async () => {
    const town = new Town({ lifetime: 1000 });
    const restorer = await town.restorer(town.guest("guest"));
    town.room("lobby");
    const short = await town.realm.save({ room: "lobby" });
    const long = await town.realm.save({ room: "lobby" }, { lifetime: 2000 });
    town.time += 999;
    {
      using room = restorer.restore(short, RpcStub<Room>);
      expect(await town.run(room.name)).toBe("lobby");
    }
    town.time += 1;
    const expired = await refusal(town, restorer, short);
    expect(expired).toEqual(await refusal(town, restorer, refWith(new Uint8Array(32))));
    expect(await town.realm.sweep()).toBe(1);
    expect(await countOf(town.store)).toBe(1);
    {
      using room = restorer.restore(long, RpcStub<Room>);
      expect(await town.run(room.name)).toBe("lobby");
    }
    await town.end();
  });

  it("outlives the process as bytes or as text", async () => {
    const store = new MemoryTokenStore();
    const realm = new Realm<RoomRecord>({ store, restore: () => new Room("lobby") });
    const ref = await realm.save({ room: "lobby" });
    const next = new Realm<RoomRecord>({ store, restore: ({ room }) => new Room(`${room} again`) });
    using restorer = next.restorer();
    for (const copy of [SturdyRef.fromBytes(ref.toBytes()), SturdyRef.fromText(ref.toText())]) {
      using room = restorer.restore(copy, RpcStub<Room>);
      expect(await room.name).toBe("lobby again");
    }
    expect(ref.toText()).toMatch(/^[\w-]{64}$/);
  });

  it("is in no text that a log would make of it, nor is a key", async () => {
    const town = new Town();
    const keys = KeyPair.generate();
    const ref = await town.realm.save({ room: "lobby" }, { sealFor: keys.publicKey });
    const restorer = await town.restorer(town.guest("guest"));
    const error = await refusal(town, restorer, ref);
    const seen = [ref, keys, town.realm, restorer, error]
      .flatMap((one) => [
        inspect(one, { depth: 10, showHidden: true, getters: true }),
        JSON.stringify({ one: one instanceof SturdyRef || one instanceof KeyPair ? one : 0 }),
        one instanceof Error ? `${one.stack} ${one.message}` : String(one),
      ])
      .join("\n");
    for (const secret of [
      tokenOf(ref),
      keys.revealSecretKey(),
      town.realm.keys.revealSecretKey(),
    ]) {
      const bytes = Buffer.from(secret);
      for (const form of [
        bytes.toString("hex"),
        bytes.toString("base64"),
        bytes.toString("base64url"),
      ])
        expect(seen).not.toContain(form);
      // As inspect shows arrays.
      expect(seen).not.toContain([...bytes.subarray(0, 6)].join(", "));
    }
    await town.end();
  });
});

describe("a realm", () => {
  it("says at once what it cannot make persistent", async () => {
    const town = new Town();
    const house = town.guest("guest");
    const raw = new LocalHook({ dispatch: (call) => call.returns() }, processScheduler());
    for (const one of [house, raw])
      expect(() => town.realm.persistent(one, { room: "?" })).toThrow("only an object of this vat");
    const record = { room: () => 1 } as never;
    expect(() => town.realm.persistent(new Room("x"), record)).toThrow("record.room");
    expect(await failure(town.realm.save(record))).toMatchObject({ code: "unsendable-value" });
    raw.release();
    await town.end();
  });

  it("lets a server of one's own answer a save", async () => {
    const realm = new Realm<string>({
      store: new MemoryTokenStore(),
      restore: (record) => new Room(record),
    });
    const own = new LocalHook(
      { dispatch: (call) => void (realm.serveSave(call, "own") || call.returns()) },
      processScheduler(),
    );
    using restorer = realm.restorer();
    using room = restorer.restore(await save(own), RpcStub<Room>);
    expect(await room.name).toBe("own");
    own.release();
  });

  it("answers no other method or interface at its restorer", async () => {
    const realm = new Realm<string>({ store: new MemoryTokenStore(), restore: () => null });
    using restorer = realm.restorer();
    const hook = hookOf(restorer);
    for (const [target, method] of [
      [RESTORER, 2],
      [[1, 2], 0],
    ] as const)
      expect(await failure(rawCall(hook, target, method, Content.NULL))).toMatchObject({
        code: "method-unimplemented",
      });
    hook.release();
  });
});
