// Strangers at the door: references, owners and answers that are anything at all. Each is refused, and nothing is left of it.
// CAPSTAN_FUZZ_RUNS sets the number of runs of each property (500 by default), CAPSTAN_FUZZ_SEED their seed.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Hook } from "../../src/hook/hook.js";
import { KeyPair, MemoryTokenStore, Realm, SturdyRef } from "../../src/persist.js";
import { Content } from "../../src/wire/content.js";
import { ContentBuilder } from "../../src/wire/struct.js";
import { failure, hookOf, PERSISTENT, rawCall, refWith, RESTORER, Room, tokenOf } from "./kit.js";
import { serve } from "../../src/cap/dynamic/index.js";

const fuzz = {
  numRuns: Number(process.env["CAPSTAN_FUZZ_RUNS"] ?? 500),
  seed: Number(process.env["CAPSTAN_FUZZ_SEED"] ?? 7),
};
const minutes = 60_000 * (process.env["CAPSTAN_FUZZ_RUNS"] === undefined ? 1 : 120);

/** A realm with one reference, and a count of what it was asked. */
class Door {
  readonly store = new MemoryTokenStore();
  restored = 0;
  looked = 0;
  readonly realm = new Realm<string>({
    store: this.store,
    restore: () => {
      this.restored++;
      return new Room("treasure");
    },
  });
  readonly hook: Hook;
  private readonly restorer = this.realm.restorer();

  constructor() {
    const get = this.store.get.bind(this.store);
    this.store.get = (key) => {
      this.looked++;
      return get(key);
    };
    this.hook = hookOf(this.restorer);
  }

  /** Sends `params` to restore; what it fails with, as the asker sees it. */
  async refusal(params: Content): Promise<object> {
    const { type, code, message, details } = await failure(rawCall(this.hook, RESTORER, 0, params));
    return { type, code, message, details };
  }

  /** The same for what stands where a reference should. */
  refusalOf(ref: Content): Promise<object> {
    return this.refusal(restoreParams(ref));
  }

  /** Nothing but the restorer itself is held. */
  end(): void {
    this.hook.release();
    this.restorer[Symbol.dispose]();
    expect(this.hook.refCount).toBe(0);
  }
}

function restoreParams(ref: Content): Content {
  const builder = new ContentBuilder();
  builder.root(0, 1).any(0, ref, null);
  return builder.finish().own();
}

/** A content of words given as pairs of halves. */
function words(...halves: number[]): Content {
  return new Content(new Uint8Array(Uint32Array.from(halves).buffer));
}

describe("a restorer", () => {
  it("C-PER-05: fails alike for all that is no good reference, and asks the store as often", async () => {
    const door = new Door();
    const ref = await door.realm.save("treasure");
    const sealed = await door.realm.save("treasure", { sealFor: KeyPair.generate().publicKey });
    const unknown = await door.refusalOf(refWith(new Uint8Array(32).fill(1)).content);
    expect(unknown).toMatchObject({ type: "failed", code: "reference-refused" });
    const token = tokenOf(ref);
    const refs: Record<string, Content> = {
      sealed: sealed.content,
      null: Content.NULL,
      "an empty struct": Content.EMPTY_STRUCT,
      "no token": refWith(new Uint8Array(0)).content,
      "a token cut short": refWith(token.slice(0, 31)).content,
      "a token with more": refWith(new Uint8Array([...token, 0])).content,
      "a token twice": refWith(new Uint8Array([...token, ...token])).content,
      "the token bare": bare(token),
      "a huge token": refWith(new Uint8Array(65_000)).content,
      "a text": text("treasure"),
      "a list of structs": words(1, 7 | (2 << 3), 1 << 2, 0x10001, 0, 0, 0, 0),
    };
    for (const [what, one] of Object.entries(refs)) {
      const before = door.looked;
      expect(await door.refusalOf(one), what).toEqual(unknown);
      expect(door.looked - before, what).toBe(1);
    }
    // What cannot even be written as a value: params that are wrong themselves.
    const params: Record<string, Content> = {
      nothing: Content.NULL,
      "an empty struct": Content.EMPTY_STRUCT,
      "a struct behind its end": words(0, 0x10000, 400, 0x10000),
      "a struct in itself": words(0, 0x10000, -4, 0x10000),
      "a capability": words(0, 0x10000, 3, 0),
      "a list for a struct": words(1, 2 | (8 << 3), 0, 0),
      "a far pointer": words(0, 0x10000, 2, 9),
      "a huge token": restoreParams(refWith(new Uint8Array(60_000)).content),
    };
    for (const [what, one] of Object.entries(params)) {
      const before = door.looked;
      expect(await door.refusal(one), what).toEqual(unknown);
      expect(door.looked - before, what).toBe(1);
    }
    await door.realm.revoke(ref);
    expect(await door.refusalOf(ref.content)).toEqual(unknown);
    expect(door.restored).toBe(0);
    door.end();
  });

  it("C-PER-07: takes no token that differs in one bit", async () => {
    const door = new Door();
    const ref = await door.realm.save("treasure");
    const token = tokenOf(ref);
    for (let bit = 0; bit < 256; bit++) {
      const wrong = token.slice();
      wrong[bit >> 3]! ^= 1 << (bit & 7);
      expect(await door.refusalOf(refWith(wrong).content)).toMatchObject({
        code: "reference-refused",
      });
    }
    expect(door.restored).toBe(0);
    (await rawCall(door.hook, RESTORER, 0, restoreParams(ref.content))).release();
    expect(door.restored).toBe(1);
    door.end();
  });

  it("takes no token of many megabytes for one", async () => {
    const door = new Door();
    const builder = new ContentBuilder();
    builder
      .root(0, 1)
      .struct(0, 0, 1)
      .dataByReference(0, new Uint8Array(32 << 20));
    expect(await door.refusal(builder.finish().own())).toMatchObject({ code: "reference-refused" });
    door.end();
  });

  it("restores nothing for random params", { timeout: minutes }, async () => {
    const door = new Door();
    const good = restoreParams((await door.realm.save("treasure")).content).bytes;
    const unknown = await door.refusal(Content.NULL);
    const one = async (content: Content): Promise<void> => {
      const before = door.restored;
      try {
        (await rawCall(door.hook, RESTORER, 0, content)).release();
        // A change that left the token alone: padding, or a size that says the same.
        expect(door.restored).toBe(before + 1);
      } catch (error) {
        expect(error).toMatchObject(unknown);
        expect(door.restored).toBe(before);
      }
    };
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 30 }), (halves) =>
        one(words(...(halves.length % 2 === 0 ? halves : [...halves, 0]))),
      ),
      fuzz,
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = good.slice();
          for (const [at, value] of changes) bytes[at] = value;
          return one(new Content(bytes));
        },
      ),
      fuzz,
    );
    expect(door.store.size).toBe(1);
    door.end();
  });

  it("survives random owners, and saves for random ones", { timeout: minutes }, async () => {
    const door = new Door();
    const room = new Room("treasure");
    door.realm.persistent(room, "treasure");
    const saver = serve(room);
    const attempt = async (work: Promise<{ release(): void }>): Promise<void> => {
      try {
        (await work).release();
      } catch (error) {
        expect(
          RpcError.is(error) && ["invalid-payload", "invalid-argument"].includes(error.code),
        ).toBe(true);
      }
    };
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(0xffff_ffff), { minLength: 1, maxLength: 30 }),
        async (halves) => {
          const content = words(...(halves.length % 2 === 0 ? halves : [...halves, 0]));
          await attempt(rawCall(door.hook, RESTORER, 1, content));
          await attempt(rawCall(saver, PERSISTENT, 0, content));
        },
      ),
      { ...fuzz, numRuns: fuzz.numRuns / 5 },
    );
    saver.release();
    door.end();
  });
});

describe("the parser of references", () => {
  const refused = (act: () => SturdyRef): SturdyRef | null => {
    try {
      return act();
    } catch (error) {
      if (RpcError.is(error) && error.code === "invalid-payload") return null;
      throw error;
    }
  };

  it("takes bytes and texts that it gave, and says what is wrong with others", () => {
    const ref = refWith(Uint8Array.from({ length: 32 }, (_, i) => i));
    const bytes = ref.toBytes();
    const textual = ref.toText();
    expect(SturdyRef.fromBytes(bytes).toBytes()).toEqual(bytes);
    expect(SturdyRef.fromText(textual).toBytes()).toEqual(bytes);
    bytes.fill(0);
    expect(ref.toText()).toBe(textual);
    const wrongBytes = [
      [],
      [1],
      new Array(8).fill(0),
      new Array(16).fill(0xff),
      new Array(70_000).fill(0),
    ];
    for (const wrong of wrongBytes)
      expect(() => SturdyRef.fromBytes(Uint8Array.from(wrong as number[]))).toThrow(RpcError);
    const wrongTexts = [
      "",
      "A",
      `${textual}A`,
      textual.slice(1),
      `${textual}=`,
      ` ${textual}`,
      `${textual}\n`,
    ];
    wrongTexts.push(
      textual.replace(/^./, "+"),
      "é".repeat(64),
      "A".repeat(1 << 20),
      textual.slice(0, -1),
    );
    for (const wrong of wrongTexts)
      expect(() => SturdyRef.fromText(wrong)).toThrow("not a saved reference");
    // Of 16 bytes the last letter has four bits that mean nothing: they must be as they were given.
    const short = SturdyRef.of(text("secret")).toText();
    expect(short).toHaveLength(22);
    expect(SturdyRef.fromText(short).toText()).toBe(short);
    const odd = short.slice(0, -1) + String.fromCharCode(short.charCodeAt(21) + 1);
    expect(() => SturdyRef.fromText(odd)).toThrow("not a saved reference");
    // No secret is in what it says of a text that is nearly one.
    try {
      SturdyRef.fromText(`${textual}=`);
    } catch (error) {
      expect((error as Error).message).not.toContain(textual.slice(20, 40));
    }
  });

  it("holds no capability: what came with a message stays there", () => {
    const builder = new ContentBuilder();
    const root = builder.root(0, 2);
    root.capability(0, 5);
    root.data(1, new Uint8Array(32));
    const bytes = SturdyRef.of(builder.finish()).toBytes();
    expect([...bytes.subarray(8, 16)]).toEqual(new Array(8).fill(0));
  });

  it(
    "is total: any bytes and any text give a reference that reads the same again, or the error",
    { timeout: minutes },
    () => {
      let taken = 0;
      const check = (ref: SturdyRef | null): void => {
        if (ref === null) return;
        taken++;
        expect(SturdyRef.fromBytes(ref.toBytes()).toText()).toBe(ref.toText());
        expect(SturdyRef.fromText(ref.toText()).toBytes()).toEqual(ref.toBytes());
      };
      const valid = refWith(new Uint8Array(32)).toBytes();
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) =>
          check(refused(() => SturdyRef.fromBytes(bytes))),
        ),
        fuzz,
      );
      fc.assert(
        fc.property(
          fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { maxLength: 5 }),
          (changes) => {
            const bytes = valid.slice();
            for (const [at, value] of changes) bytes[at] = value;
            check(refused(() => SturdyRef.fromBytes(bytes)));
          },
        ),
        fuzz,
      );
      fc.assert(
        fc.property(fc.string(), (one) => check(refused(() => SturdyRef.fromText(one)))),
        fuzz,
      );
      fc.assert(
        fc.property(fc.stringMatching(/^[A-Za-z0-9_-]{0,88}$/), (one) =>
          check(refused(() => SturdyRef.fromText(one))),
        ),
        fuzz,
      );
      expect(taken).toBeGreaterThan(fuzz.numRuns / 10);
    },
  );
});

function text(value: string): Content {
  return bare(new TextEncoder().encode(`${value}\0`));
}

/** A pointer to a list of bytes. */
function bare(bytes: Uint8Array): Content {
  const padded = new Uint8Array(8 + ((bytes.length + 7) & -8));
  padded[0] = 1;
  new DataView(padded.buffer).setUint32(4, 2 | (bytes.length << 3), true);
  padded.set(bytes, 8);
  return new Content(padded);
}
