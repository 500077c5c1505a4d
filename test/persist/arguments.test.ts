// What is no option and no argument is refused at once, with what to give instead, and changes nothing.

import { afterAll, describe, expect, it } from "vitest";
import { RpcStub } from "../../src/cap/dynamic/index.js";
import {
  KeyPair,
  MemoryTokenStore,
  Realm,
  type RealmOptions,
  Restorer,
  save,
  saveGateway,
  SturdyRef,
} from "../../src/persist.js";
import { countOf, Room, Town } from "./kit.js";

/** Anything at all, where a type is asked for. */
const any = (value: unknown): never => value as never;

const refusal = (part: string): object => ({
  code: "invalid-argument",
  message: expect.stringContaining(part) as string,
});

const thrown = async (run: () => unknown): Promise<unknown> => {
  try {
    await run();
  } catch (error) {
    return error;
  }
  throw new Error("it was taken");
};

const store = new MemoryTokenStore();
const realm = new Realm<string>({ store, restore: () => null });
const restorer = realm.restorer();
afterAll(() => restorer[Symbol.dispose]());

const REFUSED: [what: string, part: string, run: () => unknown][] = [
  ["a realm without options", "store of a Realm", () => new Realm(any(undefined))],
  ["a realm without a store", "store of a Realm", () => new Realm(any({ restore: () => null }))],
  ["a realm that cannot restore", "restore of a Realm", () => new Realm(any({ store }))],
  ["Restorer.of nothing", "Restorer.of takes a stub", () => Restorer.of(any(null))],
  ["a text to be restored", "SturdyRef.fromText", () => restorer.restore(any("x"), RpcStub<Room>)],
  ["nothing to be restored", "SturdyRef", () => restorer.restore(any(undefined), RpcStub<Room>)],
  [
    "no type",
    "RpcStub, or a client class",
    async () => restorer.restore(await realm.save("door"), any(undefined)),
  ],
  [
    "a text of nothing",
    "must be a string, not undefined",
    () => SturdyRef.fromText(any(undefined)),
  ],
  ["bytes of a text", "must be a Uint8Array", () => SturdyRef.fromBytes(any("x"))],
  ["an owner by a text", "keys.publicKey", () => realm.save("x", { sealFor: any("abc") })],
  [
    "an owner by all its keys",
    "keys.publicKey",
    () => realm.save("x", { sealFor: any(KeyPair.generate()) }),
  ],
  [
    "an owner by a text, of a stub",
    "keys.publicKey",
    () => save(any(null), { sealFor: any("abc") }),
  ],
  ["an owner of no references", "public key", () => realm.revokeOwner(any("abc"))],
  [
    "a list for no owner",
    "public key",
    async () => {
      for await (const _ of realm.list(any("abc")));
    },
  ],
  ["a gateway of nothing", "{ export, import }", () => saveGateway(any(5))],
  [
    "a gateway that cannot translate",
    "export of saveGateway",
    () => saveGateway({ export: any("x") }),
  ],
  ["to revoke a number", "SturdyRef", () => realm.revoke(any(5))],
  ["to revoke a part of an id", "64 hexadecimal digits", () => realm.revoke("abc")],
  [
    "to revoke a text",
    "SturdyRef.fromText",
    async () => {
      const ref = await realm.save("door");
      const error = await thrown(() => realm.revoke(ref.toText()));
      expect((error as Error).message).not.toContain(ref.toText());
      expect(await realm.revoke(SturdyRef.fromText(ref.toText()))).toBe(true);
      throw error;
    },
  ],
];

it.each(REFUSED)("%s is refused: %s", async (_, part, run) => {
  expect(await thrown(run)).toMatchObject(refusal(part));
});

describe("a lifetime that is none", () => {
  const NONE = ["60000", "1d", NaN, -1, 0, Infinity, null] as unknown as number[];

  it.each(NONE)("%s is refused wherever one is taken", async (lifetime) => {
    const wrong = refusal("lifetime must be milliseconds");
    const options: RealmOptions<string> = { store, restore: () => null, lifetime };
    expect(await thrown(() => new Realm(options))).toMatchObject(wrong);
    const before = await countOf(store);
    expect(await thrown(() => realm.save("door", { lifetime }))).toMatchObject(wrong);
    expect(await countOf(store)).toBe(before);
    expect(await thrown(() => realm.persistent(() => 1, "door", { lifetime }))).toMatchObject(
      wrong,
    );
  });

  it("leaves what was said of the object before", async () => {
    const town = new Town();
    const room = new Room("lobby");
    town.realm.persistent(room, { room: "lobby" }, { lifetime: 1 });
    using stub = new RpcStub(room, { scheduler: town.host.scheduler });
    expect(await town.run(save(stub))).toBeInstanceOf(SturdyRef);
    expect(() => town.realm.persistent(room, { room: "lobby" }, { lifetime: any("1d") })).toThrow(
      "lifetime",
    );
    // What was said before still holds.
    expect(await town.run(save(stub))).toBeInstanceOf(SturdyRef);
    await town.end();
  });
});
