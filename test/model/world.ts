// Role: runs a program on real vats and on the shadow graph at once, and compares the two at every step.
// State: the mesh, the shadow, and who holds what.
// Must not know: how programs are chosen.

import { RpcError } from "../../src/base/errors.js";
import { type Limits, limitsWith } from "../../src/base/limits.js";
import {
  CallRequest,
  type Hook,
  type HookWatcher,
  NO_PROMISE_PIPELINING,
  ONLY_PROMISE_PIPELINE,
} from "../../src/hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../src/hook/local.js";
import { Membrane } from "../../src/hook/membrane.js";
import { Payload } from "../../src/hook/payload.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { nullHook, type Results, type ResultsObserver } from "../../src/hook/results.js";
import { Mesh, type MeshEnd, type MeshVat } from "../../src/vat/mesh.js";
import { valueOf } from "../support/objects.js";
import { Counter, type Counts } from "./counts.js";
import { contentOf, hasSetPipeline, hookOf, isOpen, safeFor } from "./handles.js";
import { Broken, judgeCalls, judgeCancellation, judgeResidue } from "./judge.js";
import { FAILURE, type Ground, keyOf, Method, NOTHING, type Op, OWN, PARAM } from "./ops.js";
import {
  AnswerKind,
  answering,
  BROKEN,
  Call,
  delivered,
  endIsOpen,
  endOf,
  mustFail,
  Node,
  NodeKind,
  NULL,
  Ref,
  waitsFor,
} from "./shadow.js";

const PATHS = [[0], [1], [2]];
const REFUSED = new RpcError("failed", "method-failed", "the method fails");
const NO_ARGS: readonly (Ref | null)[] = [];

/** A promise made by the program. */
interface OwnPromise {
  readonly id: number;
  readonly ref: Ref;
  readonly hook: PromiseHook;
}

/** One vat, and what the program has there. */
class Side {
  readonly index: number;
  readonly vat: MeshVat;
  readonly ends: MeshEnd[] = [];
  /** References held. */
  readonly refs: Ref[] = [];
  /** Promises not resolved yet. */
  readonly promises: OwnPromise[] = [];
  /** Calls that arrived here and are not answered. */
  readonly pending: Call[] = [];
  /** Calls made here of whose results something is held. */
  readonly made: Call[] = [];
  membrane: Membrane | null = null;
  /** Operations were done and their jobs not run: their turn is not over. */
  midTurn = false;

  constructor(index: number, vat: MeshVat) {
    this.index = index;
    this.vat = vat;
  }
}

/** An object. */
class Target implements Server {
  readonly node = new Node(NodeKind.object);
  readonly side: Side;
  drops = 0;
  private readonly world: World;

  constructor(world: World, side: Side) {
    this.world = world;
    this.side = side;
    world.targets.push(this);
  }

  dispatch(call: LocalCall): void {
    this.world.guard(() => this.world.arrived(this, call));
  }

  dropped(): void {
    this.drops++;
  }
}

/** Waits for the results of one call. */
class Sight implements ResultsObserver {
  readonly immediate = false;
  private readonly world: World;
  private readonly call: Call;

  constructor(world: World, call: Call) {
    this.world = world;
    this.call = call;
  }

  resultsSettled(results: Results): void {
    this.world.guard(() => this.world.settled(this.call, results));
  }
}

/** A program under way. */
export class World {
  readonly mesh = new Mesh();
  readonly sides: Side[] = [];
  readonly refs = new Map<number, Ref>();
  readonly calls = new Map<number, Call>();
  readonly targets: Target[] = [];
  readonly counter: Counter;
  wasCut = false;
  private readonly limits: { -readonly [name in keyof Limits]: Limits[name] };
  readonly promises: OwnPromise[] = [];
  readonly ends: MeshEnd[];
  private failure: unknown = null;

  constructor(ground: Ground, counts: Counts) {
    const { mesh } = this;
    // A record of our own: the tightness has to end before everything else can.
    this.limits = { ...limitsWith(ground.tight === true ? { incomingCallBytes: 250 } : {}) };
    for (let i = 0; i < ground.vats; i++) {
      const vat = mesh.vat("abc"[i]!, { tailCalls: ground.tailCalls, limits: this.limits });
      const side = new Side(i, vat);
      this.sides.push(side);
      const target = new Target(this, side);
      Object.assign(vat.options, { bootstrap: new LocalHook(target, vat.scheduler) });
    }
    for (const [a, b] of ground.links) mesh.link("abc"[a]!, "abc"[b]!);
    this.ends = mesh.ends;
    for (const side of this.sides) side.ends.push(...side.vat.ends.values());
    this.counter = new Counter(counts, this.ends);
  }

  /** The end at `from` of the link to `to`. */
  end(from: number, to: number): MeshEnd | undefined {
    return this.sides[from]!.vat.ends.get("abc"[to]!);
  }

  // -- Operations ----------------------------------------------------------------------------------------------------

  /** Runs one operation; one that makes no sense any more does nothing. @throws Broken when a property does not hold. */
  run(op: Op): void {
    const side = this.act(op);
    if (side !== null && op.more !== true) this.drain(side);
    else if (side !== null) side.midTurn = true;
    this.check();
  }

  private act(op: Op): Side | null {
    switch (op.op) {
      case "bootstrap":
        return this.bootstrap(op.id, op.vat, op.peer);
      case "object":
        this.makeObject(op.id, this.sides[op.vat]!);
        return this.sides[op.vat]!;
      case "promise":
        this.makePromise(op.id, this.sides[op.vat]!);
        return this.sides[op.vat]!;
      case "call": {
        const on = this.refs.get(op.on);
        if (on === undefined || !on.live) return null;
        const args = this.some(op.args, on.vat);
        this.call(op.id, on, op.method, args, op.child, op.then, op.hint);
        return this.sides[on.vat]!;
      }
      case "pipeline":
        return this.pipeline(op.call, op.slot);
      case "early":
        return this.early(op.call, op.caps);
      case "answer":
      case "fail":
      case "tail":
        return this.answer(op);
      case "resolve":
        return this.resolve(op.promise, op.to);
      case "release": {
        const ref = this.refs.get(op.ref);
        if (ref === undefined || !ref.live) return null;
        this.release(ref);
        return this.sides[ref.vat]!;
      }
      case "drop": {
        const call = this.calls.get(op.call);
        if (call === undefined || call.results === null) return null;
        this.drop(call, op.response, op.pipeline);
        return this.sides[call.on.vat]!;
      }
      case "watch":
        return this.watch(op.ref, op.id);
      case "wrap":
        return this.wrap(op.id, op.ref);
      case "deliver":
        this.deliver(op.from, op.to);
        return null;
      case "settle":
        for (const side of this.sides) this.drain(side);
        this.settle();
        return null;
      case "cut":
        this.cut(op.a, op.b);
        return null;
    }
  }

  private bootstrap(id: number, vat: number, peer: number): Side | null {
    const end = this.end(vat, peer);
    if (end === undefined) return null;
    const node = this.targets.find((target) => target.side.index === peer)!.node;
    const ref = new Ref(keyOf(id, OWN), vat, node, null, 0);
    this.hold(ref, end.connection.bootstrap());
    return this.sides[vat]!;
  }

  private makeObject(id: number, side: Side): Ref {
    const target = new Target(this, side);
    const ref = new Ref(keyOf(id, OWN), side.index, target.node, null, 0);
    this.hold(ref, new LocalHook(target, side.vat.scheduler));
    return ref;
  }

  private makePromise(id: number, side: Side): Ref {
    const ref = new Ref(keyOf(id, OWN), side.index, new Node(NodeKind.promise), null, 0);
    const hook = new PromiseHook(side.vat.scheduler);
    this.hold(ref, hook);
    const promise = { id, ref, hook };
    side.promises.push(promise);
    this.promises.push(promise);
    return ref;
  }

  private call(
    id: number,
    on: Ref,
    method: number,
    args: readonly (Ref | null)[],
    child: number,
    then: number,
    hint: "noPipeline" | "pipelineOnly" | undefined = undefined,
  ): void {
    const side = this.sides[on.vat]!;
    const call = new Call(id, on, method, args, child, then);
    this.calls.set(id, call);
    const flags =
      hint === "noPipeline"
        ? NO_PROMISE_PIPELINING
        : hint === "pipelineOnly"
          ? ONLY_PROMISE_PIPELINE
          : 0;
    const request = new CallRequest(0, 0x7e57, method, this.payload(id, args), flags);
    const results = hookOf(on).call(request);
    call.results = results;
    side.made.push(call);
    results.observe(new Sight(this, call));
    if (hint === "noPipeline") this.drop(call, false, true);
    if (hint === "pipelineOnly") this.drop(call, true, false);
  }

  private pipeline(id: number, slot: number): Side | null {
    const call = this.calls.get(id);
    if (call === undefined || call.results === null || !call.pipelineHeld) return null;
    const ref = this.resultRef(call, slot);
    if (ref.hook === null) this.hold(ref, call.results.pipeline(PATHS[slot]!));
    return this.sides[call.on.vat]!;
  }

  private answer(op: Op & { op: "answer" | "fail" | "tail" }): Side | null {
    const call = this.calls.get(op.call);
    if (call === undefined || call.local === null) return null;
    const side = this.sideOf(call);
    // A stream call that failed would fail all that come after it; that is tested elsewhere (C-FLO-10).
    if (call.method === Method.stream) this.answerCaps(call, NO_ARGS);
    else if (call.early !== null) this.answerCaps(call, call.returned);
    else if (op.op === "fail") this.answerError(call);
    else if (op.op === "answer") this.answerCaps(call, this.some(op.caps, side.index));
    else {
      const on = this.refs.get(op.on);
      if (on === undefined || !on.live || on.vat !== side.index || waitsFor(on.node, call))
        return null;
      this.answerTail(call, op.id, on, op.method, this.some(op.args, side.index));
    }
    return side;
  }

  private early(id: number, caps: readonly number[]): Side | null {
    const call = this.calls.get(id);
    if (call === undefined || call.local === null || call.early !== null) return null;
    if (call.method === Method.stream) return null;
    const side = this.sideOf(call);
    const refs = safeFor(call, this.some(caps, side.index));
    call.local.setPipeline(this.payload(id, refs));
    call.setPipeline(refs, this.payload(id, refs));
    for (let of: Call | null = call; of !== null; of = this.handedOver(of))
      if (of.results !== null && isOpen(of)) this.noteCancel(of);
    return side;
  }

  private resolve(id: number, to: number): Side | null {
    const promise = this.promises.find((known) => known.id === id);
    if (promise === undefined || promise.ref.node.next !== null) return null;
    const { ref, hook } = promise;
    const side = this.sides[ref.vat]!;
    const target = to < 0 ? null : this.refs.get(to);
    if (target === undefined) return null;
    const { scheduler } = side.vat;
    if (target !== null) {
      if (!target.live || target.vat !== ref.vat || waitsFor(target.node, ref.node)) return null;
      ref.node.settle(target.node, target);
      hook.resolve(hookOf(target).addRef());
    } else if (to === FAILURE) {
      ref.node.settle(BROKEN, null);
      hook.reject(REFUSED);
    } else {
      ref.node.settle(NULL, null);
      hook.resolve(nullHook(scheduler));
    }
    side.promises.splice(side.promises.indexOf(promise), 1);
    return side;
  }

  private drop(call: Call, response: boolean, pipeline: boolean): void {
    const results = call.results!;
    const open = isOpen(call);
    if (response) call.responseHeld = false;
    if (pipeline) call.pipelineHeld = false;
    if (open) this.noteCancel(call);
    if (response && pipeline) results.cancel();
    else if (response) results.dropResponse();
    else if (pipeline) results.dropPipeline();
    if (!call.responseHeld && !call.pipelineHeld) this.forget(call);
  }

  private watch(key: number, id: number): Side | null {
    const ref = this.refs.get(key);
    if (ref === undefined || !ref.live) return null;
    const hook = hookOf(ref);
    if (!hook.isPromise) return null;
    const end = hook.resolved();
    const watcher: HookWatcher = {
      hookResolved: () => {
        if (ref.live) this.guard(() => this.call(id, ref, Method.echo, NO_ARGS, 0, 0));
      },
    };
    end.watch(watcher);
    return this.sides[ref.vat]!;
  }

  private wrap(id: number, key: number): Side | null {
    const ref = this.refs.get(key);
    if (ref === undefined || !ref.live) return null;
    const side = this.sides[ref.vat]!;
    side.membrane ??= new Membrane({}, side.vat.scheduler);
    const wrapped = new Ref(keyOf(id, OWN), ref.vat, ref.node, ref, ref.seq);
    this.hold(wrapped, side.membrane.wrap(hookOf(ref)));
    return side;
  }

  deliver(from: number, to: number): void {
    const end = this.end(from, to);
    if (end === undefined || end.sent.length === 0) return;
    if (this.sides[to]!.midTurn) this.drain(this.sides[to]!);
    this.counter.before(end);
    this.mesh.deliver(end);
    this.counter.after(end);
  }

  private cut(a: number, b: number): void {
    const end = this.end(a, b);
    if (end === undefined || end.shutdownWith !== null) return;
    for (const side of this.sides) if (side.midTurn) this.drain(side);
    this.wasCut = true;
    this.counter.counts.disconnect++;
    // What a lost peer asked for is canceled (C-DIS-03). That may hold for tail calls, and for all calls that have come as
    // far as an unresolved promise, or an object busy with a stream call, and wait there: some came over this link.
    const busy = new Set<Node>();
    for (const { pending } of this.sides)
      for (const call of pending) if (call.method === Method.stream) busy.add(endOf(call.on.node));
    for (const call of this.calls.values()) {
      const end = endOf(call.on.node);
      const waits = end.kind === NodeKind.promise || end.kind === NodeKind.field || busy.has(end);
      if (!call.delivered && (waits || call.results === null)) call.cancel();
    }
    this.mesh.cut("abc"[a]!, "abc"[b]!);
  }

  private drain(side: Side): void {
    side.midTurn = false;
    side.vat.scheduler.drain();
    for (const end of side.ends) {
      end.flush();
      end.connection.check();
    }
  }

  // -- What happens at an object -------------------------------------------------------------------------------------

  /** A call is delivered. */
  arrived(target: Target, local: LocalCall): void {
    const id = valueOf(local.params);
    const call = this.calls.get(id);
    if (call === undefined) throw new Broken(`a call ${id} arrived that nobody made`);
    if (call.delivered) throw new Broken(`call ${id} arrived twice`);
    if (endOf(call.on.node) !== target.node)
      throw new Broken(`call ${id} arrived at the wrong object, at vat ${target.side.vat.name}`);
    call.delivered = true;
    if (!delivered(call))
      throw new Broken(`call ${id} arrived after a call that was made after it`);
    const { caps } = local.params;
    if (local.methodId !== call.method || caps.length !== call.args.length)
      throw new Broken(`call ${id} arrived with other params`);
    call.local = local;
    const { side } = target;
    const received = caps.map((cap, i) => this.receive(call, side, i, cap));
    this.perform(call, side, received);
  }

  private receive(call: Call, side: Side, i: number, cap: Hook | null): Ref | null {
    const from = call.args[i]!;
    if (cap === null) {
      if (from !== null && endOf(from.node).kind !== NodeKind.null)
        throw new Broken(`param ${i} of call ${call.id} was lost on the way`);
      return null;
    }
    if (from === null) throw new Broken(`param ${i} of call ${call.id} is not null`);
    const key = keyOf(call.id, PARAM + i);
    const ref = new Ref(key, side.index, from.node, from, call.argSeqs[i]!);
    this.hold(ref, cap.addRef());
    return ref;
  }

  private perform(call: Call, side: Side, received: readonly (Ref | null)[]): void {
    const first = received[0] ?? null;
    switch (call.method) {
      case Method.echo:
        this.answerCaps(call, received);
        return;
      case Method.fail:
        this.answerError(call);
        return;
      case Method.stubborn:
        call.local!.cancelable = false;
        break;
      case Method.stream:
        call.local!.streaming();
        break;
      case Method.freshObject:
        this.answerCaps(call, [this.makeObject(call.child, side)]);
        return;
      case Method.freshPromise:
        this.answerCaps(call, [this.makePromise(call.child, side)]);
        return;
      case Method.tailHold:
      case Method.tailEcho: {
        if (first === null || waitsFor(first.node, call)) break;
        const method = call.method === Method.tailHold ? Method.hold : Method.echo;
        this.answerTail(call, call.child, first, method, received.slice(1));
        return;
      }
      case Method.callback:
        if (first === null) break;
        this.call(call.child, first, Method.hold, received.slice(1), 0, 0);
        this.answerCaps(call, received);
        return;
      default:
    }
    side.pending.push(call);
  }

  private answerCaps(call: Call, caps: readonly (Ref | null)[]): void {
    const refs = call.early === null ? safeFor(call, caps) : call.returned;
    call.answerCaps(refs);
    const results = call.early ?? this.payload(call.id, refs);
    this.endOfMethod(call).returns(results);
  }

  private answerError(call: Call): void {
    call.answerError();
    this.endOfMethod(call).fails(REFUSED);
  }

  private answerTail(
    call: Call,
    id: number,
    on: Ref,
    method: number,
    args: readonly (Ref | null)[],
  ): void {
    const tail = new Call(id, on, method, args, 0, 0);
    this.calls.set(id, tail);
    call.answerTail(tail);
    // A method that was told to stop hands its results to nobody: the call is not made. Whether the caller is behind a
    // lost link we do not know.
    if (call.local!.canceled || this.wasCut) tail.cancel();
    const request = new CallRequest(0, 0x7e57, method, this.payload(id, args));
    this.endOfMethod(call).tailCall(hookOf(on), request);
  }

  private endOfMethod(call: Call): LocalCall {
    const { pending } = this.sideOf(call);
    const at = pending.indexOf(call);
    if (at >= 0) pending.splice(at, 1);
    const local = call.local!;
    call.local = null;
    if (local.canceled && !call.canceled && !this.wasCut)
      throw new Broken(`call ${call.id} was canceled though somebody wants its results`);
    return local;
  }

  /** The vat where `call` arrived. */
  private sideOf(call: Call): Side {
    const node = endOf(call.on.node);
    return this.targets.find((target) => target.node === node)!.side;
  }

  // -- What happens at the caller ------------------------------------------------------------------------------------

  /** The results of `call` are there. */
  settled(call: Call, results: Results): void {
    call.settled = true;
    if (!call.responseHeld) return;
    const side = this.sides[call.on.vat]!;
    const source = answering(call);
    const certain = !this.wasCut && !endIsOpen(call);
    if (results.error !== null) {
      call.failed = true;
      if (certain && !mustFail(call))
        throw new Broken(`call ${call.id} failed: ${results.error.message}`);
      return;
    }
    if (source === null || source.answer !== AnswerKind.caps)
      throw new Broken(`call ${call.id} has results, but nobody returned any`);
    const payload = results.takePayload();
    if (valueOf(payload) !== source.id || payload.caps.length !== source.returned.length)
      throw new Broken(`call ${call.id} has the results of another`);
    for (let slot = 0; slot < payload.caps.length; slot++) {
      const cap = payload.caps[slot] ?? null;
      const sent = source.returned[slot]!;
      if (cap === null) {
        if (sent !== null && endOf(sent.node).kind !== NodeKind.null)
          throw new Broken(`result ${slot} of call ${call.id} was lost on the way`);
        continue;
      }
      if (sent === null) throw new Broken(`result ${slot} of call ${call.id} is not null`);
      const ref = this.resultRef(call, slot);
      if (!ref.live) side.refs.push(ref);
      ref.taken = cap;
    }
    // The response is consumed; what it held is held by the references.
    const first = this.refs.get(keyOf(call.id, 0));
    if (call.then !== 0 && first !== undefined && first.taken !== null)
      this.call(call.then, first, Method.echo, NO_ARGS, 0, 0);
  }

  private resultRef(call: Call, slot: number): Ref {
    const key = keyOf(call.id, slot);
    let ref = this.refs.get(key);
    if (ref === undefined) {
      ref = new Ref(key, call.on.vat, call.field(slot), null, 0, call, slot);
      this.refs.set(key, ref);
    }
    return ref;
  }

  private forget(call: Call): void {
    const { made } = this.sides[call.on.vat]!;
    const at = made.indexOf(call);
    if (at >= 0) made.splice(at, 1);
  }

  // -- References ----------------------------------------------------------------------------------------------------

  private hold(ref: Ref, hook: Hook): void {
    this.refs.set(ref.key, ref);
    if (!ref.live) this.sides[ref.vat]!.refs.push(ref);
    ref.hook = hook;
  }

  private release(ref: Ref): void {
    const { hook, taken, call } = ref;
    ref.hook = null;
    ref.taken = null;
    const { refs } = this.sides[ref.vat]!;
    refs.splice(refs.indexOf(ref), 1);
    if (call !== null && hook !== null && isOpen(call)) this.noteCancel(call);
    hook?.release();
    taken?.release();
  }

  /** The call whose results are those of `tail`. */
  handedOver(tail: Call): Call | null {
    for (const call of this.calls.values()) if (call.tail === tail) return call;
    return null;
  }

  /** Something of the unsettled results of `call` was let go: if it was the last, the call is canceled. */
  private noteCancel(call: Call): void {
    if (call.responseHeld || call.pipelineHeld) return;
    // Where the pipeline is set, what was pipelined needs the call no more.
    for (let slot = 0; slot < 3 && !hasSetPipeline(call); slot++)
      if (this.refs.get(keyOf(call.id, slot))?.live === true) return;
    call.cancel();
  }

  /** The references at `vat` under `keys`; null for those that are not there. */
  private some(keys: readonly number[], vat: number): (Ref | null)[] {
    return keys.map((key) => {
      const ref = key === NOTHING ? undefined : this.refs.get(key);
      return ref !== undefined && ref.live && ref.vat === vat ? ref : null;
    });
  }

  private payload(value: number, refs: readonly (Ref | null)[]): Payload {
    const caps: (Hook | null)[] = [];
    for (const ref of refs) caps.push(ref === null ? null : hookOf(ref).addRef());
    return new Payload(contentOf(value, refs.length), caps);
  }

  // -- Rules ---------------------------------------------------------------------------------------------------------

  /** Runs what the program does inside a job; what it finds broken is not lost in there. */
  guard(action: () => void): void {
    try {
      action();
    } catch (thrown) {
      this.failure ??= thrown;
      throw thrown;
    }
  }

  private check(): void {
    if (this.failure !== null) throw this.failure;
    for (const end of this.ends)
      if (end.shutdownWith !== null && !(this.wasCut && end.other.shutdownWith !== null))
        throw new Broken(`${end.vat.name} ended the connection: ${end.shutdownWith.message}`);
  }

  /** Brings everything to its end and demands what holds only then. */
  finish(): void {
    for (const side of this.sides) this.drain(side);
    this.settle();
    // Two calls withheld behind each other's ends would wait for ever (C-FLO-17).
    this.limits.incomingCallBytes = 1 << 30;
    for (const end of this.ends) end.connection.state.gate.run();
    for (const side of this.sides) this.drain(side);
    this.settle();
    judgeCancellation(this);
    for (let open = true; open;) {
      open = false;
      for (const side of this.sides) {
        while (side.pending.length > 0) {
          open = true;
          this.answerCaps(side.pending[0]!, NO_ARGS);
          this.drain(side);
        }
        while (side.promises.length > 0) {
          open = true;
          this.resolve(side.promises[0]!.id, FAILURE);
          this.drain(side);
        }
      }
      this.settle();
    }
    judgeCalls(this);
    for (const side of this.sides) {
      while (side.refs.length > 0) this.release(side.refs[side.refs.length - 1]!);
      while (side.made.length > 0) this.drop(side.made[side.made.length - 1]!, true, true);
      this.drain(side);
    }
    this.settle();
    judgeResidue(this);
  }

  private settle(): void {
    for (let n = 0; ;) {
      let quiet = true;
      for (const from of this.ends)
        if (from.sent.length > 0) {
          quiet = false;
          this.deliver(
            this.sides.findIndex((s) => s.vat === from.vat),
            this.sides.findIndex((s) => s.vat === from.other.vat),
          );
          this.check();
        }
      if (quiet) return;
      if (++n > 10_000) throw new Broken("the vats send messages in circles");
    }
  }
}
