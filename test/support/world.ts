// Role: a few vats in a row on a Mesh, each with an object of its own, and the check that nothing is left of them.
// State: the mesh, the objects made for the test, the references sent and given back over each link.

import { expect } from "vitest";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalHook } from "../../src/hook/local.js";
import { DEFAULT_LIMITS } from "../../src/base/limits.js";
import { Mesh, type MeshVat, type MeshVatOptions } from "../../src/vat/mesh.js";
import { DescriptorKind, MessageTag, ResolveTag, ReturnTag } from "../../src/wire/descriptors.js";
import { Frame, parseFrame } from "../../src/wire/frame.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { type Method, Recorder } from "./objects.js";
import { lineOf } from "./raw-peer.js";

type Methods = Record<number, Method>;
type Options = Omit<MeshVatOptions, "bootstrap">;

/**
 * Vats linked each to the next, in the order given; the bootstrap object of each has the methods given.
 *
 * @example
 * const world = new World({ a: {}, b: { 1: (c) => c.returns(payload(7)) } });
 * const b = world.bootstrap("a", "b");
 * tell(b, 1);
 * world.settle();
 * world.end(); // releases b; every table is empty, every object dropped once, every reference given back once
 */
export class World {
  readonly mesh = new Mesh();
  readonly servers: Record<string, Recorder> = {};
  /** Every message delivered, as "a>b line". */
  readonly log: string[] = [];
  readonly audit = new ReferenceAudit();
  private readonly objects: { recorder: Recorder; hook: LocalHook }[] = [];
  private readonly held: Hook[] = [];

  /** @param options of all vats, or those of each by its name. */
  constructor(vats: Record<string, Methods>, options: Options | ((name: string) => Options) = {}) {
    const names = Object.keys(vats);
    for (const name of names) {
      const own = typeof options === "function" ? options(name) : options;
      const vat = this.mesh.vat(name, { ...own });
      const server = (this.servers[name] = new Recorder(vats[name]!));
      Object.assign(vat.options, { bootstrap: this.object(name, server) });
    }
    for (let i = 1; i < names.length; i++) this.mesh.link(names[i - 1]!, names[i]!);
    const frame = new Frame();
    const reader = new MessageReader(DEFAULT_LIMITS);
    this.mesh.taps.push((message, from, to) => {
      parseFrame(message, frame, DEFAULT_LIMITS);
      reader.read(frame);
      this.audit.message(reader, from, to);
      this.log.push(`${from}>${to} ${lineOf(reader)}`);
      return message;
    });
  }

  vat(name: string): MeshVat {
    return this.mesh.vats.get(name)!;
  }

  /** An object in one vat. The test's own reference is released by `end`. */
  object(vat: string, recorder: Recorder): LocalHook {
    const hook = recorder.hook(this.vat(vat).scheduler);
    this.objects.push({ recorder, hook });
    return hook;
  }

  /** The bootstrap object of `to`, held by `from` until `end`. */
  bootstrap(from: string, to: string): Hook {
    const hook = this.vat(from).to(to).bootstrap();
    this.held.push(hook);
    return hook;
  }

  settle(): void {
    this.mesh.settle();
  }

  /** Delivers one message from `from` to `to`, and what follows from it inside `to`. */
  step(from: string, to: string): string {
    this.mesh.drain();
    const before = this.log.length;
    this.mesh.deliver(this.vat(from).ends.get(to)!);
    return this.log[before] ?? "nothing";
  }

  /** Messages of one link that contain `text`. */
  count(text: string): number {
    return this.log.filter((line) => line.includes(text)).length;
  }

  end(): void {
    for (const hook of this.held.splice(0)) hook.release();
    this.settle();
    this.mesh.assertEmpty();
    const over = this.mesh.ends.some((end) => end.shutdownWith !== null);
    if (!over) this.audit.assertBalanced();
    for (const end of this.mesh.ends) end.connection.close();
    this.mesh.drain();
    for (const { recorder, hook } of this.objects) {
      for (const call of recorder.calls) call.returns();
      if (hook.refCount > 0) hook.release();
    }
    this.mesh.drain();
    for (const { recorder, hook } of this.objects) {
      expect(hook.refCount, `references left to the object that saw ${recorder.seen}`).toBe(0);
      expect(recorder.droppedTimes).toBe(1);
    }
  }
}

interface Direction {
  /** References counted for each export and not given back. */
  refs: Map<number, number>;
  /** Exports named by a call's params, until its Return says whether they are given back. */
  params: Map<number, number[]>;
  /** Exports named by a Return, until its Finish. */
  results: Map<number, number[]>;
  /** Questions finished before their Return was delivered, and whether the results were given back with that. */
  finished: Map<number, boolean>;
}

/** Counts, from the messages alone, that every reference sent is given back exactly once (C-REL-12). */
export class ReferenceAudit {
  private readonly directions = new Map<string, Direction>();

  message(r: MessageReader, from: string, to: string): void {
    const own = this.direction(from, to);
    const other = this.direction(to, from);
    switch (r.tag) {
      case MessageTag.call:
        own.params.set(r.questionId, this.exported(r, own));
        break;
      case MessageTag.return: {
        // Params were exported by the other side, results by this one.
        const params = other.params.get(r.questionId) ?? [];
        other.params.delete(r.questionId);
        if (r.releaseParamCaps) this.giveBack(other, params, `Return ${r.questionId}`);
        const results = r.returnTag === ReturnTag.results ? this.exported(r, own) : [];
        const early = own.finished.get(r.questionId);
        own.finished.delete(r.questionId);
        if (early === true) this.giveBack(own, results, `early Finish ${r.questionId}`);
        else if (early === undefined && (!r.noFinishNeeded || results.length > 0))
          own.results.set(r.questionId, results);
        break;
      }
      case MessageTag.finish: {
        const results = other.results.get(r.questionId);
        other.results.delete(r.questionId);
        if (results === undefined) other.finished.set(r.questionId, r.releaseResultCaps);
        else if (r.releaseResultCaps) this.giveBack(other, results, `Finish ${r.questionId}`);
        break;
      }
      case MessageTag.release:
        this.take(other, r.id, r.referenceCount, "Release");
        break;
      case MessageTag.resolve:
        if (r.resolveTag === ResolveTag.cap) this.exported(r, own);
        break;
      default:
    }
  }

  assertBalanced(): void {
    for (const [name, { refs }] of this.directions)
      expect([...refs], `references that ${name} sent and nobody gave back`).toEqual([]);
  }

  private exported(r: MessageReader, own: Direction): number[] {
    const ids: number[] = [];
    for (let i = 0; i < r.capCount; i++) {
      const kind = r.capKind(i);
      if (kind !== DescriptorKind.senderHosted && kind !== DescriptorKind.senderPromise) continue;
      ids.push(r.capId(i));
      own.refs.set(r.capId(i), (own.refs.get(r.capId(i)) ?? 0) + 1);
    }
    return ids;
  }

  private giveBack(side: Direction, ids: readonly number[], by: string): void {
    for (const id of ids) this.take(side, id, 1, by);
  }

  private take(side: Direction, id: number, count: number, by: string): void {
    const left = (side.refs.get(id) ?? 0) - count;
    if (left < 0)
      throw new Error(`${by} gives back more references to export ${id} than were sent`);
    if (left === 0) side.refs.delete(id);
    else side.refs.set(id, left);
  }

  private direction(from: string, to: string): Direction {
    const name = `${from}>${to}`;
    let direction = this.directions.get(name);
    if (direction === undefined) {
      direction = { refs: new Map(), params: new Map(), results: new Map(), finished: new Map() };
      this.directions.set(name, direction);
    }
    return direction;
  }
}
