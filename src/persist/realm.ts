// Role: makes objects of this vat persistent: gives out tokens for them, and gives them back for tokens.
// State: its keys; the rest is in the store. Must not know: what objects are, where entries are kept, connections.
//
// A token is 256 random bits, and the store knows its hash alone: who reads the store can restore nothing, and how long a
// lookup takes says nothing of how close a guess was (C-PER-07). One that is no good takes the same way as one that is
// unknown, as far as the store, and fails with the same error.

import nacl from "tweetnacl";
import { invalidArgument, wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Scheduler } from "../base/scheduler.js";
import { serve } from "../cap/dynamic/stub.js";
import type { StubOptions } from "../cap/dynamic/terms.js";
import { DEFAULT_VALUE_LIMITS, decodeValue, encodeValue } from "../cap/dynamic/values/index.js";
import { processScheduler } from "../cap/scheduler.js";
import { serveBeside } from "../hook/beside.js";
import { Hook } from "../hook/hook.js";
import { HOLD, holderOf } from "../hook/holder.js";
import { type LocalCall, LocalHook } from "../hook/local.js";
import { Payload } from "../hook/payload.js";
import { PromiseHook } from "../hook/promise.js";
import type { Content } from "../wire/content.js";
import { hex, KeyPair, randomBytes } from "./keys.js";
import {
  METHOD_SAVE,
  PERSISTENT_HI,
  PERSISTENT_LO,
  readOwner,
  readSaveParams,
  refOfToken,
  refused,
  saveResults,
  tokenIn,
} from "./protocol.js";
import { type Redeemer, RestorerServer } from "./restorer-server.js";
import { Restorer } from "./restorer.js";
import { ownerContent, type SealFor } from "./save.js";
import { contentOf, type SturdyRef } from "./sturdy-ref.js";
import type { TokenEntry, TokenStore } from "./token-store.js";

/** Bytes of a token. */
const TOKEN_BYTES = 32;
/** What {@link keyOf} gives. */
const ENTRY_ID = /^[0-9a-f]{64}$/;
/** Takes the place of a token that is none. Nothing was ever saved under it. */
const NO_TOKEN = /* @__PURE__ */ new Uint8Array(TOKEN_BYTES);

/** Who asks for an object, and how long. */
export interface RestoreContext {
  /** The public key that the asker has proved to own; null: nothing is known of it. */
  readonly owner: Uint8Array | null;
  /** Aborts when the asker has given up. */
  readonly signal: AbortSignal;
}

/** How long a reference is good. */
export interface Lifetime {
  /** Milliseconds from when it is saved, more than 0; default: that of the realm, which is for ever unless it says otherwise. */
  readonly lifetime?: number | undefined;
}

/** How a {@link Realm} works. `types` and `limits` hold for its records and for the objects it serves. */
export interface RealmOptions<R> extends StubOptions, Lifetime {
  readonly store: TokenStore;
  /**
   * Finds the object of a record, or makes it anew. Asked at each restoring, so it is the place to say that an object is
   * gone: by null, which is told apart from no other refusal, or by an error, which reaches who asked. The same object for
   * the same record, as long as it lives, is one object at the other side too (C-PER-10).
   *
   * @returns a target, a function, a stub, a client or a hook; the last three are given away, so `dup()` what is kept.
   */
  restore(record: R, context: RestoreContext): unknown;
  /** Who the realm is to owners; default: new ones, known to nobody. Store them where references are sealed for owners. */
  readonly keys?: KeyPair | undefined;
  /** The time, in milliseconds since the epoch; by default that of the system. */
  readonly now?: (() => number) | undefined;
}

/** A reference as its realm knows it: all but the secret. */
export interface SavedEntry<R> {
  /** Names it for {@link Realm.revoke}. */
  readonly id: string;
  readonly record: R;
  /** The owner's public key in hexadecimal; null: whoever has the reference. */
  readonly owner: string | null;
  /** Milliseconds since the epoch; null: never. */
  readonly expires: number | null;
}

/**
 * Objects that can be saved, and found again. An object is saved as a record: any value that says how to find or to make it.
 *
 * @typeParam R what records are: values without references.
 * @example
 * const realm = new Realm<{ room: string }>({ store, keys, restore: ({ room }) => rooms.get(room) });
 * realm.persistent(lobby, { room: "lobby" });
 * const listener = await listen("unix:/run/rooms", { bootstrap: realm.restorer() });
 * Source: C-PER-05, C-PER-07.
 */
export class Realm<R = unknown> implements Redeemer {
  readonly keys: KeyPair;
  private readonly options: RealmOptions<R>;
  private readonly scheduler: Scheduler;
  private readonly now: () => number;

  /** @throws RpcError invalid-argument, naming the option. */
  constructor(options: RealmOptions<R>) {
    checkOptions(options);
    this.options = options;
    this.keys = options.keys ?? KeyPair.generate();
    this.scheduler = options.scheduler ?? processScheduler();
    this.now = options.now ?? Date.now;
  }

  /** What owners know the realm by. */
  get publicKey(): Uint8Array {
    return this.keys.publicKey;
  }

  /**
   * Makes an object answer `Persistent.save`, through every reference to it that there is or will be, for as long as it
   * lives. Whoever can call it can save it then; what is not to be saved by all is handed out behind a {@link saveGateway}.
   *
   * @param object of this vat: a target, a function, what implements a typed interface; or a stub or client of one.
   * @param record as of now; a later call replaces it for references not saved yet.
   * @throws RpcError unsendable-value for a record that holds references; invalid-argument for a stub of anything else, and for a
   *   lifetime that is none.
   */
  persistent(object: object, record: R, options: Lifetime = {}): void {
    checkLifetime(options.lifetime);
    const bytes = this.encode(record);
    serveBeside(selfOf(object), (call) => this.takeSave(call, bytes, options));
  }

  /**
   * For a `Server` of one's own: answers a call of `Persistent.save` for a record. @returns whether it was one.
   * @example dispatch(call) { if (!realm.serveSave(call, { file: this.path })) ... }
   */
  serveSave(call: LocalCall, record: R, options: Lifetime = {}): boolean {
    return this.takeSave(call, this.encode(record), options);
  }

  /**
   * A new reference for a record, without an object.
   * @throws RpcError unsendable-value; invalid-argument for an owner or a lifetime that is none; what the store fails with.
   */
  async save(
    record: R,
    options: Lifetime & { readonly sealFor?: SealFor | undefined } = {},
  ): Promise<SturdyRef> {
    const { ref } = await this.keep(this.encode(record), ownerContent(options.sealFor), options);
    return ref;
  }

  /** A restorer of this realm, to be offered or handed out; disposed by whoever holds it. */
  restorer(): Restorer {
    return new Restorer(new LocalHook(new RestorerServer(this, null), this.scheduler));
  }

  /**
   * Finds what an old peer names in its Bootstrap by a reference of this realm: for the session option `restorer`.
   * @example listen(address, { restorer: (id) => realm.restoreObjectId(id) })
   * Source: C-PER-06.
   */
  restoreObjectId(objectId: Content): Hook {
    const promise = new PromiseHook(this.scheduler);
    this.redeem(tokenIn(objectId), null, new AbortController().signal).then(
      (hook) => promise.resolve(hook),
      (error: unknown) => promise.reject(RpcError.from(error)),
    );
    return promise;
  }

  /**
   * Ends a reference: it restores nothing any more. What was restored by it stays.
   * @param ref the reference, or the `id` of its entry; of a text make a reference by `SturdyRef.fromText`.
   * @returns whether there was one.
   * @throws RpcError invalid-argument for anything else; what the store fails with (as rejections).
   */
  async revoke(ref: SturdyRef | string): Promise<boolean> {
    if (typeof ref !== "string") return this.options.store.delete(keyOf(tokenIn(contentOf(ref))));
    if (ENTRY_ID.test(ref)) return this.options.store.delete(ref);
    const message =
      "this string is not the id of an entry, which has 64 hexadecimal digits: of the text of a reference make one by SturdyRef.fromText";
    throw invalidArgument(message);
  }

  /**
   * Ends all references of one owner.
   *
   * @returns how many there were.
   * @throws RpcError invalid-argument for what is no public key; what the store fails with (as rejections).
   */
  async revokeOwner(publicKey: Uint8Array): Promise<number> {
    this.keys.check(publicKey);
    return this.options.store.deleteOwned(hex(publicKey));
  }

  /** Forgets what has expired: refused it is without this. @returns how many there were. */
  sweep(): Promise<number> {
    return this.options.store.deleteExpired(this.now());
  }

  /** All references, or those of one owner. @throws RpcError invalid-argument for what is no public key (as a rejection). */
  async *list(owner?: Uint8Array): AsyncIterable<SavedEntry<R>> {
    if (owner !== undefined) this.keys.check(owner);
    const entries = this.options.store.list(owner && hex(owner));
    for await (const [id, entry] of entries)
      yield { ...entry, id, record: this.decode(entry.record) };
  }

  /** Of restorers. @throws RpcError reference-refused; what `restore` throws. */
  async redeem(token: Uint8Array, owner: Uint8Array | null, signal: AbortSignal): Promise<Hook> {
    const entry = await this.options.store.get(keyOf(token));
    if (entry === undefined || !this.isGood(entry, owner)) throw refused();
    const restored = await this.options.restore(this.decode(entry.record), { owner, signal });
    if (typeof restored !== "object" && typeof restored !== "function") throw refused();
    if (restored === null) throw refused();
    if (restored instanceof Hook) return restored;
    return holderOf(restored)?.[HOLD](true) ?? serve(restored, this.options);
  }

  private isGood(entry: TokenEntry, owner: Uint8Array | null): boolean {
    const expired = entry.expires !== null && entry.expires <= this.now();
    const foreign = entry.owner !== null && (owner === null || entry.owner !== hex(owner));
    return !expired && !foreign;
  }

  private async keep(
    record: Uint8Array,
    sealFor: Content | null,
    { lifetime = this.options.lifetime }: Lifetime,
  ): Promise<{ ref: SturdyRef; key: string }> {
    checkLifetime(lifetime);
    const owner = sealFor && readOwner(sealFor);
    if (owner !== null) this.keys.check(owner);
    const token = randomBytes(TOKEN_BYTES);
    const key = keyOf(token);
    const expires = lifetime === undefined ? null : this.now() + lifetime;
    await this.options.store.put(key, { record, owner: owner && hex(owner), expires });
    return { ref: refOfToken(token), key };
  }

  private takeSave(call: LocalCall, record: Uint8Array, options: Lifetime): boolean {
    const { interfaceHi, interfaceLo, methodId } = call;
    if (interfaceHi !== PERSISTENT_HI || interfaceLo !== PERSISTENT_LO || methodId !== METHOD_SAVE)
      return false;
    this.keep(record, readSaveParams(call.params.content), options)
      .then(({ ref, key }) => {
        // Nobody will ever have it.
        if (call.canceled) void this.revoke(key).catch(() => {});
        call.returns(new Payload(saveResults(ref)));
      })
      .catch((error: unknown) => call.fails(RpcError.from(error)));
    return true;
  }

  private encode(record: R): Uint8Array {
    const options = { root: "record", ...(this.options.types && { types: this.options.types }) };
    return encodeValue(record, { reference: () => undefined }, options);
  }

  private decode(record: Uint8Array): R {
    const options = this.options.types && { types: this.options.types };
    return decodeValue(record, NO_REFERENCES, DEFAULT_VALUE_LIMITS, options) as R;
  }
}

function checkOptions<R>(options: RealmOptions<R> | undefined): void {
  const { store, restore, lifetime }: Partial<RealmOptions<R>> = options ?? {};
  if (typeof store?.put !== "function")
    throw wrongArgument("store of a Realm must be a TokenStore, as new MemoryTokenStore()", store);
  if (typeof restore !== "function")
    throw wrongArgument("restore of a Realm must be a function", restore);
  checkLifetime(lifetime);
}

/** Whatever is no number would never be over. @throws RpcError invalid-argument. */
function checkLifetime(lifetime: number | undefined): void {
  if (lifetime === undefined || (Number.isFinite(lifetime) && lifetime > 0)) return;
  const wanted = "lifetime must be milliseconds, more than 0, or left out";
  throw wrongArgument(wanted, lifetime);
}

const NO_REFERENCES = {
  revive(): never {
    throw new RpcError("failed", "invalid-payload", "a record holds no references");
  },
};

/** Where the entry of a token is. What is no token has a place too, with nothing in it. */
function keyOf(token: Uint8Array): string {
  return hex(nacl.hash(token.length === TOKEN_BYTES ? token : NO_TOKEN).subarray(0, 32));
}

/** The user's object behind `object`, if that is a reference. @throws RpcError invalid-argument for one of elsewhere. */
function selfOf(object: object): object {
  const hook = object instanceof Hook ? object.addRef() : holderOf(object)?.[HOLD](false);
  if (hook === undefined) return object;
  const end = hook.resolved();
  hook.release();
  if (end instanceof LocalHook && end.server.self) return end.server.self;
  const message =
    "only an object of this vat can be made persistent: a target, a function, or what implements a typed interface";
  throw invalidArgument(message);
}
