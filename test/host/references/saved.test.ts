// Saved references of a host's objects: saved over a connection, restored by another after the host was started anew.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, expect, it } from "vitest";
import {
  DurableObject,
  type Host,
  MemoryStore,
  type Namespace,
  openLmdbStore,
  restore,
  type Store,
} from "../../../src/host.node.js";
import { holdersOfNode } from "../../../src/host/references/holdings.js";
import { namespaceBytes, nodeOf } from "../../../src/host/storage/keys.js";
import { evict, VirtualClock } from "../../../src/host/testing.js";
import { connect, listen, RpcStub, RpcTarget, serve } from "../../../src/node.js";
import { KeyPair, Restorer, save, type SturdyRef } from "../../../src/persist.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { awaited, testHost } from "../kit.js";

class Account extends DurableObject<{ ACCOUNTS: Namespace<Account> }> {
  async deposit(amount: number): Promise<number> {
    const balance = ((await this.ctx.storage.get<number>("balance")) ?? 0) + amount;
    void this.ctx.storage.put("balance", balance);
    return balance;
  }
  restorer(): Restorer {
    return this.ctx.restorer();
  }
  viewer(currency: string): RpcStub<Viewer> {
    return this.ctx.facet<Viewer>({ currency });
  }
  async [restore]({ currency }: { currency: string }): Promise<Viewer> {
    return new Viewer(async () => `${await this.deposit(0)} ${currency}`);
  }
}

class Viewer extends RpcTarget {
  readonly #read: () => Promise<string>;
  constructor(read: () => Promise<string>) {
    super();
    this.#read = read;
  }
  read(): Promise<string> {
    return this.#read();
  }
}

type Bank = Host<{ ACCOUNTS: typeof Account }>;

class Front extends RpcTarget {
  readonly #bank: Bank;
  constructor(bank: Bank) {
    super();
    this.#bank = bank;
  }
  account(name: string): RpcStub<Account> {
    return this.#bank.env.ACCOUNTS.getByName(name);
  }
  restorer(): Restorer {
    return this.#bank.saved.restorer();
  }
}

const cleanUps: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

/** A host with a listener, and a connection to it. */
async function open(store: Store, clock = new VirtualClock()) {
  const before = resources();
  const bank: Bank = await testHost({ ACCOUNTS: Account }, { store, clock });
  const listener = await listen("tcp://127.0.0.1:0", { bootstrap: serve(new Front(bank)) });
  const session = await connect(listener.url);
  const front = session.bootstrap(RpcStub<Front>);
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await session.close();
    await listener.close();
    await bank.close();
    await expectNoResidue(before);
  };
  cleanUps.push(close);
  const restorer = async (): Promise<Restorer> => {
    const found = Restorer.of(front.restorer());
    cleanUps.push(() => found[Symbol.dispose]());
    return found;
  };
  return { bank, front, restorer, close, clock };
}

const balance = async (restorer: Restorer, ref: SturdyRef): Promise<number> => {
  using account = restorer.restore(ref, RpcStub<Account>);
  return await account.deposit(0);
};

it("objects and facets are saved over a connection, and restored from the disk by another host", async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-sturdy-"));
  cleanUps.push(() => fs.rmSync(directory, { recursive: true, force: true }));
  const first = await open(await openLmdbStore(directory));
  using account = await first.front.account("ann");
  await account.deposit(7);
  const ref = await save(account);
  using viewer = await account.viewer("crowns");
  const viewing = await save(viewer);
  const key = first.bank.saved.publicKey;
  await first.close();

  const second = await open(await openLmdbStore(directory));
  expect(second.bank.saved.publicKey).toEqual(key);
  const restorer = await second.restorer();
  expect(second.bank.activeObjects).toBe(0);
  expect(await balance(restorer, ref)).toBe(7);
  using again = restorer.restore(viewing, RpcStub<Viewer>);
  expect(await again.read()).toBe("7 crowns");
  await expect(awaited((again as unknown as RpcStub<Account>).deposit(1))).rejects.toThrow(
    /no member/,
  );
  // What was restored can be saved again, and is as little as it was.
  const resaved = await save(again);
  using third = restorer.restore(resaved, RpcStub<Viewer>);
  expect(await third.read()).toBe("7 crowns");
});

it("they are revoked one by one, by owner, and by time; and are listed without being restored", async () => {
  const { front, restorer, bank, clock } = await open(new MemoryStore());
  const [alice, bob] = [KeyPair.generate(), KeyPair.generate()];
  using account = await front.account("ann");
  const anyone = await restorer();
  const open1 = await save(account);
  const hers = await save(account, { sealFor: alice.publicKey });
  const his = await save(account, { sealFor: bob.publicKey });
  using viewer = await account.viewer("crowns");
  const view = await save(viewer, { sealFor: alice.publicKey });

  using alices = await anyone.identify(alice, bank.saved.publicKey);
  using bobs = await anyone.identify(bob, bank.saved.publicKey);
  const refused = expect.objectContaining({
    message: expect.stringContaining("not accepted") as string,
  }) as Error;
  expect(await balance(alices, hers)).toBe(0);
  await expect(balance(anyone, hers)).rejects.toEqual(refused);
  await expect(balance(alices, his)).rejects.toEqual(refused);

  const list = async (owner?: Uint8Array) => {
    const found = [];
    for await (const { namespace, object, facet } of bank.saved.list(owner))
      found.push([namespace, object === bank.env.ACCOUNTS.idFromName("ann").toString(), facet]);
    return found;
  };
  expect(await list()).toHaveLength(4);
  const ofAlice = await list(alice.publicKey);
  expect(ofAlice).toHaveLength(2);
  for (const facet of [false, true]) expect(ofAlice).toContainEqual(["ACCOUNTS", true, facet]);
  expect(await bank.saved.revoke(open1)).toBe(true);
  expect(await bank.saved.revoke(open1)).toBe(false);
  await expect(balance(anyone, open1)).rejects.toEqual(refused);
  expect(await bank.saved.revokeOwner(alice.publicKey)).toBe(2);
  await expect(balance(alices, hers)).rejects.toEqual(refused);
  using gone = alices.restore(view, RpcStub<Viewer>);
  await expect(awaited(gone.read())).rejects.toEqual(refused);
  expect(await balance(bobs, his)).toBe(0);
  expect(await bank.saved.sweep()).toBe(0);
  expect(await list()).toHaveLength(1);
  expect(clock.now).toBeGreaterThan(0);
});

it("each holds its object, until it is revoked: a root among the holders", async () => {
  const store = new MemoryStore();
  const { front, bank } = await open(store);
  using account = await front.account("ann");
  const node = nodeOf(namespaceBytes("ACCOUNTS"), bank.env.ACCOUNTS.idFromName("ann")._bytes);
  const ref = await save(account);
  await save(await account.viewer("crowns"));
  const holders = await holdersOfNode(store, node);
  expect(holders.map((held) => held.node.namespace)).toEqual(["", ""]);
  await bank.saved.revoke(ref);
  expect(await holdersOfNode(store, node)).toHaveLength(1);
});

it("an object of which one was saved is deleted, and its restorer says so", async () => {
  const { front, bank, restorer } = await open(new MemoryStore());
  using account = await front.account("ann");
  const ref = await save(account);
  await bank.delete("ACCOUNTS", bank.env.ACCOUNTS.idFromName("ann"));
  await expect(balance(await restorer(), ref)).rejects.toThrow(/was deleted/);
});

it("an object hands out restorers, and is not kept active by those", async () => {
  const { front } = await open(new MemoryStore());
  using account = await front.account("ann");
  await account.deposit(3);
  const ref = await save(account);
  using promise = account.restorer();
  using restorer = Restorer.of(promise);
  expect(await balance(restorer, ref)).toBe(3);

  const host = await testHost({ ACCOUNTS: Account });
  using other = host.env.ACCOUNTS.getByName("bob");
  using kept = await other.restorer();
  expect(await evict(other)).toBe(true);
  using again = Restorer.of(kept);
  await expect(balance(again, ref)).rejects.toThrow(/not accepted/);
});

it("there are no more of them than the limit says, and an idle object stays idle", async () => {
  const store = new MemoryStore();
  const host = await testHost({ ACCOUNTS: Account }, { store, limits: { savedReferences: 1 } });
  using account = host.env.ACCOUNTS.getByName("ann");
  await save(account);
  await expect(save(account)).rejects.toMatchObject({ code: "limit-exceeded" });
  expect(await evict(account)).toBe(true);
});
