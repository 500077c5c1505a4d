// Role: several vats in one process over links whose every message waits until the test delivers it: the ground that
// protocol tests stand on, ours and users'.
// State: the vats, their links, the messages on their way.
// Must not know: sockets, real time. Nothing moves by itself; a seeded chooser moves it in any legal order.

import { joinBytes } from "../base/bytes.js";
import { type ErrorRedactor, RpcError } from "../base/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../base/limits.js";
import { Scheduler } from "../base/scheduler.js";
import type { ValueTypes } from "../cap/dynamic/values/types.js";
import type { Identities } from "../hook/identities.js";
import type { BootstrapSource } from "../rpc/bootstrap.js";
import { Connection } from "../rpc/connection.js";
import type { TailCallPolicy } from "../rpc/state.js";
import { Frame, parseFrame } from "../wire/frame.js";
import { Outbox } from "../wire/outbox.js";

export interface MeshVatOptions {
  /** What each peer gets on Bootstrap. A Hook stays the caller's. */
  bootstrap?: BootstrapSource;
  limits?: Limits;
  /** The classes that go by value through stubs that come from its peers. */
  types?: ValueTypes;
  tailCalls?: TailCallPolicy;
  sendTrace?: boolean;
  redactError?: ErrorRedactor;
  identities?: Identities;
}

/** One vat: a scheduler of its own and one connection per link. */
export class MeshVat {
  readonly name: string;
  readonly scheduler = new Scheduler();
  readonly options: MeshVatOptions;
  readonly ends = new Map<string, MeshEnd>();

  constructor(name: string, options: MeshVatOptions) {
    this.name = name;
    this.options = options;
    this.scheduler.onError = (error) => {
      throw error;
    };
  }

  /** The connection to the vat called `peer`. */
  to(peer: string): Connection {
    const end = this.ends.get(peer);
    if (end === undefined) throw new Error(`vat ${this.name} has no link to ${peer}`);
    return end.connection;
  }
}

/** One end of a link: what its vat wrote and the other has not received yet. */
export class MeshEnd {
  readonly vat: MeshVat;
  readonly connection: Connection;
  readonly outbox = new Outbox();
  /** Messages on their way to the other end, oldest first. */
  readonly sent: Uint8Array[] = [];
  /** How many turns wrote something: what a transport would have written at once. */
  writes = 0;
  other!: MeshEnd;
  /** This side is over: nothing more is sent or received. */
  shutdownWith: RpcError | null = null;
  private ended = false;

  /** @param peer the name of the vat at the other end. @param now the mesh's clock, for the rates of streams. */
  constructor(vat: MeshVat, peer: string, now: () => number) {
    this.vat = vat;
    const { limits, bootstrap, tailCalls, sendTrace, redactError, identities } = vat.options;
    this.connection = new Connection({
      scheduler: vat.scheduler,
      outbox: this.outbox,
      peer,
      limits: limits ?? DEFAULT_LIMITS,
      bootstrap: bootstrap ?? null,
      tailCalls: tailCalls ?? "always",
      sendTrace: sendTrace ?? false,
      redactError: redactError ?? null,
      identities: identities ?? null,
      now,
      shutdown: (error) => {
        this.shutdownWith = error;
      },
    });
  }

  /** Moves what the vat wrote in this turn to the link. */
  flush(): void {
    const batch = this.outbox.take();
    if (batch === null) return;
    this.writes++;
    if (!this.ended) for (const parts of batch.messages()) this.sent.push(joinBytes(parts));
    batch.release();
    if (this.shutdownWith !== null) this.ended = true;
  }
}

/** Sees every message as it is delivered; may replace it, or drop it by returning null. */
export type Tap = (message: Uint8Array, from: string, to: string) => Uint8Array | null;

/**
 * Vats and links under the test's control.
 *
 * @example
 * const mesh = new Mesh();
 * const server = mesh.vat("server", { bootstrap: hook });
 * const client = mesh.vat("client");
 * mesh.link("client", "server");
 * const cap = client.to("server").bootstrap();
 * mesh.settle(); // delivers everything, in order of time
 * mesh.assertEmpty();
 */
export class Mesh {
  readonly vats = new Map<string, MeshVat>();
  readonly ends: MeshEnd[] = [];
  readonly taps: Tap[] = [];
  /** Runs every connection's `check` after each message; on by default. */
  checking = true;
  delivered = 0;
  private readonly frame = new Frame();

  /** The clock of every connection: here a step for each message delivered. */
  get now(): number {
    return this.delivered;
  }

  vat(name: string, options: MeshVatOptions = {}): MeshVat {
    const vat = new MeshVat(name, options);
    this.vats.set(name, vat);
    return vat;
  }

  link(a: string, b: string): void {
    const clock = (): number => this.now;
    const one = new MeshEnd(this.get(a), b, clock);
    const two = new MeshEnd(this.get(b), a, clock);
    one.other = two;
    two.other = one;
    one.vat.ends.set(b, one);
    two.vat.ends.set(a, two);
    this.ends.push(one, two);
  }

  /** Runs all jobs and puts what they wrote on the links. Tests call it after acting from outside. */
  drain(): void {
    for (const vat of this.vats.values()) vat.scheduler.drain();
    for (const end of this.ends) end.flush();
    if (this.checking) for (const end of this.ends) end.connection.check();
  }

  /** The ends that have a message on its way. */
  deliverable(): MeshEnd[] {
    return this.ends.filter((end) => end.sent.length > 0);
  }

  /** Delivers the oldest message that `end` sent. */
  deliver(end: MeshEnd): void {
    let message: Uint8Array | null = end.sent.shift() ?? null;
    for (const tap of this.taps)
      if (message !== null) message = tap(message, end.vat.name, end.other.vat.name);
    if (message === null) return;
    this.delivered++;
    const { connection, vat } = end.other;
    parseFrame(message, this.frame, vat.options.limits ?? DEFAULT_LIMITS);
    connection.handle(this.frame, this.now);
    vat.scheduler.drain();
    for (const one of vat.ends.values()) one.flush();
    if (this.checking) for (const one of vat.ends.values()) one.connection.check();
  }

  /**
   * Delivers until nothing is on its way.
   * @param choose picks which end's oldest message goes next; by default they take turns.
   */
  settle(choose?: (ends: MeshEnd[]) => MeshEnd, mostMessages = 1_000_000): void {
    this.drain();
    let turn = 0;
    for (let n = 0; ; n++) {
      const ends = this.deliverable();
      if (ends.length === 0) return;
      if (n >= mostMessages)
        throw new Error(`${mostMessages} messages and still no rest: the vats go in circles`);
      this.deliver(choose === undefined ? ends[turn++ % ends.length]! : choose(ends));
    }
  }

  /** Cuts the link between `a` and `b`: what is on its way is lost, both ends hear of it. */
  cut(a: string, b: string): void {
    for (const end of [this.get(a).ends.get(b), this.get(b).ends.get(a)]) {
      if (end === undefined) throw new Error(`there is no link between ${a} and ${b}`);
      end.sent.length = 0;
      end.connection.disconnected(
        new RpcError("disconnected", "connection-lost", `the link ${a}-${b} was cut`),
      );
    }
    this.drain();
  }

  /** Ends every connection that closed itself, as a transport would. Returns how many. */
  sweep(): number {
    let swept = 0;
    for (const end of this.ends)
      if (end.shutdownWith !== null && end.sent.length === 0 && end.other.shutdownWith === null) {
        end.other.connection.disconnected(null);
        swept++;
      }
    this.drain();
    return swept;
  }

  /** @throws Error showing the tables, when any connection still has an entry. */
  assertEmpty(): void {
    this.drain();
    for (const end of this.ends) {
      if (end.sent.length > 0)
        throw new Error(`${end.sent.length} messages from ${end.vat.name} are on their way`);
      if (!end.connection.idle)
        throw new Error(
          `${end.vat.name} to ${end.other.vat.name} is not empty:\n${end.connection.dump()}`,
        );
      end.connection.check();
    }
    for (const vat of this.vats.values())
      if (vat.scheduler.pending > 0)
        throw new Error(`vat ${vat.name} has ${vat.scheduler.pending} jobs left`);
  }

  private get(name: string): MeshVat {
    const vat = this.vats.get(name);
    if (vat === undefined) throw new Error(`there is no vat called ${name}`);
    return vat;
  }
}
