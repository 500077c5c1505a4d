// Role: the plain object graph that a run is judged by: what each reference stands for, and which calls on it must
// come before which.
// State: nodes (what is referred to), references (who refers to it from where), calls. No message, no hook semantics.
// Must not know: how capabilities travel.

import type { Hook } from "../../src/hook/hook.js";
import type { Payload } from "../../src/hook/payload.js";
import type { LocalCall } from "../../src/hook/local.js";
import type { Results } from "../../src/hook/results.js";

export const NodeKind = { object: 0, promise: 1, field: 2, broken: 3, null: 4 } as const;

/** What a reference stands for: an object, or something that becomes one. */
export class Node {
  readonly kind: number;
  /** What a promise or a field of results turned out to be. */
  next: Node | null = null;
  /** The reference that was put in its place, and how many calls had been made on that one by then: they come first. */
  via: Ref | null = null;
  viaSeq = 0;
  /** Of a field: the call in whose results it is. */
  readonly call: Call | null;

  constructor(kind: number, call: Call | null = null) {
    this.kind = kind;
    this.call = call;
  }

  settle(next: Node, via: Ref | null): void {
    this.next = next;
    this.via = via;
    this.viaSeq = via === null ? 0 : via.seq;
  }
}

export const BROKEN = new Node(NodeKind.broken);
export const NULL = new Node(NodeKind.null);

/** The end of what is known of `node`; fields of calls that can never be made are broken. */
export function endOf(node: Node): Node {
  for (;;) {
    if (node.next !== null) node = node.next;
    else if (node.kind === NodeKind.field && !node.call!.delivered) {
      const target = endOf(node.call!.on.node);
      return target.kind === NodeKind.broken || target.kind === NodeKind.null ? BROKEN : node;
    } else return node;
  }
}

/** One reference held at one vat. Calls on it are numbered, and keep that order (E1). */
export class Ref {
  readonly key: number;
  readonly vat: number;
  readonly node: Node;
  /** The reference it was made from by passing it on, and the calls made on that one before: they come first (E2). */
  readonly parent: Ref | null;
  readonly parentSeq: number;
  /** Calls made on it. */
  seq = 0;
  readonly calls: Call[] = [];
  /** No call numbered below this may be delivered any more. */
  barrier = -1;
  /** What it is held by: got by pipelining or any other way, and taken from results. Both for a field asked for twice. */
  hook: Hook | null = null;
  taken: Hook | null = null;
  /** Of a result: which call's. */
  readonly call: Call | null;
  readonly slot: number;
  uses = 0;

  constructor(
    key: number,
    vat: number,
    node: Node,
    parent: Ref | null,
    parentSeq: number,
    call: Call | null = null,
    slot = 0,
  ) {
    this.key = key;
    this.vat = vat;
    this.node = node;
    this.parent = parent;
    this.parentSeq = parentSeq;
    this.call = call;
    this.slot = slot;
  }

  get live(): boolean {
    return this.hook !== null || this.taken !== null;
  }
}

export const AnswerKind = { none: 0, caps: 1, error: 2, tail: 3 } as const;

/** One call. */
export class Call {
  readonly id: number;
  readonly on: Ref;
  /** Its number among the calls on that reference. */
  readonly seq: number;
  readonly method: number;
  readonly args: readonly (Ref | null)[];
  readonly argSeqs: readonly number[];
  /** Ids for the calls that its method, or the sight of its results, makes. */
  readonly child: number;
  readonly then: number;
  /** Held by the caller; null for a tail call, whose results go elsewhere. */
  results: Results | null = null;
  responseHeld = true;
  pipelineHeld = true;
  settled = false;
  failed = false;
  /** Given up before it settled: it may be delivered or not, and so may all that depends on it. */
  canceled = false;
  delivered = false;
  local: LocalCall | null = null;
  answer: number = AnswerKind.none;
  returned: readonly (Ref | null)[] = [];
  /** What it set its pipeline to, and will return. */
  early: Payload | null = null;
  tail: Call | null = null;
  private readonly fields: (Node | undefined)[] = [];

  constructor(
    id: number,
    on: Ref,
    method: number,
    args: readonly (Ref | null)[],
    child: number,
    then: number,
  ) {
    this.id = id;
    this.on = on;
    this.seq = on.seq++;
    this.method = method;
    this.args = args;
    this.argSeqs = args.map((arg) => (arg === null ? 0 : arg.seq));
    this.child = child;
    this.then = then;
    on.calls.push(this);
  }

  field(slot: number): Node {
    let node = this.fields[slot];
    if (node !== undefined) return node;
    this.fields[slot] = node = new Node(NodeKind.field, this);
    this.settleField(node, slot);
    return node;
  }

  answerCaps(caps: readonly (Ref | null)[]): void {
    this.answer = AnswerKind.caps;
    this.returned = caps;
    this.settleFields();
  }

  /** The pipeline is set: fields lead there from now on, and the answer will say the same. */
  setPipeline(caps: readonly (Ref | null)[], payload: Payload): void {
    this.returned = caps;
    this.early = payload;
    this.settleFields();
  }

  answerError(): void {
    this.answer = AnswerKind.error;
    this.settleFields();
  }

  answerTail(tail: Call): void {
    this.answer = AnswerKind.tail;
    this.tail = tail;
    if (this.canceled) tail.cancel();
    this.settleFields();
  }

  cancel(): void {
    this.canceled = true;
    this.tail?.cancel();
  }

  private settleFields(): void {
    for (let slot = 0; slot < 3; slot++) this.field(slot);
    this.fields.forEach((node, slot) => {
      if (node !== undefined && node.next === null) this.settleField(node, slot);
    });
  }

  private settleField(node: Node, slot: number): void {
    if (this.answer === AnswerKind.caps || this.early !== null) {
      const cap = this.returned[slot] ?? null;
      node.settle(cap === null ? NULL : cap.node, cap);
    } else if (this.answer === AnswerKind.error) node.settle(BROKEN, null);
    else if (this.answer === AnswerKind.tail) node.settle(this.tail!.field(slot), null);
  }
}

/** Whether `call` may be skipped: it was canceled, or what it was made on comes from a call that may be. */
export function mayBeSkipped(call: Call): boolean {
  return call.canceled || dependsOnSkipped(call.on.node);
}

function dependsOnSkipped(node: Node): boolean {
  for (let at: Node | null = node; at !== null; at = at.next)
    if (at.kind === NodeKind.field && mayBeSkipped(at.call!)) return true;
  return false;
}

/** Whether how `call` ends is open, because it or a call it handed its results over to may be skipped. */
export function endIsOpen(call: Call): boolean {
  return mayBeSkipped(call) || (call.tail !== null && endIsOpen(call.tail));
}

/** The call whose answer is the answer of `call`; null while that is open. */
export function answering(call: Call): Call | null {
  let at = call;
  while (at.answer === AnswerKind.tail) at = at.tail!;
  return at.answer === AnswerKind.none ? null : at;
}

/** Whether `call` has, in the end, to fail. */
export function mustFail(call: Call): boolean {
  let at = call;
  while (at.answer === AnswerKind.tail) at = at.tail!;
  if (at.answer !== AnswerKind.none) return at.answer === AnswerKind.error;
  const end = endOf(at.on.node);
  return !at.delivered && (end.kind === NodeKind.broken || end.kind === NodeKind.null);
}

/**
 * Whether `node` waits for `what`, or keeps it alive: then putting it in the place of `what` would close a circle. What
 * waits in a circle waits for ever in every implementation; and since a question is finished as a whole, a promise that
 * became one field of some results, and is itself another field of the same results, is kept by them for ever.
 */
export function waitsFor(node: Node, what: Node | Call): boolean {
  const seen = new Set<Call>();
  const visit = (start: Node): boolean => {
    for (let at: Node | null = start; at !== null; at = at.next) {
      if (at === what) return true;
      if (at.kind !== NodeKind.field) continue;
      const call = at.call!;
      if (call === what) return true;
      if (seen.has(call)) continue;
      seen.add(call);
      if (!call.delivered && visit(call.on.node)) return true;
      for (const ref of call.returned) if (ref !== null && visit(ref.node)) return true;
    }
    return false;
  };
  return visit(node);
}

/**
 * Takes note that `call` is delivered: what was made before it can come no more. False when this one comes too late
 * itself (E1, E2, E4).
 */
export function delivered(call: Call): boolean {
  const inOrder = call.seq >= call.on.barrier;
  raise(call.on, call.seq);
  return inOrder;
}

function raise(ref: Ref, seq: number): void {
  for (let at: Ref | null = ref; at !== null;) {
    if (at.barrier >= seq) return;
    at.barrier = seq;
    for (let node: Node | null = at.node; node !== null; node = node.next)
      if (node.via !== null) raise(node.via, node.viaSeq);
    seq = at.parentSeq;
    at = at.parent;
  }
}

/** The first call on `ref` that is lost though it had a target and nobody gave it up; Infinity when none is. */
export function firstLost(ref: Ref): Call | null {
  for (const call of ref.calls)
    if (!call.delivered && endOf(ref.node).kind === NodeKind.object && !mayBeSkipped(call))
      return call;
  return null;
}
