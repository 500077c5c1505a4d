// Role: what must hold when a program has come to rest, and when everything has ended.
// State: none; it reads a world. Must not know: how the world came to be as it is.

import type { Hook } from "../../src/hook/hook.js";
import {
  AnswerKind,
  type Call,
  endIsOpen,
  firstLost,
  mayBeSkipped,
  mustFail,
  type Ref,
} from "./shadow.js";
import { keyOf } from "./ops.js";
import type { World } from "./world.js";

/** A property that did not hold. */
export class Broken extends Error {}

/** Who gave a call up for good, with everything in it, has stopped the method by now, however far away it runs. */
export function judgeCancellation(world: World): void {
  if (world.wasCut) return; // Then calls count as canceled that may only be lost.
  for (const side of world.sides)
    for (const call of side.pending) {
      let asked = call;
      for (let of = world.handedOver(asked); of !== null; of = world.handedOver(of)) asked = of;
      if (!asked.canceled || asked.results === null || wasUsed(world, asked)) continue;
      if (!call.local!.canceled && call.local!.cancelable)
        throw new Broken(`call ${call.id} was given up, and its method was not told`);
    }
}

/** Whether anything in the results of `call` was ever asked for. */
function wasUsed(world: World, call: Call): boolean {
  for (let slot = 0; slot < 3; slot++) if (world.refs.has(keyOf(call.id, slot))) return true;
  return false;
}

export function judgeCalls(world: World): void {
  for (const call of world.calls.values()) {
    if (call.delivered) {
      judgeFailStop(call);
      if (call.answer === AnswerKind.none) throw new Broken(`call ${call.id} was not answered`);
    }
    if (world.wasCut) {
      if (call.results !== null && call.responseHeld && !call.settled)
        throw new Broken(`call ${call.id} never settled`);
      continue;
    }
    if (mayBeSkipped(call)) continue;
    if (!call.delivered && !mustFail(call)) throw new Broken(`call ${call.id} never arrived`);
    if (endIsOpen(call) || call.results === null || !call.responseHeld) continue;
    if (!call.settled) throw new Broken(`call ${call.id} never settled`);
    if (call.failed !== mustFail(call))
      throw new Broken(`call ${call.id} ${call.failed ? "failed" : "did not fail"}`);
  }
}

/** E3: nothing is delivered behind what was lost, on the same reference or on one that it was made from. */
function judgeFailStop(call: Call): void {
  let { seq } = call;
  for (let ref: Ref | null = call.on; ref !== null; seq = ref.parentSeq, ref = ref.parent) {
    const lost = firstLost(ref);
    if (lost !== null && lost.seq < seq)
      throw new Broken(`call ${call.id} arrived though call ${lost.id} before it was lost`);
  }
}

export function judgeResidue(world: World): void {
  world.mesh.assertEmpty();
  for (const end of world.ends) end.connection.disconnected(null);
  for (const side of world.sides) {
    (side.vat.options.bootstrap as Hook).release();
    side.vat.scheduler.drain();
  }
  for (const target of world.targets)
    if (target.drops !== 1)
      throw new Broken(
        `an object at ${target.side.vat.name} was dropped ${target.drops} times at the end`,
      );
  for (const { id, hook } of world.promises)
    if (hook.refCount !== 0)
      throw new Broken(`promise ${id} has ${hook.refCount} holders at the end`);
}
