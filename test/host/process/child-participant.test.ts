// A process as the collector asks it: over a channel that the test answers by.

import { expect, it } from "vitest";
import { ChildParticipant } from "../../../src/host/process/child-participant.node.js";
import { answerCollector } from "../../../src/host/process/answer.js";
import { LiveRoots } from "../../../src/host/collect/live-roots.js";
import { LocalParticipant, type ObjectRunner } from "../../../src/host/collect/participant.js";
import type { CollectorQuestion, Question } from "../../../src/host/process/messages.js";
import { namespaceBytes } from "../../../src/host/storage/keys.js";
import { RpcError } from "../../../src/index.js";
import { later, settle } from "../kit.js";
import { failure } from "./kit.js";

const PARTS = namespaceBytes("PARTS");
const node = new Uint8Array([...PARTS, ...new Uint8Array(32).fill(200)]);
const name = String.fromCharCode(...node);

it("asks each question of the process, and gives what that answers", async () => {
  const roots = new LiveRoots([PARTS]);
  const ran: string[] = [];
  const runner: ObjectRunner = {
    breakCollected: (of) => ran.push(`broken ${of.length}`),
    runDispose: async (of) => {
      ran.push(`disposed ${of.length}`);
      throw new RpcError("failed", "object-broken", "the hook failed");
    },
  };
  const local = new LocalParticipant(roots, runner);
  const ask = async (question: Question): Promise<unknown> => {
    // As it goes over the channel.
    const said = JSON.parse(JSON.stringify(question)) as CollectorQuestion;
    return answerCollector(local, said);
  };
  const far = new ChildParticipant({ whenReady: Promise.resolve(), ask });
  const release = roots.hold([node])!;
  expect(await far.held()).toEqual([name]);
  expect(await far.condemn([name])).toBe(false);
  release();
  expect(await far.takeDropped()).toEqual([name]);
  expect(await far.takeDropped()).toEqual([]);
  expect(await far.condemn([name])).toBe(true);
  expect(await far.confirm()).toBe(true);
  roots.hold([node])!();
  expect(await far.confirm()).toBe(false);
  await far.endRound();
  expect(await far.confirm()).toBe(false);
  await far.doom([name]);
  expect(roots.isDoomed(node)).toBe(true);
  expect(await failure(far.dispose(name))).toMatchObject({ message: "the hook failed" });
  await far.forget([name]);
  expect(roots.isDoomed(node)).toBe(false);
  expect(ran).toEqual([`broken ${node.length}`, `disposed ${node.length}`]);
});

it("waits for one that has only begun, and not for ever for one that does not answer", async () => {
  const ready = later();
  const asked: string[] = [];
  const ask = (question: Question): Promise<unknown> => {
    asked.push((question as CollectorQuestion).ask);
    return new Promise(() => {});
  };
  const far = new ChildParticipant({ whenReady: ready.promise, ask }, 50);
  const held = failure(far.held());
  await settle();
  expect(asked).toEqual([]);
  ready.resolve();
  expect(await held).toMatchObject({ type: "overloaded", code: "deadline-exceeded" });
  expect(await failure(far.condemn([name]))).toMatchObject({ code: "deadline-exceeded" });
  expect(asked.at(-1)).toBe("condemn");
});
