// Role: writes a random program while it runs, so that each operation has something to act on.
// State: the ids handed out. Must not know: what is right; it only avoids what can have no answer (circles).

import { FAILURE, type Ground, NOTHING, type Op } from "./ops.js";
import { Rng } from "./rng.js";
import type { Counts } from "./counts.js";
import { type Call, NodeKind, type Ref } from "./shadow.js";
import { World } from "./world.js";

const LEAST_OPERATIONS = 30;

/** Which methods a call has, the ones that make races more often. */
const METHOD_MIX = [0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4, 5, 6, 7, 7, 7, 8, 9];
/** In a focused program: few calls that stay open, many promises. */
const FOCUSED_MIX = [0, 1, 1, 1, 1, 1, 1, 1, 3, 4, 7, 7, 8];

export class Program {
  readonly seed: number;
  private readonly least: number;
  readonly ground: Ground;
  readonly ops: Op[] = [];
  readonly world: World;
  private readonly rng: Rng;
  private readonly mayCut: boolean;
  private readonly wraps: boolean;
  /** Most is done with promises: the long races are between promises that resolve to one another. */
  private readonly focused: boolean;
  private readonly eager: number;
  private nextId = 1;

  /** @param least operations, deliveries not counted; small programs make failures that are easy to read. */
  constructor(seed: number, counts: Counts, least = LEAST_OPERATIONS) {
    this.seed = seed;
    this.least = least;
    const rng = (this.rng = new Rng(seed));
    this.ground = groundOf(rng);
    this.mayCut = rng.chance(15);
    this.wraps = rng.chance(15);
    this.focused = rng.chance(50);
    this.eager = 20 + rng.below(50);
    this.world = new World(this.ground, counts);
  }

  /** Runs the whole program. @throws what the world finds broken; `ops` then ends with the operation that broke it. */
  run(): void {
    const { rng, world } = this;
    for (const [a, b] of this.ground.links) {
      this.do({ op: "bootstrap", id: this.id(), vat: a, peer: b });
      this.do({ op: "bootstrap", id: this.id(), vat: b, peer: a });
    }
    const count = (this.least + rng.below(this.least)) * (rng.chance(4) ? 4 : 1);
    for (let n = 0; n < count;) {
      if (rng.chance(this.eager) && this.deliver()) continue;
      if (this.step(rng.below(this.ground.vats))) n++;
    }
    this.wind();
    world.finish();
  }

  private do(op: Op): void {
    this.ops.push(op);
    this.world.run(op);
  }

  private id(): number {
    return this.nextId++;
  }

  private deliver(): boolean {
    const { ends } = this.world.mesh;
    let busy = 0;
    for (const end of ends) if (end.sent.length > 0) busy++;
    if (busy === 0) return false;
    let pick = this.rng.below(busy);
    for (const end of ends)
      if (end.sent.length > 0 && pick-- === 0) {
        const from = end.vat.name.charCodeAt(0) - 97;
        const to = end.other.vat.name.charCodeAt(0) - 97;
        this.do({ op: "deliver", from, to });
        break;
      }
    return true;
  }

  /** One random operation at a vat; false when there was nothing for it to act on. */
  private step(vat: number): boolean {
    const { rng, world } = this;
    const side = world.sides[vat]!;
    const draw = rng.below(100);
    if (draw < 40) return this.call(vat);
    if (draw < 54) {
      if (side.made.length === 0) return false;
      const call = rng.recent(side.made);
      if (!call.pipelineHeld) return false;
      this.do({
        op: "pipeline",
        call: call.id,
        slot: rng.chance(70) ? 0 : rng.below(3),
        ...this.more(),
      });
      return true;
    }
    if (draw < 68) return this.answer(vat);
    if (draw < 76) return this.resolve(vat);
    if (draw < 85) {
      if (side.refs.length === 0) return false;
      this.do({ op: "release", ref: rng.recent(side.refs).key, ...this.more() });
      return true;
    }
    if (draw < 90) return this.drop(vat);
    if (draw < 92) {
      this.do({ op: "object", id: this.id(), vat, ...this.more() });
      return true;
    }
    if (draw < 95) {
      this.do({ op: "promise", id: this.id(), vat, ...this.more() });
      return true;
    }
    if (draw < 97) {
      if (side.refs.length === 0) return false;
      this.do({ op: "watch", ref: rng.recent(side.refs).key, id: this.id() });
      return true;
    }
    if (draw < 98) {
      const [a, b] = this.ground.links[rng.below(this.ground.links.length)]!;
      this.do({
        op: "bootstrap",
        id: this.id(),
        vat: a === vat ? a : b,
        peer: a === vat ? b : a,
      });
      return true;
    }
    if (!this.mayCut || !rng.chance(30)) return false;
    const [a, b] = this.ground.links[rng.below(this.ground.links.length)]!;
    this.do({ op: "cut", a, b });
    return true;
  }

  private call(vat: number): boolean {
    const side = this.world.sides[vat]!;
    const { rng } = this;
    if (side.refs.length === 0) return false;
    if (this.wraps && rng.chance(25))
      this.do({ op: "wrap", id: this.id(), ref: this.pick(side.refs).key });
    const mix = this.focused ? FOCUSED_MIX : METHOD_MIX;
    const method = mix[rng.below(mix.length)]!;
    const hint = rng.below(100);
    this.do({
      op: "call",
      id: this.id(),
      on: this.pick(side.refs).key,
      method,
      args: this.args(vat, method === 2 || method === 3 || method === 4 ? 1 : 0),
      child: method >= 2 && method <= 7 && method !== 5 ? this.id() : 0,
      then: rng.chance(15) ? this.id() : 0,
      ...(hint < 4 ? { hint: "noPipeline" } : hint < 8 ? { hint: "pipelineOnly" } : {}),
      ...this.more(),
    });
    return true;
  }

  private pick(refs: readonly Ref[]): Ref {
    const { rng } = this;
    let ref = rng.recent(refs);
    if (this.focused)
      for (let i = 0; i < 3 && ref.node.kind === NodeKind.object; i++) ref = rng.recent(refs);
    return ref;
  }

  private args(vat: number, least: number): number[] {
    const { rng } = this;
    const { refs } = this.world.sides[vat]!;
    const args: number[] = [];
    const count = Math.max(least, rng.below(4));
    for (let i = 0; i < count && i < 3; i++) {
      if (refs.length === 0 || rng.chance(6)) args.push(NOTHING);
      else if (rng.chance(12)) args.push(this.fresh(vat, this.focused ? 10 : 50));
      else args.push(this.pick(refs).key);
    }
    return args;
  }

  /** A new object or promise of this vat. */
  private fresh(vat: number, objects = 50): number {
    const id = this.id();
    this.do({ op: this.rng.chance(objects) ? "object" : "promise", id, vat, more: true });
    return 8 * id + 6;
  }

  private answer(vat: number): boolean {
    const { rng } = this;
    const side = this.world.sides[vat]!;
    if (side.pending.length === 0) return false;
    const call = side.pending[rng.below(side.pending.length)]!;
    this.answerOne(call, vat, side.refs);
    return true;
  }

  private answerOne(call: Call, vat: number, refs: readonly Ref[]): void {
    const { rng } = this;
    if (rng.chance(10)) {
      this.do({ op: "early", call: call.id, caps: this.args(vat, 1), ...this.more() });
      return;
    }
    if (rng.chance(8)) this.do({ op: "fail", call: call.id, ...this.more() });
    else if (refs.length > 0 && rng.chance(30))
      this.do({
        op: "tail",
        call: call.id,
        id: this.id(),
        on: rng.recent(refs).key,
        method: rng.below(2),
        args: this.args(vat, 0),
        ...this.more(),
      });
    else
      this.do({
        op: "answer",
        call: call.id,
        caps: this.args(vat, 1),
        ...this.more(),
      });
  }

  private resolve(vat: number): boolean {
    const { rng } = this;
    const side = this.world.sides[vat]!;
    if (side.promises.length === 0) return false;
    const { id } = side.promises[rng.below(side.promises.length)]!;
    const draw = rng.below(100);
    let to: number;
    if (draw < 5) to = FAILURE;
    else if (draw < 10) to = NOTHING;
    else if (draw < 25 || side.refs.length === 0) to = this.fresh(vat);
    else to = this.pick(side.refs).key;
    this.do({ op: "resolve", promise: id, to, ...this.more() });
    return true;
  }

  private drop(vat: number): boolean {
    const { rng } = this;
    const { made } = this.world.sides[vat]!;
    if (made.length === 0) return false;
    const halves = rng.below(4);
    this.do({
      op: "drop",
      call: rng.recent(made).id,
      response: halves !== 1,
      pipeline: halves !== 0,
      ...this.more(),
    });
    return true;
  }

  /** Lets the program run out: answers and resolves what is open, in any order, with calls still going on. */
  private wind(): void {
    const { rng, world } = this;
    for (let n = 0; n < 400; n++) {
      if (rng.chance(80) && this.deliver()) continue;
      const vat = rng.below(this.ground.vats);
      const side = world.sides[vat]!;
      if (n < 150 && rng.chance(15)) this.call(vat);
      else if (side.pending.length > 0) this.answer(vat);
      else if (side.promises.length > 0) this.resolve(vat);
      else if (rng.chance(50) && side.refs.length > 0)
        this.do({ op: "release", ref: rng.recent(side.refs).key });
      else if (!this.deliver()) {
        if (world.sides.every((one) => one.pending.length + one.promises.length === 0)) return;
      }
    }
  }

  private more(): { more?: boolean } {
    return this.rng.chance(30) ? { more: true } : {};
  }
}

function groundOf(rng: Rng): Ground {
  const vats = rng.chance(35) ? 2 : 3;
  const links: [number, number][] =
    vats === 2
      ? [[0, 1]]
      : rng.chance(65)
        ? [
            [0, 1],
            [1, 2],
            [0, 2],
          ]
        : [
            [0, 1],
            [1, 2],
          ];
  const tailCalls = rng.chance(75) ? "always" : rng.chance(50) ? "observed" : "never";
  return rng.chance(10) ? { vats, links, tailCalls, tight: true } : { vats, links, tailCalls };
}
