// Persistent.save: every kind of reference can be asked, wherever its object is.

import { describe, expect, it } from "vitest";
import type { RpcError } from "../../src/base/errors.js";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import type { Holder } from "../../src/hook/holder.js";
import type { Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { Membrane } from "../../src/hook/membrane.js";
import { Payload } from "../../src/hook/payload.js";
import { nullHook } from "../../src/hook/results.js";
import { KeyPair, MemoryTokenStore, Realm, save, SturdyRef } from "../../src/persist.js";
import { AnyPointer, serve as serveTyped, Text } from "../../src/typed.js";
import { Content } from "../../src/wire/content.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";
import { CounterServer } from "../typed/kit.js";
import { Persistent } from "../typed/schemas/capnp/persistent.capnp.js";
import { Counter } from "../typed/schemas/features.capnp.js";
import { countOf, failure, PERSISTENT, rawCall, Room, Town } from "./kit.js";

/** A struct of one pointer, to a text. */
function oneText(value: string): Content {
  const builder = new ContentBuilder();
  builder.root(0, 1).text(0, value);
  return builder.finish().own();
}

/** An object that is not of Capstan: every call is given to `answer`. */
function object(answer: (call: LocalCall) => void): Hook {
  return new LocalHook({ dispatch: answer }, processScheduler());
}

describe("save", () => {
  it("asks stubs, promises of stubs, and objects that are here", async () => {
    const town = new Town();
    const house = town.guest("guest");
    {
      using room = await town.run(house.room("lobby"));
      expect(await town.run(save(room))).toBeInstanceOf(SturdyRef);
      // Not there yet: the save travels with the call.
      const before = town.net.now;
      using promised = house.room("attic");
      await town.run(save(promised));
      expect(town.net.now - before).toBe(100);
      using local = new RpcStub(town.room("cellar"), { scheduler: town.host.scheduler });
      await town.run(save(local));
    }
    const records = [];
    for await (const { record } of town.realm.list()) records.push(record.room);
    expect(records).toEqual(["lobby", "attic", "cellar"]);
    await town.end();
  });

  it("goes through a vat in between", async () => {
    class Door extends RpcTarget {
      lobby(): unknown {
        return house.room("lobby");
      }
    }
    const town = new Town();
    const house = town.guest("proxy", () =>
      serve(new Door(), { scheduler: town.net.vats.get("proxy")!.scheduler }),
    );
    town.net.vat("far");
    town.net.link("far", "proxy", { delay: 50 });
    const door = town.keep(town.net.bootstrap("far", "proxy", RpcStub<Door>));
    {
      using room = (await town.run(door.lobby())) as RpcStub<Room>;
      const ref = await town.run(save(room));
      const restorer = await town.restorer(house);
      using again = restorer.restore(ref, RpcStub<Room>);
      expect(await town.run(again.name)).toBe("lobby");
    }
    await town.end();
  });

  it("goes through a membrane", async () => {
    const town = new Town();
    const hook = serve(town.room("lobby"), { scheduler: town.host.scheduler });
    const wrapped = new Membrane({}, town.host.scheduler).wrap(hook);
    expect(await town.run(save(wrapped))).toBeInstanceOf(SturdyRef);
    wrapped.release();
    hook.release();
    await town.end();
  });

  it("comes after what was asked before in the same turn", async () => {
    const town = new Town();
    const house = town.guest("guest");
    {
      using room = await town.run(house.room("lobby"));
      const posts = town.rooms.get("lobby")!.posts;
      const put = town.store.put.bind(town.store);
      let before: string[] = [];
      town.store.put = (key, entry) => {
        before = [...posts];
        return put(key, entry);
      };
      await town.run(Promise.all([room.post("first"), save(room), room.post("second")]));
      expect(before).toEqual(["first"]);
      expect(posts).toEqual(["first", "second"]);
    }
    await town.end();
  });

  it("C-PER-01: fails with not-persistent where the object has no such interface", async () => {
    const town = new Town();
    const house = town.guest("guest");
    {
      using counter = serveTyped(Counter, new CounterServer());
      using target = new RpcStub(new Room("unsaved"));
      using func = new RpcStub(() => 1);
      // The result of a call is no object, though it can be called.
      using lobby = await town.run(house.room("lobby"));
      using result = lobby.post("a number");
      for (const sealFor of [undefined, KeyPair.generate().publicKey])
        for (const one of [house, counter, target, func, result] as Holder[]) {
          const error = await failure(town.run(save(one, { sealFor })));
          expect(error).toMatchObject({ code: "not-persistent", type: "unimplemented" });
          expect((error.cause as RpcError).type).toBe("unimplemented");
        }
      // The interface has no second method.
      const hook = serve(town.room("lobby"), { scheduler: town.host.scheduler });
      const other = town.run(rawCall(hook, PERSISTENT, 1, Content.NULL));
      expect((await failure(other)).type).toBe("unimplemented");
      hook.release();
    }
    expect(await countOf(town.store)).toBe(0);
    await town.end();
  });

  it("C-PER-02: takes params without sealFor, also those of 0.5 that have no such field", async () => {
    const town = new Town();
    const hook = serve(town.room("lobby"), { scheduler: town.host.scheduler });
    for (const params of [Content.NULL, Content.EMPTY_STRUCT]) {
      const payload = await town.run(rawCall(hook, PERSISTENT, 0, params));
      expect(StructReader.of(payload.content).struct(0).data(0)).toHaveLength(32);
      payload.release();
    }
    for await (const entry of town.realm.list()) expect(entry.owner).toBeNull();
    expect(await countOf(town.store)).toBe(2);
    hook.release();
    await town.end();
  });

  it("C-PER-03: passes what realms define as it came, both ways", async () => {
    const seen: string[] = [];
    const foreign = object((call) => {
      seen.push(StructReader.of(call.params.content).text(0, "nobody"));
      call.returns(new Payload(oneText("swiss number 7")));
    });
    const owner = StructReader.of(oneText("alice")).any(0);
    const ref = await save(foreign, { sealFor: owner });
    expect(seen).toEqual(["alice"]);
    // A list pointer, not a struct: what it is concerns its realm alone.
    const builder = new ContentBuilder();
    builder.root(0, 1).any(0, SturdyRef.fromText(ref.toText()).content, null);
    expect(StructReader.of(builder.finish()).text(0)).toBe("swiss number 7");
    foreign.release();
  });

  it("C-PER-03: is encoded the same by generated clients, whatever their parameters", async () => {
    const seen: Uint8Array[] = [];
    const foreign = object((call) => {
      seen.push(call.params.content.flat().bytes.slice());
      call.returns(new Payload(oneText("a text")));
    });
    await save(foreign, { sealFor: StructReader.of(oneText("alice")).any(0) });
    using typed = new (Persistent.of(Text, Text))(foreign.addRef());
    expect((await typed.save({ sealFor: "alice" })).sturdyRef).toBe("a text");
    using untyped = new (Persistent.of(AnyPointer, AnyPointer))(foreign);
    using results = await untyped.save();
    expect(results.sturdyRef.as(Text)).toBe("a text");
    expect(seen[1]).toEqual(seen[0]);
    expect(seen).toHaveLength(3);
  });

  it("C-PER-04: is a cast of any client, whatever its interface", async () => {
    const realm = new Realm<string>({ store: new MemoryTokenStore(), restore: () => null });
    const server = new CounterServer();
    using counter = serveTyped(Counter, server);
    realm.persistent(counter, "one counter");
    using cast = counter.castAs(Persistent.of(AnyPointer, AnyPointer));
    using results = await cast.save();
    expect(results.hasSturdyRef()).toBe(true);
    expect(await save(counter)).toBeInstanceOf(SturdyRef);
    // It is the object that is persistent: served once more, it is so again.
    using again = serveTyped(Counter, server);
    expect(await save(again)).toBeInstanceOf(SturdyRef);
    expect((await counter.next({ by: 2 })).value).toBe(2);
  });

  it("fails with what the call fails with", async () => {
    const hook = nullHook(processScheduler());
    expect(await failure(save(hook))).toMatchObject({ code: "null-capability" });
    hook.release();
    const stub = new RpcStub(() => 1);
    stub[Symbol.dispose]();
    expect(await failure(save(stub))).toMatchObject({ code: "capability-disposed" });
    for (const none of [{}, 1, null, new Room("not a stub")])
      expect(await failure(save(none as never))).toMatchObject({ code: "invalid-argument" });
    using any = new RpcStub(() => 1);
    const short = failure(save(any, { sealFor: new Uint8Array(31) }));
    expect(await short).toMatchObject({ code: "invalid-argument" });
  });

  it("refuses results that are no reference", async () => {
    const capability = new ContentBuilder();
    capability.root(0, 1).capability(0, 0);
    const huge = new ContentBuilder();
    huge.root(0, 1).data(0, new Uint8Array(70_000));
    for (const content of [Content.NULL, capability.finish().own(), huge.finish().own()]) {
      const hook = object((call) => call.returns(new Payload(content, [call.self.addRef()])));
      expect(await failure(save(hook))).toMatchObject({ code: "invalid-payload" });
      expect(hook.refCount).toBe(1);
      hook.release();
    }
  });

  it("is given up by a signal, and a reference that nobody got is not kept", async () => {
    let keep = (): void => {};
    const kept = new Promise<void>((resolve) => (keep = resolve));
    class Slow extends MemoryTokenStore {
      override async put(...args: Parameters<MemoryTokenStore["put"]>): Promise<void> {
        await kept;
        return super.put(...args);
      }
    }
    const store = new Slow();
    const realm = new Realm<string>({ store, restore: () => null });
    const room = new Room("lobby");
    realm.persistent(room, "lobby");
    using stub = new RpcStub(room);
    const controller = new AbortController();
    const saving = save(stub, { signal: controller.signal });
    await new Promise((resolve) => setTimeout(resolve, 0));
    controller.abort();
    expect(await failure(saving)).toMatchObject({ code: "call-canceled" });
    keep();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(store.size).toBe(0);
    const late = save(stub, { deadline: Date.now() - 1 });
    expect(await failure(late)).toMatchObject({ code: "deadline-exceeded", delivery: "not-sent" });
  });

  it("tells the caller when the store is full or fails", async () => {
    const town = new Town({ store: new MemoryTokenStore(1) });
    const house = town.guest("guest");
    {
      using room = await town.run(house.room("lobby"));
      await town.run(save(room));
      const error = await failure(town.run(save(room)));
      expect(error).toMatchObject({ type: "overloaded" });
      expect(error.message).toContain("saved references");
    }
    await town.end();
  });
});
