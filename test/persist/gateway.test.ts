// Saves that cross a membrane: what each side gets to see of the other side's references.

import { describe, expect, it } from "vitest";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import { Membrane, type MembranePolicy } from "../../src/hook/membrane.js";
import {
  KeyPair,
  MemoryTokenStore,
  Realm,
  save,
  saveGateway,
  SturdyRef,
} from "../../src/persist.js";
import { failure, Room, tokenOf } from "./kit.js";

const scheduler = processScheduler();

/** What confined code is given: it may save its room, and hand in an object of its own. */
class Box extends RpcTarget {
  readonly #room: Room;
  /** References that code inside has saved of what came from outside. */
  readonly saved: SturdyRef[] = [];

  constructor(room: Room) {
    super();
    this.#room = room;
  }

  room(): Room {
    return this.#room;
  }

  async take(stranger: RpcStub<Room>): Promise<string> {
    this.saved.push(await save(stranger));
    return this.saved.at(-1)!.toText();
  }
}

function inner(): { realm: Realm<string>; box: Box; hook: Hook } {
  const room = new Room("inner");
  const realm = new Realm<string>({ store: new MemoryTokenStore(), restore: () => room });
  realm.persistent(room, "inner");
  const box = new Box(room);
  return { realm, box, hook: serve(box) };
}

/** Whether `bytes` hold the secret of `ref`. */
const leaks = (bytes: Uint8Array, ref: SturdyRef): boolean =>
  Buffer.from(bytes).includes(Buffer.from(tokenOf(ref)));

describe("a gateway for saved references", () => {
  it("C-PER-14: a confined client gets references that its supervisor wraps, never the raw ones", async () => {
    const { realm, hook } = inner();
    const raw: SturdyRef[] = [];
    using restorer = realm.restorer();
    const supervisor = new Realm<{ inner: Uint8Array }>({
      store: new MemoryTokenStore(),
      restore: (record) => {
        using stub = restorer.restore(SturdyRef.fromBytes(record.inner), RpcStub<Room>);
        const room = serve(stub);
        const wrapped = membrane.wrap(room);
        room.release();
        return wrapped;
      },
    });
    const membrane = new Membrane(
      saveGateway({
        export: async (crossing) => {
          raw.push(await crossing.save());
          return supervisor.save({ inner: raw.at(-1)!.toBytes() });
        },
      }),
      scheduler,
    );
    {
      using confined = new RpcStub<Box>(membrane.wrap(hook));
      using room = await confined.room();
      const ref = await save(room);
      expect(raw).toHaveLength(1);
      expect(leaks(ref.toBytes(), raw[0]!)).toBe(false);
      // It is worth nothing at the realm inside, and the raw one nothing outside.
      using outside = supervisor.restorer();
      using direct = restorer.restore(ref, RpcStub<Room>);
      expect(await failure(direct.name)).toMatchObject({ code: "reference-refused" });
      // Restored, it is behind the membrane again, and what is saved of it is wrapped once more.
      using again = outside.restore(ref, RpcStub<Room>);
      expect(await again.name).toBe("inner");
      const second = await save(again);
      expect(raw).toHaveLength(2);
      expect(leaks(second.toBytes(), raw[1]!)).toBe(false);
      membrane.revoke();
      expect(await failure(save(room))).toMatchObject({ code: "capability-revoked" });
    }
    hook.release();
    expect(hook.refCount).toBe(0);
  });

  it("C-PER-13: translates saves in both directions, each by its own hook", async () => {
    const { box, hook } = inner();
    const outer = new Realm<string>({ store: new MemoryTokenStore(), restore: () => null });
    const stranger = new Room("outer");
    outer.persistent(stranger, "outer");
    const seen: string[] = [];
    const foreign: SturdyRef[] = [];
    const keep = async (made: Promise<SturdyRef>): Promise<SturdyRef> => {
      foreign.push(await made);
      return SturdyRef.fromText((await inner().realm.save("translated")).toText());
    };
    const key = KeyPair.generate().publicKey;
    const membrane = new Membrane(
      saveGateway({
        export: ({ sealFor, save: saved }) => {
          seen.push(`export ${sealFor === null ? "open" : "sealed"}`);
          return keep(saved(sealFor ?? undefined));
        },
        import: ({ sealFor, save: saved }) => {
          seen.push(`import ${sealFor === null ? "open" : "sealed"}`);
          return keep(saved(key));
        },
      }),
      scheduler,
    );
    {
      using outside = new RpcStub<Box>(membrane.wrap(hook));
      using room = await outside.room();
      const exported = [await save(room), await save(room, { sealFor: key })];
      const imported = SturdyRef.fromText(await outside.take(stranger));
      expect(seen).toEqual(["export open", "export sealed", "import open"]);
      for (const ref of [...exported, imported])
        for (const one of foreign) expect(leaks(ref.toBytes(), one)).toBe(false);
      expect(box.saved).toHaveLength(1);
      // The hook chose the owner: the caller's word is for its own realm.
      for await (const { owner } of outer.list())
        expect(owner).toBe(Buffer.from(key).toString("hex"));
    }
    hook.release();
    expect(hook.refCount).toBe(0);
  });

  it("C-PER-13: lets no reference pass where there is no translation", async () => {
    const { realm, box, hook } = inner();
    const outer = new Realm<string>({ store: new MemoryTokenStore(), restore: () => null });
    const stranger = new Room("outer");
    outer.persistent(stranger, "outer");
    const membrane = new Membrane(saveGateway({}), scheduler);
    {
      using outside = new RpcStub<Box>(membrane.wrap(hook));
      using room = await outside.room();
      expect(await failure(save(room))).toMatchObject({ code: "not-persistent" });
      const refused = await failure(outside.take(stranger));
      expect(refused.message).toContain("cannot be saved");
      expect(box.saved).toEqual([]);
      // All else passes.
      expect(await room.post("hello")).toBe(1);
    }
    for (const one of [realm, outer]) for await (const _ of one.list()) expect.fail("it was saved");
    hook.release();
  });

  it("fails a save whose translation fails, and goes along with other policies", async () => {
    const { hook } = inner();
    const gateway = saveGateway({
      export: () => {
        throw new Error("not on Sundays");
      },
    });
    const calls: number[] = [];
    const policy: MembranePolicy = {
      call: (...args) => gateway.call!(...args) ?? void calls.push(args[3]),
    };
    const membrane = new Membrane(policy, scheduler);
    {
      using outside = new RpcStub<Box>(membrane.wrap(hook));
      using room = await outside.room();
      expect((await failure(save(room))).message).toContain("Sundays");
      expect(calls).toHaveLength(1);
    }
    hook.release();
    expect(hook.refCount).toBe(0);
  });

  it("holds the object no longer than a save takes", async () => {
    const { realm } = inner();
    const room = new Room("inner");
    realm.persistent(room, "inner");
    const hook = serve(room);
    const membrane = new Membrane(
      saveGateway({ export: (crossing) => crossing.save() }),
      scheduler,
    );
    const wrapped = membrane.wrap(hook);
    await save(wrapped);
    wrapped.release();
    await new Promise((resolve) => setTimeout(resolve, 0));
    expect(hook.refCount).toBe(1);
    hook.release();
  });
});
