// Restoring: what a reference gives back, to whom, and for how long.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { RpcStub, RpcTarget, sameObject } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { LocalHook } from "../../src/hook/local.js";
import { emptyPayload } from "../../src/hook/payload.js";
import {
  KeyPair,
  MemoryTokenStore,
  Realm,
  Restorer,
  save,
  type SturdyRef,
  type TokenEntry,
} from "../../src/persist.js";
import { serve as serveTyped } from "../../src/typed.js";
import { CounterServer } from "../typed/kit.js";
import { Counter } from "../typed/schemas/features.capnp.js";
import { RawPeer } from "../support/raw-peer.js";
import { failure, refusal, refWith, Room, tokenOf, Town } from "./kit.js";

/** A guest that has saved the lobby and is gone, and another that has the reference. */
async function savedLobby(town: Town): Promise<SturdyRef> {
  const house = town.guest("saver");
  using room = await town.run(house.room("lobby"));
  return await town.run(save(room));
}

describe("restore", () => {
  it("gives a live reference at once: calls on it travel with the question", async () => {
    const town = new Town();
    const ref = await savedLobby(town);
    const restorer = await town.restorer(town.guest("guest"));
    const before = town.net.now;
    using room = restorer.restore(ref, RpcStub<Room>);
    expect(await town.run(room.post("hello"))).toBe(1);
    expect(town.net.now - before).toBe(100);
    expect(town.asked).toEqual([{ room: "lobby" }]);
    room[Symbol.dispose]();
    await town.end();
  });

  it("comes after what was asked before in the same turn", async () => {
    const town = new Town();
    const ref = await savedLobby(town);
    const house = town.guest("guest");
    const restorer = await town.restorer(house);
    const get = town.store.get.bind(town.store);
    let before: string[] = [];
    town.store.get = (key) => {
      before = [...town.notes];
      return get(key);
    };
    const first = house.note("first");
    using room = restorer.restore(ref, RpcStub<Room>);
    await town.run(Promise.all([first, room.name, house.note("second")]));
    expect(before).toEqual(["first"]);
    room[Symbol.dispose]();
    await town.end();
  });

  it("can be done by a restorer that is itself only promised, or the bootstrap object", async () => {
    const town = new Town();
    const ref = await savedLobby(town);
    const house = town.guest("guest");
    {
      using promise = house.restorer();
      using restorer = Restorer.of(promise);
      using room = restorer.restore(ref, RpcStub<Room>);
      expect(await town.run(room.name)).toBe("lobby");
    }
    const offered = town.realm.restorer();
    town.net.vat("second host", { bootstrap: offered });
    town.net.vat("second guest");
    town.net.link("second guest", "second host");
    {
      using restorer = town.net.bootstrap("second guest", "second host", Restorer);
      using room = restorer.restore(ref, RpcStub<Room>);
      expect(await town.run(room.name)).toBe("lobby");
      using dup = restorer.dup();
      using other = dup.restore(ref, RpcStub<Room>);
      expect(await town.run(other.name)).toBe("lobby");
    }
    town.net.cut("second guest", "second host");
    offered[Symbol.dispose]();
    await town.end();
  });

  it("C-PER-05: a reference sealed for an owner is refused to others like one that never was", async () => {
    const town = new Town();
    const house = town.guest("guest");
    const [alice, bob] = [KeyPair.generate(), KeyPair.generate()];
    {
      using room = await town.run(house.room("lobby"));
      const sealed = await town.run(save(room, { sealFor: alice.publicKey }));
      const open = await town.run(save(room));
      const anyone = await town.restorer(house);
      using asAlice = await town.run(anyone.identify(alice, town.realm.publicKey));
      using asBob = await town.run(anyone.identify(bob, town.realm.publicKey));
      using hers = asAlice.restore(sealed, RpcStub<Room>);
      expect(await town.run(hers.name)).toBe("lobby");
      for (const restorer of [anyone, asAlice, asBob]) {
        using everyones = restorer.restore(open, RpcStub<Room>);
        expect(await town.run(everyones.name)).toBe("lobby");
      }
      const asked = town.asked.length;
      const never = await refusal(town, anyone, refWith(new Uint8Array(32).fill(7)));
      for (const restorer of [anyone, asBob])
        expect(await refusal(town, restorer, sealed)).toEqual(never);
      expect(never.message).toContain("not accepted");
      // The host's code is not even asked, so it cannot tell either.
      expect(town.asked.length).toBe(asked);
    }
    await town.end();
  });

  it("C-PER-06: a Bootstrap that names an object is refused, unless the host lets the realm find it", async () => {
    const realm = (peer: () => RawPeer): Realm<string> =>
      new Realm<string>({
        store: new MemoryTokenStore(),
        scheduler: peer().scheduler,
        restore: (record) => new Room(record),
      });
    const strict: RawPeer = new RawPeer();
    const ref = await realm(() => strict).save("lobby");
    expect(bootstrapBy(strict, 0, ref)[0]).toMatch(/exception failed "Bootstrap by object id/);
    strict.finish(0);
    strict.done();

    const legacy: RawPeer = new RawPeer({ restorer: (id) => ours.restoreObjectId(id) });
    const ours = realm(() => legacy);
    const known = await ours.save("lobby");
    for (const [question, one] of [known, ref].entries())
      expect(bootstrapBy(legacy, question, one)).toEqual([
        `return ${question} results bare 0 caps=[senderPromise ${question}]`,
      ]);
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(legacy.drain().sort()).toEqual([
      expect.stringMatching(/^resolve 0 senderHosted 2$/),
      expect.stringMatching(/^resolve 1 failed "the saved reference is not accepted/),
    ]);
    legacy.finish(0);
    legacy.finish(1);
    legacy.release(2);
    legacy.done();
  });

  it("C-PER-07: has 256 random bits, of which the store sees a hash alone", async () => {
    const town = new Town();
    const house = town.guest("guest");
    {
      using room = await town.run(house.room("lobby"));
      const tokens = new Set<string>();
      const ones = new Array<number>(256).fill(0);
      for (let i = 0; i < 200; i++) {
        const token = tokenOf(await town.realm.save({ room: "lobby" }));
        expect(token).toHaveLength(32);
        tokens.add(token.join());
        for (let bit = 0; bit < 256; bit++) ones[bit]! += (token[bit >> 3]! >> (bit & 7)) & 1;
      }
      expect(tokens.size).toBe(200);
      // Each bit is drawn: 200 throws of a coin fall on one side less than once in 2^100.
      for (const count of ones) expect(count > 20 && count < 180, `${count} of 200`).toBe(true);
      const ref = await town.run(save(room));
      const token = Buffer.from(tokenOf(ref));
      for await (const [key, { record, owner }] of town.store.list()) {
        const kept = `${key} ${Buffer.from(record).toString("hex")} ${owner}`;
        expect(key).toMatch(/^[0-9a-f]{64}$/);
        expect(kept).not.toContain(token.toString("hex"));
      }
      // A thief of the store has the keys, and they are no tokens.
      const restorer = await town.restorer(house);
      for await (const [key] of town.store.list())
        await refusal(town, restorer, refWith(Uint8Array.from(Buffer.from(key, "hex"))));
      expect(town.asked).toEqual([]);
    }
    await town.end();
  });

  it("C-PER-10: twice on one connection gives one object", async () => {
    const town = new Town();
    const ref = await savedLobby(town);
    const house = town.guest("guest");
    const restorer = await town.restorer(house);
    {
      using first = restorer.restore(ref, RpcStub<Room>);
      using second = restorer.restore(ref, RpcStub<Room>);
      using never = await town.run(house.room("lobby"));
      await town.run(Promise.all([first.post("a"), second.post("b")]));
      expect(sameObject(first, second)).toBe("same");
      expect(sameObject(first, never)).toBe("same");
      expect(town.rooms.get("lobby")!.posts).toEqual(["a", "b"]);
    }
    await town.end();
  });

  it("C-PER-10: after the object was deleted fails, and does not hang", async () => {
    const told = new RpcError("failed", "method-failed", "the room was pulled down");
    for (const [gone, message] of [
      [(): undefined => undefined, "not accepted"],
      [(): null => null, "not accepted"],
      [(): number => 7, "not accepted"],
      [
        (): never => {
          throw told;
        },
        "pulled down",
      ],
      [(): Promise<never> => Promise.reject(told), "pulled down"],
    ] as const) {
      const town = new Town({ restore: gone });
      const ref = await savedLobby(town);
      const restorer = await town.restorer(town.guest("guest"));
      expect((await refusal(town, restorer, ref)).message).toContain(message);
      await town.end();
    }
  });

  it("C-PER-12: what it gives needs neither the reference that was saved nor that connection", async () => {
    const town = new Town();
    const saver = town.guest("saver");
    const restorer = await town.restorer(town.guest("guest"));
    {
      using saved = await town.run(saver.room("lobby"));
      const ref = await town.run(save(saved));
      using restored = restorer.restore(ref, RpcStub<Room>);
      await town.run(restored.post("before"));
      town.net.cut("saver", "host");
      expect(await failure(town.run(saved.post("lost")))).toMatchObject({ type: "disconnected" });
      expect(await town.run(restored.post("after"))).toBe(2);
      // And the reference outlives every live one.
      using again = restorer.restore(ref, RpcStub<Room>);
      expect(await town.run(again.post("again"))).toBe(3);
    }
    await town.end();
  });

  it("hands out typed objects, functions, stubs and hooks as well", async () => {
    const server = new CounterServer();
    const counter = serveTyped(Counter, server);
    let given = counter;
    const things: Record<string, () => unknown> = {
      typed: () => (given = counter.dup()),
      function: () => () => "called",
      stub: () => new RpcStub(new Room("in a stub")),
      hook: () =>
        new LocalHook({ dispatch: (call) => call.returns(emptyPayload()) }, processScheduler()),
    };
    const realm = new Realm<string>({
      store: new MemoryTokenStore(),
      restore: (record) => things[record]?.(),
    });
    using restorer = realm.restorer();
    using typed = restorer.restore(await realm.save("typed"), Counter);
    expect((await typed.next({ by: 3 })).value).toBe(3);
    expect(given).not.toBe(counter);
    expect(() => given.dup()).toThrow("disposed");
    using func = restorer.restore(await realm.save("function"), RpcStub<() => string>);
    expect(await func()).toBe("called");
    using stub = restorer.restore(await realm.save("stub"), RpcStub<Room>);
    expect(await stub.name).toBe("in a stub");
    using hook = restorer.restore(await realm.save("hook"), Counter);
    expect((await hook.next()).value).toBe(0);
    counter[Symbol.dispose]();
  });

  it("is told when the asker gives up, and keeps nothing of a late answer", async () => {
    const disposed: string[] = [];
    class Hall extends RpcTarget {
      [Symbol.dispose](): void {
        disposed.push("hall");
      }
    }
    let signal: AbortSignal | undefined;
    let give!: (hall: Hall) => void;
    const town = new Town({
      restore: (_record, context) => {
        signal = context.signal;
        return new Promise<Hall>((resolve) => {
          give = resolve;
        });
      },
    });
    const ref = await savedLobby(town);
    const restorer = await town.restorer(town.guest("guest"));
    const hall = restorer.restore(ref, RpcStub<Hall>);
    await town.run(town.net.sleep(100));
    expect(signal!.aborted).toBe(false);
    hall[Symbol.dispose]();
    await town.run(town.net.sleep(100));
    expect(signal!.aborted).toBe(true);
    give(new Hall());
    await town.end();
    expect(disposed).toEqual(["hall"]);
  });

  it("passes on what a store fails with", async () => {
    class Failing extends MemoryTokenStore {
      override async get(): Promise<TokenEntry | undefined> {
        throw new Error("the disk is on fire");
      }
    }
    const town = new Town({ store: new Failing() });
    const ref = await savedLobby(town);
    const restorer = await town.restorer(town.guest("guest"));
    expect((await refusal(town, restorer, ref)).message).toContain("on fire");
    await town.end();
  });
});

/** A Bootstrap with `ref` as deprecatedObjectId, whose pointer is the last word of the message. */
function bootstrapBy(peer: RawPeer, question: number, ref: SturdyRef): string[] {
  const plain = peer.encode((w) => w.bootstrap(question));
  const bytes = ref.toBytes();
  const message = new Uint8Array(plain.length - 8 + bytes.length);
  message.set(plain);
  message.set(bytes, plain.length - 8);
  const view = new DataView(message.buffer);
  view.setUint32(4, (message.length - 8) / 8, true);
  return peer.bytes(message);
}
