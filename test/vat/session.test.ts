// Sessions on memory transports and sockets: one write a turn, the end in all its forms, pressure both ways, silence.

import fs from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { once } from "node:events";
import { PassThrough, Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { limitsWith } from "../../src/base/limits.js";
import { bytesParams } from "../../src/cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import { memoryPair } from "../../src/transport/memory.js";
import { socketTransport } from "../../src/transport/socket.node.js";
import { StreamTransport } from "../../src/transport/stream.node.js";
import type { TransportOptions } from "../../src/transport/transport.js";
import { nodeSession } from "../../src/vat/connect.node.js";
import { Session, type SessionOptions } from "../../src/vat/session.js";
import { nodeTurnEnd } from "../../src/vat/turn.node.js";
import { microtaskTurnEnd, type TurnEnd } from "../../src/vat/turn.js";
import { MessageTag } from "../../src/wire/descriptors.js";
import type { Frame } from "../../src/wire/frame.js";
import { Batch } from "../../src/wire/outbox.js";
import { Listener, turn } from "../support/messages.js";
import { payload } from "../support/objects.js";
import { expectNoResidue, resources } from "../support/residue.js";
import { answerTo, ask, closeAll, failure, object, watchWrites } from "../support/vats.js";

/** A peer's side that notes the kinds of messages and answers none. */
class Deaf extends Listener {
  readonly tags: number[] = [];

  override message(frame: Frame): void {
    this.tags.push(frame.view.getUint16(frame.segStart[0]! + 8, true));
  }
}

/** When what should happen within a second has failed to, in milliseconds: what delays this process delays that, too. */
const LATE = 5000;

describe("session", () => {
  let before: Map<string, number>;
  let sessions: Session[];

  beforeEach(() => {
    before = resources();
    sessions = [];
  });

  afterEach(async () => {
    await closeAll(...sessions);
    for (const session of sessions) {
      session.connection.check();
      expect(session.connection.idle, session.connection.dump()).toBe(true);
    }
    await expectNoResidue(before);
  });

  function session(...[transport, options]: ConstructorParameters<typeof Session>): Session {
    const made = new Session(transport, options);
    sessions.push(made);
    return made;
  }

  /** A client of a server that offers an object. */
  function pair(
    methods: Parameters<typeof object>[0] = {},
    options: SessionOptions & TransportOptions = {},
    serverOptions: SessionOptions = options,
  ) {
    const [near, far] = memoryPair(options);
    const { recorder, hook } = object(methods);
    const client = session(near, options);
    const server = session(far, { bootstrap: hook, ...serverOptions });
    hook.release();
    return { client, server, recorder, near, far };
  }

  async function sockets(
    options: SessionOptions & TransportOptions = {},
    where: net.ListenOptions = { port: 0, host: "127.0.0.1" },
  ) {
    const listener = net.createServer({ pauseOnConnect: true });
    listener.listen(where);
    await once(listener, "listening");
    const at = listener.address() as string | net.AddressInfo;
    const near = typeof at === "string" ? net.connect(at) : net.connect(at.port, at.address);
    const [far] = (await once(listener, "connection")) as [net.Socket];
    await (near.connecting ? once(near, "connect") : undefined);
    listener.close();
    return {
      near: socketTransport("near", near, options),
      far: socketTransport("far", far, options),
    };
  }

  it("C-FRM-23: calls the other side's bootstrap capability, and ends in order when nothing is open", async () => {
    const { client, server, recorder } = pair();
    const remote = client.bootstrap();
    expect(await ask(remote, 0, 7)).toBe(7);
    expect(recorder.seen).toEqual([7]);
    remote.release();
    await turn();
    expect([client.error, server.error]).toEqual([null, null]);
    const writes = watchWrites(client.transport);
    await client.close();
    expect(await client.closed).toBeNull();
    expect(await server.closed).toBeNull();
    // No Abort, only the end.
    expect(writes).toEqual([]);
    expect(recorder.droppedTimes).toBe(1);
  });

  it("C-FRM-17: a turn that says much leaves in parts, in order, and all of it is answered", async () => {
    const { client, recorder } = pair();
    const remote = client.bootstrap();
    await ask(remote, 0, 1);
    const before = client.writes;
    const asked = Array.from({ length: 1000 }, (_, i) => ask(remote, 0, i));
    expect(client.writes - before, "while the turn goes on").toBeGreaterThan(2);
    expect(await Promise.all(asked)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    expect(recorder.seen.slice(1)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    remote.release();
  });

  it("gives a client class instead of the bare hook", async () => {
    class Remote {
      readonly hook;
      constructor(hook: Hook) {
        this.hook = hook;
      }
    }
    const { client } = pair();
    const remote = client.bootstrap(Remote);
    expect(remote).toBeInstanceOf(Remote);
    expect(await ask(remote.hook, 0, 3)).toBe(3);
    remote.hook.release();
  });

  it("offers a client, which stays its owner's", async () => {
    const { recorder, hook } = object();
    const [near, far] = memoryPair();
    const offered = { _hook: hook };
    const client = session(near);
    session(far, { bootstrap: offered });
    const remote = client.bootstrap();
    await ask(remote, 0, 1);
    remote.release();
    await client.close();
    await turn();
    expect(recorder.droppedTimes).toBe(0);
    hook.release();
    await turn();
    expect(recorder.droppedTimes).toBe(1);
  });

  for (const [name, turnEnd] of [
    ["node", nodeTurnEnd],
    ["microtask", microtaskTurnEnd],
  ] as const) {
    it(`C-FRM-17: ${name}: all that is written in one turn leaves in one write`, async () => {
      const { near, far } = await sockets();
      let asks = 0;
      /** Never asked again before it ran. */
      const strict: TurnEnd = (run) => {
        const ask = turnEnd(() => {
          asks--;
          run();
        });
        return (canWait) => {
          expect(asks++).toBe(0);
          ask(canWait);
        };
      };
      const { hook } = object({
        1: (call, value) => call.returns(payload(value, hook.addRef())),
      });
      const client = session(near, { turnEnd: strict });
      session(far, { bootstrap: hook, turnEnd });
      hook.release();
      const remote = client.bootstrap();
      const asked = watchWrites(near);
      const answered = watchWrites(far);
      const answers = Array.from({ length: 100 }, (_, i) => ask(remote, 0, i));
      expect(asked).toEqual([]);
      expect(await Promise.all(answers)).toEqual(Array.from({ length: 100 }, (_, i) => i));
      // The Bootstrap and what goes with it are among them.
      expect(asked.length).toBeLessThanOrEqual(2);
      expect(asked[0]).toBeGreaterThanOrEqual(101);
      expect(answered.length).toBeLessThanOrEqual(2);
      await turn();
      // The next call of an `await` that just got its answer leaves together with what the answer made us say: the
      // Release and Finish for the capability in it.
      asked.length = 0;
      for (let i = 0; i < 10; i++) await ask(remote, 1, i);
      await turn();
      expect(asked.length).toBe(11);
      expect(asked[5]).toBeGreaterThanOrEqual(2);
      remote.release();
    });
  }

  it("node: a turn's end asked for twice comes once, and one that can wait comes after turns that follow at once", async () => {
    const log: string[] = [];
    const ask = nodeTurnEnd(() => log.push("end"));
    ask(true);
    ask(true);
    process.nextTick(() => log.push("tick"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(["tick", "end"]);
    log.length = 0;
    ask(true);
    ask(false);
    ask(false);
    await Promise.resolve();
    await new Promise((resolve) => process.nextTick(resolve));
    expect(log).toEqual(["end"]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(["end", "end"]);
  });

  it("microtask: a turn's end asked for twice comes once", async () => {
    let ends = 0;
    const ask = microtaskTurnEnd(() => ends++);
    ask(false);
    ask(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends).toBe(1);
    ask(true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(ends).toBe(2);
  });

  it("C-FRM-17: acknowledgements of a stream wait for what is read at once with it, and leave with what cannot wait", async () => {
    const held: (() => void)[] = [];
    let holds = false;
    const deliver = (run: () => void): void => {
      if (holds) held.push(run);
      else queueMicrotask(run);
    };
    const stream = (call: LocalCall): void => {
      call.streaming();
      call.returns();
    };
    const { client, far } = pair({ 2: stream }, { defer: deliver, turnEnd: nodeTurnEnd } as object);
    const turnOver = (): Promise<void> => new Promise((resolve) => process.nextTick(resolve));
    const remote = client.bootstrap();
    await ask(remote, 0, 1);
    await turn();
    const answered = watchWrites(far);
    holds = true;
    const streamed: Promise<unknown>[] = [];
    using clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    const four = async (msEach: number): Promise<void> => {
      answered.length = 0;
      for (let i = 0; i < 4; i++) {
        streamed.push(ask(remote, 2, i));
        await Promise.resolve();
        await turnOver();
        held.splice(0).forEach((run) => run());
        await Promise.resolve();
        await turnOver();
        clock.mockReturnValue(performance.now() + msEach);
      }
    };
    await four(0);
    expect(answered).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toEqual([4]);
    // Not while chunks are handled slowly: the peer would sit before a full window until the last of them.
    await four(1);
    expect(answered).toEqual([1, 1, 1]);
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toEqual([1, 1, 1, 1]);
    // With a call behind it the acknowledgement does not wait.
    answered.length = 0;
    streamed.push(ask(remote, 2, 4), ask(remote, 0, 5));
    await Promise.resolve();
    await turnOver();
    held.shift()!();
    held.splice(0).forEach((run) => run());
    await Promise.resolve();
    await turnOver();
    expect(answered).toEqual([2]);
    holds = false;
    held.splice(0).forEach((run) => run());
    await Promise.all(streamed);
    remote.release();
  });

  it("C-FRM-17: on a Unix socket, which holds three large chunks, each is acknowledged in its turn", async () => {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-"));
    const { near, far } = await sockets({}, { path: path.join(folder, "s") });
    expect([near.shallow, far.shallow]).toEqual([true, true]);
    const { hook } = object({
      2(call) {
        call.streaming();
        call.returns();
      },
    });
    const client = session(near, {});
    const server = nodeSession(far, { bootstrap: hook });
    sessions.push(server);
    hook.release();
    const remote = client.bootstrap();
    await ask(remote, 0, 1);
    const acknowledged = watchWrites(far);
    using _clock = vi.spyOn(performance, "now").mockReturnValue(1000);
    const chunks = Array.from({ length: 8 }, () => {
      const large = new Payload(bytesParams(new Uint8Array(64 * 1024), false));
      return answerTo(remote.call(new CallRequest(0, 0x7e57, 2, large)));
    });
    await Promise.all(chunks);
    expect(acknowledged).toEqual(chunks.map(() => 1));
    remote.release();
    fs.rmSync(folder, { recursive: true });
  });

  it("knows carriers that hold little: pipes and Unix sockets, not TCP", async () => {
    const { near, far } = await sockets();
    expect([near.shallow, far.shallow]).toEqual([false, false]);
    const pipes = new StreamTransport("pipes", new PassThrough(), new PassThrough());
    expect(pipes.shallow).toBe(true);
    for (const transport of [near, far, pipes]) {
      transport.start(new Listener());
      transport.close();
    }
  });

  it("C-DIS-07: close with calls under way fails them and tells the peer", async () => {
    const canceled: number[] = [];
    const { client, server } = pair({
      1: (call, value) => {
        call.onCancel = () => {
          canceled.push(value);
          call.fails(new RpcError("failed", "call-canceled", "canceled"));
        };
      },
    });
    const remote = client.bootstrap();
    const waiting = failure(ask(remote, 1, 5));
    await turn();
    await client.close();
    expect(await waiting).toMatchObject({ type: "disconnected", code: "connection-closed" });
    expect(await client.closed).toBeNull();
    expect(await server.closed).toMatchObject({ type: "disconnected", code: "peer-aborted" });
    expect(canceled).toEqual([5]);
    // C-DIS-04: later calls fail the same way, and are known not to have been sent.
    const late = await failure(ask(remote, 0, 1));
    expect(late).toMatchObject({
      type: "disconnected",
      code: "connection-closed",
      delivery: "not-sent",
    });
    remote.release();
    const dead = client.bootstrap();
    expect(await failure(ask(dead, 0, 1))).toMatchObject({ type: "disconnected" });
    dead.release();
  });

  it("C-FRM-23: with a capability still held, the Abort comes first, then the half of the end", async () => {
    for (const open of [false, true]) {
      const { near, far } = await sockets();
      const client = session(near, { grace: 50 });
      const peer = new Deaf();
      far.start(peer);
      if (open) client.bootstrap();
      await turn();
      const closed = client.close();
      expect(await peer.ended()).toBeNull();
      await closed;
      expect(peer.tags).toEqual(open ? [MessageTag.bootstrap, MessageTag.abort] : []);
    }
  });

  it("C-FRM-18: when writing fails reading has ended too, and all see one and the same error", async () => {
    // Two streams, as of a child process: that one breaks does not touch the other.
    const input = new PassThrough();
    let broken = false;
    const output = new Writable({
      write(_chunk, _encoding, done) {
        done(broken ? Object.assign(new Error("write EPIPE"), { code: "EPIPE" }) : null);
      },
    });
    const client = session(new StreamTransport("pipes", input, output));
    const remote = client.bootstrap();
    const first = failure(ask(remote, 0, 1));
    await turn();
    broken = true;
    const second = failure(ask(remote, 0, 2));
    const cause = await client.closed;
    expect(cause).toMatchObject({ type: "disconnected", code: "connection-lost" });
    expect(input.destroyed).toBe(true);
    expect(client.error).toBe(cause);
    const later = await failure(ask(remote, 0, 3));
    for (const error of [await first, await second, later]) {
      expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
      expect(error.message).toBe(cause!.message);
    }
    remote.release();
  });

  it("close with a reason gives it to the calls, to the peer and to `closed`", async () => {
    const { client, server } = pair();
    const reason = new RpcError("overloaded", "queue-full", "enough for today");
    await client.close(reason);
    expect((await client.closed)!.cause).toBe(reason);
    expect((await server.closed)!.message).toContain("enough for today");
    await client.close();
    await client[Symbol.asyncDispose]();
  });

  it("C-DIS-01: what is no message is answered by an Abort, the end, and soon the close", async () => {
    const { near, far } = await sockets();
    const client = session(near, { grace: 50 });
    const peer = new Deaf();
    far.start(peer);
    const hook = client.bootstrap();
    const waiting = failure(ask(hook, 0, 1));
    await turn();
    far.write(new Batch([new Uint8Array(16).fill(0xff)], 16, [16], []));
    expect(await waiting).toMatchObject({ type: "disconnected", code: "malformed-frame" });
    const cause = await client.closed;
    expect(cause).toMatchObject({ type: "disconnected", code: "malformed-frame" });
    expect(cause!.cause).toMatchObject({ type: "failed" });
    // Bootstrap and Call, then the Abort, then the end.
    expect(await peer.ended()).toBeNull();
    expect(peer.tags.slice(-2)).toEqual([MessageTag.call, MessageTag.abort]);
    hook.release();
  });

  it("a peer that does not end after an Abort is let go after the grace", async () => {
    const { near, far } = await sockets();
    far.start(new Deaf());
    // Longer than the default: a bound from below is true on a busy machine, too.
    const client = session(near, { grace: 1300 });
    // Like a peer that is stuck: it neither reads nor ends.
    far.pause();
    const started = performance.now();
    await client.close(new RpcError("failed", "internal-error", "x"));
    expect(performance.now() - started).toBeGreaterThan(1290);
    expect(performance.now() - started).toBeLessThan(LATE);
    far.close();
    await turn();
  });

  it("C-DIS-08: a peer that goes without a word breaks what is open", async () => {
    const { near, far } = await sockets();
    const client = session(near);
    const peer = new Listener();
    far.start({
      message: () => far.close(),
      fault: () => {},
      closed: (error) => peer.closed(error),
    });
    const remote = client.bootstrap();
    const error = await failure(ask(remote, 0, 1));
    expect(error).toMatchObject({ type: "disconnected", code: "connection-lost" });
    expect(error.delivery).toBe("unknown");
    await client.closed;
    remote.release();
  });

  it("C-DIS-09: answers that came before the end are given before it", async () => {
    const { client, server } = pair();
    const remote = client.bootstrap();
    await ask(remote, 0, 1);
    const answer = ask(remote, 0, 2);
    await turn();
    await server.close();
    expect(await answer).toBe(2);
    remote.release();
  });

  it("C-FLO-20: a peer that never reads is ended as overloaded at the hard limit", async () => {
    const limits = limitsWith({ outgoingBytes: 500_000, outgoingBytesHard: 4_000_000 });
    const { near, far } = await sockets({ limits });
    const client = session(near, { limits, grace: 50 });
    far.pause();
    const remote = client.bootstrap();
    const outcomes: Promise<RpcError>[] = [];
    let most = 0;
    for (let i = 0; i < 20_000 && client.error === null; i++) {
      for (let j = 0; j < 100; j++) outcomes.push(failure(ask(remote, 0, j)));
      await Promise.resolve();
      if (i % 20 === 0) await turn();
      most = Math.max(most, client.bufferedBytes);
    }
    expect(client.error).toMatchObject({ type: "disconnected", code: "limit-exceeded" });
    expect(client.error!.cause).toMatchObject({ type: "overloaded" });
    expect(client.error!.message).toContain("outgoingBytesHard");
    expect(most).toBeLessThan(4_500_000);
    for (const error of await Promise.all(outcomes)) expect(error.code).toBe("limit-exceeded");
    expect(await client.closed).toBe(client.error);
    expect(client.bufferedBytes).toBe(0);
    remote.release();
    far.start(new Deaf());
    far.close();
    await turn();
  });

  it("C-FLO-19: whenWritable waits for room, and lets a flood through bounded memory", async () => {
    const limits = limitsWith({ outgoingBytes: 200_000 });
    const { near, far } = await sockets({ limits });
    const { recorder, hook } = object();
    const client = session(near, { limits });
    session(far, { bootstrap: hook, limits });
    hook.release();
    const remote = client.bootstrap();
    const answers: Promise<number>[] = [];
    let most = 0;
    // The Bootstrap, and what began with it.
    expect(client.backlog.messages).toBeGreaterThanOrEqual(1);
    expect(client.backlog.bytes).toBe(client.bufferedBytes);
    for (let i = 0; i < 20_000; i++) {
      answers.push(ask(remote, 0, i));
      most = Math.max(most, client.bufferedBytes);
      await client.whenWritable();
    }
    await Promise.all(answers);
    expect(recorder.seen.length).toBe(20_000);
    expect(most).toBeLessThan(400_000);
    expect(client.backlog).toEqual({ bytes: 0, messages: 0, oldestMs: 0 });
    remote.release();
  });

  /** Limits under which a handful of calls is a flood: one is handled, a few are withheld. */
  const TIGHT = limitsWith({ incomingCallBytes: 100, withheldCallBytes: 400 });

  it("C-FLO-17, 18: over the reserve reading stops, under it everything goes on, in order", async () => {
    const held: LocalCall[] = [];
    const { client, server, far, recorder } = pair(
      { 1: (call) => void held.push(call) },
      {},
      { limits: TIGHT },
    );
    let pauses = 0;
    const pause = far.pause.bind(far);
    far.pause = () => {
      pauses++;
      pause();
    };
    const remote = client.bootstrap();
    const answers: Promise<number>[] = [];
    for (let i = 0; i < 300; i++) {
      answers.push(ask(remote, 1, i));
      if (i % 10 === 9) await turn();
    }
    for (let i = 0; i < 10; i++) await turn();
    expect(pauses).toBe(1);
    expect(server.connection.readingExhausted).toBe(true);
    expect(server.connection.state.answers.size).toBeLessThan(60);
    while (recorder.seen.length < 300 || held.length > 0) {
      const call = held.shift();
      call?.returns(payload(recorder.seen.length));
      await turn();
    }
    await Promise.all(answers);
    expect(recorder.seen).toEqual(Array.from({ length: 300 }, (_, i) => i));
    expect(server.connection.readingExhausted).toBe(false);
    remote.release();
  });

  it("C-FLO-18: a flood that does not abate ends the connection as overloaded", async () => {
    const { client, server, recorder } = pair(
      {
        1: (call) =>
          void (call.onCancel = () => call.fails(new RpcError("failed", "call-canceled", "x"))),
      },
      {},
      { limits: TIGHT, pressureTimeout: 100 },
    );
    const remote = client.bootstrap();
    const errors = Array.from({ length: 100 }, (_, i) => failure(ask(remote, 1, i)));
    const started = performance.now();
    const cause = await server.closed;
    expect(cause).toMatchObject({ type: "disconnected", code: "limit-exceeded" });
    expect(cause!.cause).toMatchObject({ type: "overloaded" });
    expect(performance.now() - started).toBeGreaterThan(90);
    for (const error of await Promise.all(errors)) expect(error.type).toBe("disconnected");
    expect((await client.closed)!.message).toContain("withheldCallBytes");
    expect(recorder.seen.length).toBeGreaterThan(0);
    remote.release();
  });

  it("C-LIF-28: silence counts only while calls wait, and any answer is a sign of life", async () => {
    const held: LocalCall[] = [];
    const [near, far] = memoryPair();
    const { hook } = object({ 1: (call) => void held.push(call) });
    const watchful = session(near, { silenceTimeout: 300 });
    session(far, { bootstrap: hook });
    hook.release();
    const remote = watchful.bootstrap();
    await ask(remote, 0, 1);
    // Nothing is asked: nothing is missed.
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(watchful.error).toBeNull();
    // One call takes long, others are answered meanwhile.
    const long = failure(ask(remote, 1, 1));
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 80));
      await ask(remote, 0, i);
    }
    expect(watchful.error).toBeNull();
    const quiet = performance.now();
    expect(await long).toMatchObject({ type: "disconnected", code: "peer-unresponsive" });
    const took = performance.now() - quiet;
    expect(took).toBeGreaterThan(150);
    expect(took).toBeLessThan(LATE);
    expect(await watchful.closed).toMatchObject({ code: "peer-unresponsive" });
    remote.release();
  });

  it("C-LIF-28: it does not count while this side has stopped reading", async () => {
    const held: LocalCall[] = [];
    const [near, far] = memoryPair();
    const { hook } = object({ 1: (call) => void held.push(call) });
    const limits = limitsWith({ incomingCallBytes: 100, withheldCallBytes: 100 });
    const watchful = session(near, { silenceTimeout: 150, bootstrap: hook, limits });
    const peer = session(far, { bootstrap: hook });
    hook.release();
    const [theirs, ours] = [watchful.bootstrap(), peer.bootstrap()];
    const asked = ask(theirs, 1, 1);
    await turn();
    expect(held).toHaveLength(1);
    const flood = [1, 2, 3].map((value) => ask(ours, 1, value));
    await turn();
    expect(watchful.connection.readingExhausted).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(watchful.error).toBeNull();
    for (let ended = 0; ended < 4; ended++) {
      while (held.length === 0) await turn();
      held.shift()!.returns(payload(7));
    }
    for (const one of [asked, ...flood]) expect(await one).toBe(7);
    for (const cap of [theirs, ours]) cap.release();
    await watchful.close();
    await peer.closed;
  });

  it("a session that watches for silence leaves no timer when it ends otherwise", async () => {
    const { client, server } = pair({}, { silenceTimeout: 60_000, pressureTimeout: 60_000 });
    await turn();
    await server.close();
    await client.closed;
  });

  it("refuses times that are none", () => {
    const [near, far] = memoryPair();
    for (const option of ["silenceTimeout", "pressureTimeout", "grace"]) {
      for (const value of [-1, Number.NaN, Infinity, 2 ** 31, "5" as unknown as number])
        expect(() => new Session(near, { [option]: value })).toThrow(
          `${option} must be milliseconds from 0 to 2147483647`,
        );
    }
    near.close();
    far.close();
  });
});
