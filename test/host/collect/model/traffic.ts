// What processes say to each other in a run, and how they begin and end.

import { nameOfNode } from "../../../../src/host/collect/live-roots.js";
import {
  nodeOfReference,
  type ObjectReference,
} from "../../../../src/host/references/reference.js";
import { heldByReference } from "../../../../src/host/references/table.js";
import { End, type Exported, type Said } from "./connections.js";
import { type Holder, joinReleases, outsider, Process, type Stub } from "./process.js";
import { State } from "./state.js";

export class Traffic extends State {
  protected send(holder: Holder, to: ObjectReference, passed: Stub | null): void {
    const { process } = holder;
    this.counts.calls++;
    if (this.processOf(nodeOfReference(to)) === process) {
      const called = this.activateIn(process, nodeOfReference(to));
      if (passed !== null) called.stubs.push(this.stub(process, passed.reference));
    } else {
      const isCounted = this.fault !== "calls on their way";
      const release = this.hold(process, heldByReference(to), isCounted);
      const params = passed && {
        reference: passed.reference,
        release: this.hold(process, heldByReference(passed.reference)),
      };
      process.outgoing.push({ to, call: { holder, release }, passed: params });
      if (this.rng.chance(50)) this.dispatch(process);
    }
    // Whoever passes something on often needs it no more.
    if (passed !== null && this.rng.chance(25)) this.drop(holder, passed);
  }

  /** The first call of a process that waits for a connection is sent, if there is somebody to send it to. @returns whether it was. */
  protected dispatch(process: Process): boolean {
    const first = process.outgoing[0];
    if (first === undefined || process.slowUntil > this.now) return false;
    const target = this.processOf(nodeOfReference(first.to));
    if (target === null) {
      this.counts["calls that waited for a process"]++;
      return false;
    }
    process.outgoing.shift();
    const { to, call, passed } = first;
    this.counts["calls between processes"]++;
    const end = End.between(process, target);
    end.calls.add(call);
    const given = passed === null ? null : this.export(end, passed.reference);
    const nodes = [...heldByReference(to), ...(given ? heldByReference(given.reference) : [])];
    const onItsWay = this.hold(target, nodes, false);
    end.say({ kind: "call", to, passed: given, call, onItsWay });
    passed?.release();
    return true;
  }

  protected export(end: End, reference: ObjectReference): Exported {
    const release = this.hold(end.process, heldByReference(reference));
    const exported = { reference, release };
    end.exports.add(exported);
    return exported;
  }

  /** Whoever has it is told whom it stands for, and holds that for himself. */
  protected import(end: End, exported: Exported): Stub {
    const { reference } = exported;
    const release = this.holdReference(end.process, reference, this.fault !== "imports");
    const giveBack = (): void => end.say({ kind: "release", exported, onItsWay: () => {} });
    return { reference, release: joinReleases([release, giveBack]), end };
  }

  /** Something is read, somewhere. */
  protected carry(): void {
    const isSlow = ({ slowUntil }: { readonly slowUntil: number }): boolean => slowUntil > this.now;
    const waiting = this.alive.filter((one) => one.outgoing.length > 0 && !isSlow(one));
    if (waiting.length > 0 && this.rng.chance(20)) this.dispatch(this.pick(waiting)!);
    const end = this.pick(
      this.alive.flatMap(({ ends }) => [...ends].filter((one) => one.isReadable && !isSlow(one))),
    );
    if (end === undefined) return;
    // What comes after its sender's end takes the longest.
    if (end.other.isOver && this.rng.chance(85)) return;
    this.receive(end);
  }

  /** All that a process has sent arrives. */
  protected carryAll(from: Process): void {
    for (const { other } of from.ends) while (other.queue.length > 0) this.receive(other);
  }

  protected receive(end: End): void {
    const wasAfter = end.other.isOver;
    const said = end.next();
    if (said === null) return;
    if (wasAfter) this.counts["read after the sender's end"]++;
    this.heed(end, said);
    said.onItsWay();
  }

  protected heed(end: End, said: Said): void {
    const { rng, counts } = this;
    if (said.kind === "ask")
      return end.say({ kind: "answered", done: said.done, onItsWay: () => {} });
    if (said.kind === "answered") {
      end.asked.delete(said.done);
      return said.done();
    }
    if (said.kind === "release") {
      counts["given back"]++;
      end.exports.delete(said.exported);
      return said.exported.release();
    }
    if (said.kind === "answer") {
      counts.answers++;
      const { holder, release } = said.call;
      end.calls.delete(said.call);
      for (const exported of said.given) {
        const stub = this.import(end, exported);
        if (holder.isOver || rng.chance(40)) stub.release();
        else holder.stubs.push(stub);
      }
      return release();
    }
    const called = this.activateIn(end.process, nodeOfReference(said.to));
    if (said.passed !== null) {
      called.stubs.push(this.import(end, said.passed));
      counts["passed between processes"]++;
    }
    const given = rng.chance(40) ? [this.export(end, said.to)] : [];
    const result = rng.chance(20) ? this.pick(called.stubs) : undefined;
    if (result !== undefined) given.push(this.export(end, result.reference));
    const nodes = given.flatMap(({ reference }) => heldByReference(reference));
    const onItsWay = this.hold(end.other.process, nodes, false);
    end.say({ kind: "answer", call: said.call, given, onItsWay });
  }

  protected loseConnection(end: End | undefined): void {
    if (end === undefined) return;
    this.counts["lost connections"]++;
    end.close(this.rng);
    if (this.rng.chance(20)) end.other.lose();
  }

  /** Resolves when what others had sent to a process is there. */
  async arrived(process: Process): Promise<void> {
    if (this.fault === "no fence") return;
    const ends = [...process.ends];
    if (ends.some(({ other }) => other.isOver)) this.counts["fences that waited"]++;
    const asked = ends.map(
      (end) =>
        new Promise<void>((resolve) => {
          end.asked.add(resolve);
          end.say({ kind: "ask", done: resolve, onItsWay: () => {} });
        }),
    );
    await Promise.all(asked);
  }

  /** Somebody outside of all objects has got it, in another process. */
  protected give(process: Process, { reference }: Stub): void {
    const others = this.outside.filter((one) => !one.isOver && one.process !== process);
    const client = this.pick(others);
    if (client === undefined) return;
    const end = End.between(process, client.process);
    client.stubs.push(this.import(end.other, this.export(end, reference)));
    if (this.rng.chance(50)) this.loseConnection(this.rng.chance(50) ? end : end.other);
  }

  /** What a process has to say takes its time. */
  protected slowDown(process: Process): void {
    process.slowUntil = this.now + 60;
    for (const { other } of process.ends) other.slowUntil = this.now + 60;
  }

  /** A process ends. What it had given to the store is made: others' writes are behind it. */
  kill(old = this.pick(this.alive)): void {
    if (old === undefined) return;
    this.counts["killed processes"]++;
    this.disk.commit();
    const { index } = old;
    this.processes[index] = null;
    old.end();
    // What is on its way to others is still theirs.
    for (const end of old.ends) end.close(this.rng);
    for (const entry of this.held) if (entry.process === old) this.held.delete(entry);
    for (const holder of [...old.active.values(), this.outside[index]!]) {
      holder.isOver = true;
      holder.stubs.splice(0);
    }
    this.sockets = this.sockets.filter(({ process }) => process !== old);
  }

  /** Another begins in the place of one that has ended. */
  restart(index = this.pick([0, 1, 2, 3].filter((one) => this.processes[one] === null))): void {
    if (index === undefined) return;
    this.counts["restarted processes"]++;
    this.begun++;
    this.processes[index] = new Process(index, false);
  }

  /** It has read who is being collected, and does its work. */
  ready(process = this.pick(this.alive.filter(({ isReady }) => !isReady))): void {
    if (process === undefined) return;
    const collecting = this.view.range({ from: Uint8Array.of(5, 2), to: Uint8Array.of(5, 3) });
    if (this.fault !== "newcomers know nobody")
      process.roots.doom(Array.from(collecting, ({ key }) => nameOfNode(key.slice(2))));
    process.isReady = true;
    this.outside[process.index] = outsider(process);
  }
}
