// Role: what a realm knows of saved references, in the store of a host: a TokenStore in the same transactions as all else.
// State: none but in the store. Must not know: tokens, realms, objects.
//
// The keys of the table, behind its first byte (storage/keys.ts):
//   01 hash                entry: a byte that says whether there are an owner and a time, those, the record
//   02 length owner hash   the entries of one owner
//   03 time hash           those that expire, in order of time
//   04                     how many there are
// A saved reference holds whom it leads to, as a node of the host whose id is the hash: who holds an object is found with one range,
// whatever it is held by, and for the collector it is a root.

import { invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import type { TokenEntry, TokenStore } from "../../persist/token-store.js";
import { after, ID_BYTES, join, KIND_VALUE, savedKey } from "../storage/keys.js";
import {
  type Bytes,
  type DerivedWrite,
  type Entry,
  type Store,
  storeFailure,
  type View,
  type Write,
} from "../storage/store.js";
import type { LiveRoots } from "../collect/live-roots.js";
import { holdingWrite, pages, savedHolder } from "./holdings.js";

const ENTRIES = [1];
const OWNED = [2];
const EXPIRING = [3];
const COUNT = savedKey([4]);

const WITH_OWNER = 1;
const WITH_TIME = 2;
const TIME_BYTES = 8;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Whom a record leads to, as nodes, each once and in order. It does not throw. */
export type Leads = (record: Bytes) => readonly Bytes[];

export class SavedStore implements TokenStore {
  private readonly store: Store;
  private readonly leads: Leads;
  private readonly most: number;
  private readonly roots: LiveRoots;

  /** @param most entries; one more is refused. */
  constructor(store: Store, leads: Leads, most: number, roots: LiveRoots) {
    this.store = store;
    this.roots = roots;
    this.leads = leads;
    this.most = most;
  }

  /** @throws RpcError limit-exceeded; invalid-argument for a key that is no hash (as a rejection). */
  async put(key: string, entry: TokenEntry): Promise<void> {
    const hash = hashOf(key);
    if (hash === null) throw invalidArgument("a key is 64 hexadecimal digits");
    const value = entryBytes(entry);
    const nodes = this.leads(entry.record);
    let full = false;
    const held = this.roots.hold(nodes);
    await this.write({
      derive: (view) => {
        const old = view.get(entryKey(hash));
        const count = countIn(view);
        full = old === undefined && count >= this.most;
        if (full) return [];
        return [
          ...(old === undefined
            ? [countWrite(count + 1)]
            : indexWrites(hash, readEntry(old), false)),
          { key: entryKey(hash), value },
          ...indexWrites(hash, entry, true),
          holdingWrite(savedHolder(hash), [{ kind: KIND_VALUE, key: NOTHING, nodes }]),
        ];
      },
    }).finally(() => held?.());
    if (!full) return;
    const message = `there are ${this.most} saved references: revoke some, or let them expire`;
    throw new RpcError("overloaded", "limit-exceeded", message);
  }

  async get(key: string): Promise<TokenEntry | undefined> {
    const hash = hashOf(key);
    const found = hash === null ? undefined : await this.read(() => this.store.get(entryKey(hash)));
    return found === undefined ? undefined : readEntry(found);
  }

  async delete(key: string): Promise<boolean> {
    const hash = hashOf(key);
    if (hash === null) return false;
    return (await this.deleteAll((view) => (view.get(entryKey(hash)) ? [hash] : []))) > 0;
  }

  deleteOwned(owner: string): Promise<number> {
    return this.deleteAll((view) => view.range(ownedRange(owner)).map(hashAtEnd));
  }

  deleteExpired(now: number): Promise<number> {
    const to = savedKey(EXPIRING, timeBytes(now + 1));
    return this.deleteAll((view) =>
      view
        .range({ from: savedKey(EXPIRING), to })
        .map(hashAtEnd)
        .filter((hash) => {
          const { expires } = readEntry(view.get(entryKey(hash))!);
          return expires !== null && expires <= now;
        }),
    );
  }

  async *list(owner?: string): AsyncIterable<readonly [string, TokenEntry]> {
    const prefix = savedKey(ENTRIES);
    const range = owner === undefined ? { from: prefix, to: after(prefix) } : ownedRange(owner);
    for await (const found of pages(this.store, range)) {
      const hash = hashAtEnd(found);
      const entry =
        owner === undefined ? found.value : await this.read(() => this.store.get(entryKey(hash)));
      if (entry !== undefined) yield [hex(hash), readEntry(entry)];
    }
  }

  private async deleteAll(find: (view: View) => readonly Bytes[]): Promise<number> {
    let count = 0;
    await this.write({
      derive: (view) => {
        const hashes = find(view);
        count = hashes.length;
        if (count === 0) return [];
        return [
          ...hashes.flatMap((hash): Write[] => [
            { key: entryKey(hash), value: null },
            ...indexWrites(hash, readEntry(view.get(entryKey(hash))!), false),
            holdingWrite(savedHolder(hash), [{ kind: KIND_VALUE, key: NOTHING, nodes: [] }]),
          ]),
          countWrite(countIn(view) - count),
        ];
      },
    });
    return count;
  }

  private async write(write: DerivedWrite): Promise<void> {
    await this.read(() => this.store.write([write]).flushed);
  }

  private async read<T>(read: () => T | Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (thrown) {
      throw storeFailure(thrown);
    }
  }
}

/** By what an entry is found beside its hash. @param there whether it is to be found. */
function indexWrites(hash: Bytes, { owner, expires }: TokenEntry, there: boolean): Write[] {
  const value = there ? NOTHING : null;
  const writes: Write[] = [];
  if (owner !== null) writes.push({ key: join(ownedRange(owner).from, hash), value });
  if (expires !== null) writes.push({ key: savedKey(EXPIRING, timeBytes(expires), hash), value });
  return writes;
}

function entryKey(hash: Bytes): Bytes {
  return savedKey(ENTRIES, hash);
}

function ownedRange(owner: string): { from: Bytes; to: Bytes } {
  const text = encoder.encode(owner);
  const from = savedKey(OWNED, lengthBytes(text), text);
  return { from, to: after(from) };
}

function hashAtEnd({ key }: Entry): Bytes {
  return key.slice(key.length - ID_BYTES);
}

function entryBytes({ record, owner, expires }: TokenEntry): Bytes {
  const text = owner === null ? null : encoder.encode(owner);
  const time = new Uint8Array(expires === null ? 0 : TIME_BYTES);
  if (expires !== null) new DataView(time.buffer).setFloat64(0, expires);
  const flags = (text === null ? 0 : WITH_OWNER) | (expires === null ? 0 : WITH_TIME);
  const owned = text === null ? NOTHING : join(lengthBytes(text), text);
  return join([flags], owned, time, record);
}

function readEntry(bytes: Bytes): TokenEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const flags = bytes[0]!;
  let at = 1;
  let owner: string | null = null;
  if ((flags & WITH_OWNER) !== 0) {
    const start = at + 2;
    at = start + view.getUint16(at);
    owner = decoder.decode(bytes.subarray(start, at));
  }
  let expires: number | null = null;
  if ((flags & WITH_TIME) !== 0) {
    expires = view.getFloat64(at);
    at += TIME_BYTES;
  }
  return { record: Uint8Array.from(bytes.subarray(at)), owner, expires };
}

function countIn(view: View): number {
  const bytes = view.get(COUNT);
  return bytes === undefined
    ? 0
    : new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(0);
}

function countWrite(count: number): Write {
  const value = new Uint8Array(4);
  new DataView(value.buffer).setUint32(0, count);
  return { key: COUNT, value };
}

function lengthBytes({ length }: Bytes): Bytes {
  return Uint8Array.of(length >> 8, length & 0xff);
}

function timeBytes(time: number): Bytes {
  const bytes = new Uint8Array(TIME_BYTES);
  const whole = Math.min(Math.max(0, Math.floor(time)), Number.MAX_SAFE_INTEGER);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(whole));
  return bytes;
}

/** Null for what is no key: nothing is kept under it. */
function hashOf(key: string): Bytes | null {
  if (!/^[0-9a-f]{64}$/.test(key)) return null;
  return Uint8Array.from(key.match(/../g)!, (pair) => parseInt(pair, 16));
}

function hex(bytes: Bytes): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

const NOTHING = new Uint8Array();
