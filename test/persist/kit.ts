// A host with a realm of rooms, and guests that come and go.

import { expect } from "vitest";
import type { RpcError } from "../../src/base/errors.js";
import { RpcStub, RpcTarget, serve } from "../../src/cap/dynamic/index.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { HOLD, type Holder } from "../../src/hook/holder.js";
import { Payload } from "../../src/hook/payload.js";
import {
  MemoryTokenStore,
  Realm,
  type RealmOptions,
  Restorer,
  SturdyRef,
  type TokenStore,
} from "../../src/persist.js";
import { type MeshVat, TestVats } from "../../src/testing.js";
import type { Content } from "../../src/wire/content.js";
import { ContentBuilder } from "../../src/wire/struct.js";

export class Room extends RpcTarget {
  readonly posts: string[] = [];
  readonly #name: string;

  constructor(name: string) {
    super();
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  post(text: string): number {
    return this.posts.push(text);
  }
}

/** What guests begin with. */
export class House extends RpcTarget {
  readonly #town: Town;

  constructor(town: Town) {
    super();
    this.#town = town;
  }

  room(name: string): Room {
    return this.#town.room(name);
  }

  restorer(): Restorer {
    return this.#town.realm.restorer();
  }

  /** Calls nobody needs: they only take their turn. */
  note(text: string): void {
    this.#town.notes.push(text);
  }
}

export interface RoomRecord {
  readonly room: string;
}

export class Town {
  readonly net = new TestVats();
  readonly store: TokenStore;
  readonly rooms = new Map<string, Room>();
  readonly notes: string[] = [];
  readonly host: MeshVat;
  readonly realm: Realm<RoomRecord>;
  /** What the realm was asked for. */
  readonly asked: RoomRecord[] = [];
  time = 1_000_000;
  private readonly held: Disposable[] = [];
  private readonly house = new House(this);

  constructor(options: Partial<RealmOptions<RoomRecord>> = {}) {
    this.host = this.net.vat("host", {
      bootstrap: () => serve(this.house, { scheduler: this.host.scheduler }),
    });
    this.store = options.store ?? new MemoryTokenStore();
    this.realm = new Realm<RoomRecord>({
      store: this.store,
      scheduler: this.host.scheduler,
      now: () => this.time,
      restore: (record) => {
        this.asked.push(record);
        return this.rooms.get(record.room);
      },
      ...options,
    });
  }

  /** A room that can be saved. */
  room(name: string): Room {
    let room = this.rooms.get(name);
    if (room === undefined) {
      this.rooms.set(name, (room = new Room(name)));
      this.realm.persistent(room, { room: name });
    }
    return room;
  }

  /** Connects a new vat, which may offer something itself. @returns its stub of the house. */
  guest(name: string, bootstrap?: () => Hook): RpcStub<House> {
    this.net.vat(name, bootstrap && { bootstrap });
    this.net.link(name, "host", { delay: 50 });
    return this.keep(this.net.bootstrap(name, "host", RpcStub<House>));
  }

  /** The restorer, as a guest gets it. */
  async restorer(house: RpcStub<House>): Promise<Restorer> {
    using stub = await this.run(house.restorer());
    return this.keep(Restorer.of(stub));
  }

  /** To be disposed at the end. */
  keep<T extends Disposable>(one: T): T {
    this.held.push(one);
    return one;
  }

  run<T>(promise: PromiseLike<T>): Promise<T> {
    return this.net.run(promise);
  }

  /** Nothing is left. */
  async end(): Promise<void> {
    for (const one of this.held.splice(0)) one[Symbol.dispose]();
    for (let i = 0; i < 5; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(200);
    }
    this.net.assertEmpty();
  }
}

/** The error that `promise` fails with. */
export async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  return expect.fail("it did not fail");
}

/** A reference of the caller's own. */
export function hookOf(holder: Holder): Hook {
  return holder[HOLD](false);
}

/** How many entries there are. */
export async function countOf(store: TokenStore): Promise<number> {
  let count = 0;
  for await (const _ of store.list()) count++;
  return count;
}

/** A reference of this realm's form with any token. */
export function refWith(token: Uint8Array): SturdyRef {
  const builder = new ContentBuilder();
  builder.root(0, 1).data(0, token);
  return SturdyRef.of(builder.finish());
}

/** The token of a reference, as a thief would read it. */
export function tokenOf(ref: SturdyRef): Uint8Array {
  return ref.toBytes().slice(16);
}

export const PERSISTENT = [0xc8cb212f, 0xcd9f5691] as const;
export const RESTORER = [0xa116bab9, 0xfff2865e] as const;
export const PROOF = [0x9c97ff13, 0x99cf8ad2] as const;

/** Makes one call with any params at all. The payload is the caller's. */
export function rawCall(
  hook: Hook,
  [hi, lo]: readonly [number, number],
  method: number,
  params: Content,
): Promise<Payload> {
  return new Promise((resolve, reject) => {
    const results = hook.call(new CallRequest(hi, lo, method, new Payload(params)));
    results.dropPipeline();
    results.observe({
      immediate: false,
      resultsSettled(settled) {
        if (settled.error !== null) reject(settled.error);
        else resolve(settled.takePayload());
      },
    });
  });
}

/** What restoring fails with, as far as the asker can tell. */
export async function refusal(
  town: Town,
  restorer: Restorer,
  ref: SturdyRef,
): Promise<Pick<RpcError, "type" | "code" | "message" | "details" | "trace">> {
  using room = restorer.restore(ref, RpcStub<Room>);
  const { type, code, message, details, trace } = await failure(town.run(room.name));
  return { type, code, message, details, trace };
}
