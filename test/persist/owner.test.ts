// Owners: who proves to have a secret key gets what was sealed for it, and nobody else does.

import nacl from "tweetnacl";
import { describe, expect, it } from "vitest";
import { RpcStub } from "../../src/cap/dynamic/index.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import { LocalHook } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { KeyPair, MemoryTokenStore, Realm, Restorer } from "../../src/persist.js";
import type { Content } from "../../src/wire/content.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";
import { failure, hookOf, PROOF, rawCall, RESTORER, Room } from "./kit.js";

const realmOf = (keys?: KeyPair): Realm<string> =>
  new Realm<string>({
    store: new MemoryTokenStore(),
    keys,
    restore: (record, { owner }) =>
      new Room(`${record} of ${owner && Buffer.from(owner).toString("hex")}`),
  });

/** Params of identify. */
function owner(key: Uint8Array): Content {
  const builder = new ContentBuilder();
  builder.root(0, 1).struct(0, 0, 1).data(0, key);
  return builder.finish().own();
}

/** Params of prove. */
function answer(bytes: Uint8Array): Content {
  const builder = new ContentBuilder();
  builder.root(0, 1).data(0, bytes);
  return builder.finish().own();
}

/** Asks for a challenge by hand. */
async function challenge(
  restorer: Restorer,
  key: Uint8Array,
): Promise<{ box: Uint8Array; payload: Payload }> {
  const hook = hookOf(restorer);
  const payload = await rawCall(hook, RESTORER, 1, owner(key));
  hook.release();
  return { box: StructReader.of(payload.content).data(0).slice(), payload };
}

describe("an owner", () => {
  it("proves itself by opening a box; the host is told who asks", async () => {
    const realm = realmOf();
    const keys = KeyPair.generate();
    const ref = await realm.save("attic", { sealFor: keys.publicKey });
    using anyone = realm.restorer();
    const again = KeyPair.fromSecretKey(keys.revealSecretKey());
    using mine = await anyone.identify(again, realm.publicKey);
    using room = mine.restore(ref, RpcStub<Room>);
    expect(await room.name).toBe(`attic of ${Buffer.from(keys.publicKey).toString("hex")}`);
    using dup = mine.dup();
    using twice = dup.restore(ref, RpcStub<Room>);
    expect(await twice.name).toContain("attic");
  });

  it("cannot be played by who knows its public key, nor by who heard an answer before", async () => {
    const realm = realmOf();
    const keys = KeyPair.generate();
    using restorer = realm.restorer();
    const first = await challenge(restorer, keys.publicKey);
    const opened = keys.open(first.box, realm.publicKey)!;
    const right = opened.slice(-32);
    const prove = (payload: Payload, bytes: Uint8Array): Promise<Payload> =>
      rawCall(payload.caps[0]!, PROOF, 0, answer(bytes));
    const restored = await prove(first.payload, right);
    restored.release();
    // The right answer to another challenge; the same proof again; answers of all lengths.
    const second = await challenge(restorer, keys.publicKey);
    expect(Buffer.from(second.box).equals(first.box)).toBe(false);
    const wrong = [
      prove(second.payload, right),
      prove(first.payload, right),
      ...[0, 31, 33, 51].map(async (length) => {
        const { payload } = await challenge(restorer, keys.publicKey);
        return prove(payload, new Uint8Array(length)).finally(() => payload.release());
      }),
    ];
    for (const one of wrong) expect(await failure(one)).toMatchObject({ code: "identity-refused" });
    // One attempt: the right answer comes too late after a wrong one.
    const late = keys.open(second.box, realm.publicKey)!.slice(-32);
    expect(await failure(prove(second.payload, late))).toMatchObject({ code: "identity-refused" });
    const other = rawCall(first.payload.caps[0]!, PROOF, 1, answer(right));
    expect(await failure(other)).toMatchObject({ code: "method-unimplemented" });
    first.payload.release();
    second.payload.release();
  });

  it("answers the realm that it expects alone, so nobody can pass the proof on", async () => {
    const real = realmOf();
    const keys = KeyPair.generate();
    const seen: string[] = [];
    using target = real.restorer();
    const through = hookOf(target);
    // A realm of one's own that passes the challenge of another on.
    using thief = new Restorer(
      new LocalHook(
        {
          dispatch(call) {
            seen.push(
              `${call.interfaceHi === (RESTORER[0] | 0) ? "restorer" : "proof"} ${call.methodId}`,
            );
            rawCall(through, RESTORER, 1, call.params.content).then(
              (payload) => call.returns(payload),
              (error) => call.fails(error),
            );
          },
        },
        processScheduler(),
      ),
    );
    const thiefs = KeyPair.generate();
    const error = await failure(thief.identify(keys, thiefs.publicKey));
    expect(error).toMatchObject({ code: "identity-refused" });
    expect(seen).toEqual(["restorer 1"]);
    through.release();
  });

  it("is not taken in by a box of the realm's that is no challenge", async () => {
    const realmKeys = KeyPair.generate();
    const keys = KeyPair.generate();
    const give = (box: Uint8Array, withProof = true): Restorer =>
      new Restorer(
        new LocalHook(
          {
            dispatch(call) {
              if (call.interfaceHi === (PROOF[0] | 0)) return call.returns();
              const builder = new ContentBuilder();
              const root = builder.root(0, 2);
              root.data(0, box);
              if (withProof) root.capability(1, 0);
              call.returns(new Payload(builder.finish().own(), [call.self.addRef()]));
            },
          },
          processScheduler(),
        ),
      );
    const text = (prefix: string): Uint8Array =>
      new Uint8Array([...new TextEncoder().encode(prefix), ...new Uint8Array(32)]);
    const boxes: [Uint8Array, boolean][] = [
      [realmKeys.seal(text("another program 01 "), keys.publicKey), true],
      [realmKeys.seal(text("capstan restorer 1 ").subarray(1), keys.publicKey), true],
      [realmKeys.seal(text("capstan restorer 1 "), keys.publicKey), false],
      [new Uint8Array(0), true],
      [new Uint8Array(24), true],
      [new Uint8Array(1 << 20), true],
    ];
    for (const [box, withProof] of boxes) {
      using restorer = give(box, withProof);
      const error = await failure(restorer.identify(keys, realmKeys.publicKey));
      expect(error).toMatchObject({ code: "identity-refused" });
    }
    // A right challenge, and then no restorer.
    using right = give(realmKeys.seal(text("capstan restorer 1 "), keys.publicKey));
    const empty = await failure(right.identify(keys, realmKeys.publicKey));
    expect(empty).toMatchObject({ code: "invalid-payload" });
  });

  it("has a key that somebody can have", async () => {
    const realm = realmOf();
    const keys = KeyPair.generate();
    using restorer = realm.restorer();
    const hook = hookOf(restorer);
    // Points of low order: all who use them share one key.
    const low = [new Uint8Array(32), Uint8Array.from({ length: 32 }, (_, i) => (i === 0 ? 1 : 0))];
    low.push(
      Uint8Array.from(
        Buffer.from("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800", "hex"),
      ),
    );
    for (const key of [...low, new Uint8Array(31), new Uint8Array(33), new Uint8Array(0)]) {
      expect(await failure(rawCall(hook, RESTORER, 1, owner(key)))).toMatchObject({
        code: "invalid-argument",
      });
      expect(await failure(realm.save("x", { sealFor: key }))).toMatchObject({
        code: "invalid-argument",
      });
      expect(await failure(restorer.identify(keys, key))).toMatchObject({
        code: "invalid-argument",
      });
      expect(() => keys.seal(new Uint8Array(1), key)).toThrow("not a public key");
    }
    expect(() => KeyPair.fromSecretKey(new Uint8Array(31))).toThrow("not a secret key");
    hook.release();
  });

  it("is given up by a signal", async () => {
    const realm = realmOf();
    using restorer = realm.restorer();
    const signal = AbortSignal.abort();
    const error = await failure(restorer.identify(KeyPair.generate(), realm.publicKey, { signal }));
    expect(error).toMatchObject({ code: "call-canceled", delivery: "not-sent" });
  });
});

describe("a key pair", () => {
  it("does what crypto_box does, in the layout of nonce and box", () => {
    const [a, b] = [KeyPair.generate(), KeyPair.generate()];
    const message = new TextEncoder().encode("hello");
    const sealed = a.seal(message, b.publicKey);
    expect(sealed).toHaveLength(24 + 16 + 5);
    const opened = nacl.box.open(
      sealed.slice(24),
      sealed.slice(0, 24),
      a.publicKey,
      b.revealSecretKey(),
    );
    expect(opened).toEqual(message);
    expect(b.open(sealed, a.publicKey)).toEqual(message);
    expect(Buffer.from(a.seal(message, b.publicKey)).equals(sealed)).toBe(false);
    for (let i = 0; i < sealed.length; i++) {
      const bad = sealed.slice();
      bad[i]! ^= 1;
      expect(b.open(bad, a.publicKey)).toBeNull();
      expect(b.open(sealed.subarray(0, i), a.publicKey)).toBeNull();
    }
    expect(b.open(sealed, b.publicKey)).toBeNull();
    // Copies both ways.
    a.publicKey.fill(0);
    a.revealSecretKey().fill(0);
    expect(b.open(sealed, a.publicKey)).toEqual(message);
  });
});
