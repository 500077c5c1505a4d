// Role: a whole vat under attack: one connection speaks raw bytes, another belongs to an honest peer with work under way.
// State: the vat, the honest peer's call, what the attacker was told. Must not know: the tables of rpc/.

import { expect } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/base/limits.js";
import type { Hook } from "../../src/hook/hook.js";
import type { Connection } from "../../src/rpc/connection.js";
import { Mesh, type MeshEnd } from "../../src/vat/mesh.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { Outbox } from "../../src/wire/outbox.js";
import { call, type Method, outcome, type Outcome, payload, Recorder } from "../support/objects.js";
import { lineOf } from "../support/raw-peer.js";

/** A method that never answers by itself, which the honest peer has called. */
const PENDING = 99;

export interface VictimOptions {
  limits?: Limits;
  methods?: Record<number, Method>;
  /** Off for floods: looking through all tables after each message would take longer than the flood. */
  checking?: boolean;
}

/**
 * @example
 * const victim = new Victim();
 * expect(victim.send((w) => w.release(5, 1))).toEqual([expect.stringMatching(/^abort/)]);
 * victim.unharmed();
 */
export class Victim {
  readonly mesh = new Mesh();
  readonly server: Recorder;
  /** The connection under attack. */
  readonly connection: Connection;
  readonly limits: Limits;
  private readonly end: MeshEnd;
  private readonly framer: Framer;
  private readonly cap: Hook;
  private readonly pending: Outcome;
  private readonly frame = new Frame();
  private readonly reader = new MessageReader(DEFAULT_LIMITS);
  private readonly own = new Outbox();
  private readonly writer = new IntroductionWriter(this.own, DEFAULT_LIMITS);
  private now = 0;

  constructor(options: VictimOptions = {}) {
    const { mesh } = this;
    this.limits = options.limits ?? DEFAULT_LIMITS;
    mesh.checking = options.checking ?? true;
    this.server = new Recorder({ ...options.methods, [PENDING]: () => {} });
    const vat = mesh.vat("vat", { limits: this.limits });
    Object.assign(vat.options, { bootstrap: this.server.hook(vat.scheduler) });
    mesh.vat("honest");
    mesh.vat("attacker");
    mesh.link("honest", "vat");
    mesh.link("attacker", "vat");
    this.end = vat.ends.get("attacker")!;
    this.connection = this.end.connection;
    this.framer = new Framer(this.limits);
    this.cap = mesh.vats.get("honest")!.to("vat").bootstrap();
    this.pending = outcome(call(this.cap, PENDING, 1));
    mesh.settle();
  }

  /** One message that `build` writes, damaged by `harm`. Returns what the attacker is told. */
  send(build: (w: IntroductionWriter) => void, harm?: (message: Uint8Array) => void): string[] {
    const message = this.encode(build);
    harm?.(message);
    return this.push(message);
  }

  encode(build: (w: IntroductionWriter) => void): Uint8Array {
    build(this.writer);
    const batch = this.own.take()!;
    const message = new Uint8Array(batch.bytes);
    let at = 0;
    for (const chunk of batch.chunks) {
      message.set(chunk, at);
      at += chunk.length;
    }
    batch.release();
    return message;
  }

  /** Bytes of the attacker's stream. Returns what it is told, line by line. */
  push(bytes: Uint8Array): string[] {
    this.feed(bytes);
    return this.told();
  }

  /** The same without reading the answers. */
  feed(bytes: Uint8Array): void {
    const { scheduler } = this.end.vat;
    try {
      this.framer.push(bytes, (frame) => {
        this.connection.handle(frame, ++this.now);
        scheduler.drain();
      });
    } catch (thrown) {
      // As a transport does: only what the framer itself refuses may come out of it.
      expect(thrown).toBeInstanceOf(RpcError);
      this.connection.fault(thrown as RpcError);
      scheduler.drain();
    }
    this.end.flush();
    if (this.mesh.checking) this.connection.check();
  }

  told(): string[] {
    const lines: string[] = [];
    for (const message of this.end.sent.splice(0)) {
      parseFrame(message, this.frame, DEFAULT_LIMITS);
      this.reader.read(this.frame);
      lines.push(lineOf(this.reader));
    }
    return lines;
  }

  /** The attacker's stream ends. */
  hangUp(): void {
    this.connection.disconnected(this.framer.end());
    this.end.vat.scheduler.drain();
    this.end.flush();
  }

  /**
   * The end: the honest peer's call is answered, new ones are, and when the attacker's connection is over nothing of it
   * is left.
   */
  unharmed(): void {
    const { mesh } = this;
    if (this.connection.error === null) this.hangUp();
    this.connection.check();
    expect(this.connection.idle, this.connection.dump()).toBe(true);
    expect(this.connection.stats()).toMatchObject({
      incomingCallBytes: 0,
      withheldCallBytes: 0,
      heldResultBytes: 0,
    });
    const end = this.end.vat.ends.get("honest")!;
    expect(end.connection.error).toBe(null);
    expect(this.pending.settled).toBe(false);
    this.server.calls.find((c) => c.methodId === PENDING)!.returns(payload(77));
    const fresh = outcome(call(this.cap, 0, 5));
    mesh.settle();
    expect([this.pending.value, fresh.value]).toEqual([77, 5]);
    this.cap.release();
    mesh.settle();
    expect(end.connection.idle, end.connection.dump()).toBe(true);
    expect(this.end.vat.scheduler.pending).toBe(0);
  }

  /** The attack ended its connection, and the last thing it was told names why. */
  aborted(lines: string[], reason: RegExp): void {
    expect(lines.at(-1)).toMatch(/^abort /);
    expect(lines.at(-1)).toMatch(reason);
    expect(this.connection.error).not.toBe(null);
    this.unharmed();
  }
}
