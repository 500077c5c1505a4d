// Streams of stubs on a reference that reconnects. (What holds of its calls is in test/vat/reconnecting.test.ts, through stubs as well.)

import { afterEach, beforeEach, expect, it } from "vitest";
import {
  memoryPair,
  reconnecting,
  RpcError,
  RpcStub,
  RpcTarget,
  serve,
  Session,
} from "../../../src/index.js";
import { TestVats } from "../../../src/testing.js";
import { turn } from "../../support/messages.js";
import { expectNoResidue, resources } from "../../support/residue.js";
import { failure } from "../kit.js";

class Api extends RpcTarget {
  readonly number: number;
  readonly log: string[];
  constructor(number: number, log: string[]) {
    super();
    this.number = number;
    this.log = log;
  }
  /** Notes what is written, and on which connection. */
  open(): WritableStream<number> {
    return new WritableStream({ write: (chunk) => void this.log.push(`${this.number}: ${chunk}`) });
  }
  /** Numbers without an end. */
  count(): ReadableStream<number> {
    let next = 0;
    return new ReadableStream({ pull: (controller) => controller.enqueue(next++) });
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => expectNoResidue(before));

it("C-REC-01, C-REC-07: streams break with their connection, and nothing of them is made again; new ones go to the next", async () => {
  const log: string[] = [];
  const time = new TestVats();
  const sessions: Session[] = [];
  const dial = (): Session => {
    const [near, far] = memoryPair();
    const number = sessions.length / 2 + 1;
    const session = new Session(near);
    sessions.push(new Session(far, { bootstrap: () => serve(new Api(number, log)) }), session);
    return session;
  };
  const link = reconnecting(dial, { clock: time, random: () => 0.5 });
  const api = link.bootstrap(RpcStub<Api>);

  const writer = (await api.open()).getWriter();
  const reader = (await api.count()).getReader();
  await writer.write(1);
  expect((await reader.read()).value).toBe(0);
  for (let i = 0; i < 4; i++) await turn();
  const lost = new RpcError("disconnected", "connection-lost", "cut");
  sessions.at(-1)!.transport.close(lost);
  // Chunks that had come may still be read; then it is an error, never an end.
  const drained = (async () => {
    while (!(await reader.read()).done);
    return "ended";
  })();
  expect(await failure(drained)).toMatchObject({ type: "disconnected" });
  writer.closed.catch(() => {});
  expect(await failure(writer.write(2))).toMatchObject({ type: "disconnected" });

  const again = api.open();
  for (let i = 0; i < 4; i++) await turn();
  time.advance(1000);
  const anew = (await again).getWriter();
  await anew.write(3);
  await anew.close();
  expect(log).toEqual(["1: 1", "2: 3"]);

  api[Symbol.dispose]();
  await link.close();
  for (const session of sessions) {
    await session.closed;
    session.connection.check();
    expect(session.connection.idle, session.connection.dump()).toBe(true);
  }
  expect(time.pendingTimers).toBe(0);
});
