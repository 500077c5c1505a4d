// Section 3, C-BST: the first capability of a connection.

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { brokenHook } from "../../src/hook/results.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import type { MessageWriter } from "../../src/wire/message-writer.js";
import { content, Recorder, tell } from "../support/objects.js";
import { answer, BARE, hosted, promised, RawPeer, yours } from "../support/raw-peer.js";

it("C-BST-01: the results of Bootstrap are one bare capability pointer, described in slot 0", () => {
  const peer = new RawPeer();
  expect(peer.bootstrap(0)).toEqual(["return 0 results bare 0 caps=[senderHosted 0]"]);
  expect(peer.finish(0)).toEqual([]);
  peer.done();
});

it("C-BST-02: calls pipelined on Bootstrap arrive in order, whatever shape an empty transform has", () => {
  const server = new Recorder();
  const peer: RawPeer = new RawPeer({
    bootstrap: () => (offer = new PromiseHook(peer.scheduler)).addRef(),
  });
  let offer!: PromiseHook;
  const object = peer.object(server);
  peer.bootstrap(0);
  // Our writer leaves the transform of an empty path null.
  peer.call(1, answer(0), { value: 1 });
  // One operation, turned into a noop.
  const write = (value: number) => (w: MessageWriter) =>
    w.call(value, 1, 0, [9], 0, 0x7e57, 0, 0, 0, content(value), new Descriptors());
  peer.send(write(2), (message) => {
    const view = new DataView(message.buffer);
    view.setUint32(operation(view), 0, true);
  });
  // A list without elements: its tag, a word before the operation, counts none.
  peer.send(write(3), (message) => {
    const view = new DataView(message.buffer);
    view.setUint32(operation(view) - 8, 0, true);
  });
  expect(server.seen).toEqual([]);
  expect(peer.acts(() => offer.resolve(object.addRef()))).toEqual([
    "resolve 0 senderHosted 1",
    "return 1 results value=1 noFinish",
    "return 2 results value=2 noFinish",
    "return 3 results value=3 noFinish",
  ]);
  expect(server.seen).toEqual([1, 2, 3]);
  peer.finish(0);
  peer.release(1);
  offer.release();
  peer.done();
});

/** Where the operation "pointer 9" stands in a message. */
function operation(view: DataView): number {
  for (let at = 0; ; at += 8) if (view.getUint32(at, true) === (1 | (9 << 16))) return at;
}

it("C-BST-03: a vat without a bootstrap object answers with an exception and lives on", () => {
  const peer = new RawPeer({ bootstrap: null });
  expect(peer.bootstrap(0)).toEqual([
    'return 0 exception failed "this vat offers no bootstrap capability"',
  ]);
  peer.finish(0);
  expect(peer.over).toBe(null);
  peer.done();
});

it("C-BST-04: a factory that throws fails the Bootstrap with its own error", () => {
  const peer = new RawPeer({
    bootstrap: () => {
      throw new RpcError("overloaded", "limit-exceeded", "come back later");
    },
  });
  expect(peer.bootstrap(0)).toEqual(['return 0 exception overloaded "come back later"']);
  peer.finish(0);
  peer.done();
});

it("C-BST-04: a factory may return a promise, which pipelining goes through, and which may break", () => {
  const promises: PromiseHook[] = [];
  const peer = new RawPeer({
    bootstrap: () => {
      const promise = new PromiseHook(peer.scheduler);
      promises.push(promise.addRef());
      return promise;
    },
  });
  const server = new Recorder();
  const object = peer.object(server);
  expect(peer.bootstrap(0)).toEqual(["return 0 results bare 0 caps=[senderPromise 0]"]);
  expect(peer.call(1, 0, { value: 5 })).toEqual([]);
  expect(peer.acts(() => promises[0]!.resolve(object.addRef()))).toEqual([
    "resolve 0 senderHosted 1",
    "return 1 results value=5 noFinish",
  ]);
  expect(peer.bootstrap(2)).toEqual(["return 2 results bare 0 caps=[senderPromise 2]"]);
  expect(
    peer.acts(() => promises[1]!.reject(new RpcError("failed", "no-bootstrap", "closed"))),
  ).toEqual(['resolve 2 failed "closed"']);
  peer.finish(0);
  peer.finish(2);
  peer.release(1);
  for (const promise of promises) promise.release();
  peer.done();
});

/** A Bootstrap with the Text `id` as deprecatedObjectId. */
function bootstrapById(peer: RawPeer, question: number, id: string): string[] {
  // Bootstrap's pointer is the last word of its message: a list pointer to the words appended.
  const plain = peer.encode((w) => w.bootstrap(question));
  const text = new TextEncoder().encode(`${id}\0`);
  const message = new Uint8Array(plain.length + ((text.length + 7) & -8));
  message.set(plain);
  message.set(text, plain.length);
  const view = new DataView(message.buffer);
  view.setUint32(4, view.getUint32(4, true) + (message.length - plain.length) / 8, true);
  view.setUint32(plain.length - 8, 1, true);
  view.setUint32(plain.length - 4, 2 | (text.length << 3), true);
  return peer.bytes(message);
}

it("C-BST-05: an object id fails by default, and goes to the restorer where there is one", () => {
  const plain = new RawPeer();
  expect(bootstrapById(plain, 0, "calc")[0]).toMatch(
    /^return 0 exception failed "Bootstrap by object id/,
  );
  plain.finish(0);
  plain.done();

  const asked: string[] = [];
  const peer: RawPeer = new RawPeer({
    restorer: (id) => {
      asked.push(new TextDecoder().decode(id.bytes.subarray(8)).replaceAll("\0", ""));
      if (asked.length > 1)
        return brokenHook(new RpcError("failed", "no-bootstrap", "unknown"), peer.scheduler);
      return object.addRef();
    },
  });
  const object = peer.object(new Recorder());
  expect(bootstrapById(peer, 0, "calc")).toEqual(["return 0 results bare 0 caps=[senderHosted 0]"]);
  expect(bootstrapById(peer, 1, "nothing")).toEqual([
    "return 1 results bare 0 caps=[senderPromise 1]",
    'resolve 1 failed "unknown"',
  ]);
  expect(asked).toEqual(["calc", "nothing"]);
  peer.finish(0);
  peer.finish(1);
  peer.done();
});

it("C-BST-06: the factory is asked for each connection, and may give each another object", () => {
  const made: string[] = [];
  const connect = (name: string) => {
    const server = new Recorder();
    const peer: RawPeer = new RawPeer({
      bootstrap: () => {
        made.push(name);
        return object.addRef();
      },
    });
    const object = peer.object(server);
    return { peer, server };
  };
  const one = connect("one");
  const two = connect("two");
  for (const { peer } of [one, two]) {
    expect(made).toHaveLength(peer === one.peer ? 0 : 1);
    peer.bootstrap(0);
    peer.call(1, 0, { value: peer === one.peer ? 1 : 2 });
    peer.finish(0);
    peer.done();
  }
  expect([made, one.server.seen, two.server.seen]).toEqual([["one", "two"], [1], [2]]);
});

it("C-BST-08: a Bootstrap again has a question of its own and counts the same export once more", () => {
  const peer = new RawPeer();
  expect(peer.bootstrap(0)).toEqual(["return 0 results bare 0 caps=[senderHosted 0]"]);
  expect(peer.bootstrap(1)).toEqual(["return 1 results bare 0 caps=[senderHosted 0]"]);
  peer.finish(0, false);
  peer.finish(1, false);
  peer.release(0, 1);
  expect(peer.connection.stats().exports).toBe(1);
  peer.release(0, 1);
  peer.done();
});

it("C-BST-09: Bootstrap is finished without a release once its capability is imported, with one when canceled", () => {
  const peer = new RawPeer();
  let cap = peer.connection.bootstrap();
  expect(peer.drain()).toEqual(["bootstrap 0"]);
  expect(peer.returns(0, { caps: [hosted(7)], content: BARE })).toEqual(["finish 0"]);
  expect(peer.acts(() => cap.release())).toEqual(["release 7 x1"]);

  cap = peer.connection.bootstrap();
  expect(peer.drain()).toEqual(["bootstrap 0"]);
  expect(peer.acts(() => cap.release())).toEqual(["finish 0 releaseResults"]);
  expect(peer.returns(0, { caps: [hosted(7)], content: BARE })).toEqual([]);
  peer.done();
});

it("C-BST-10: calls pipelined on Bootstrap after its Return go where that Return led, for good", () => {
  const peer: RawPeer = new RawPeer({
    bootstrap: () => (offer = new PromiseHook(peer.scheduler)).addRef(),
  });
  let offer!: PromiseHook;
  const home = new Recorder();
  expect(peer.bootstrap(0)).toEqual(["return 0 results bare 0 caps=[senderPromise 0]"]);
  const theirs = peer.remote(promised(9));
  expect(peer.acts(() => offer.resolve(theirs.addRef()))).toEqual(["resolve 0 receiverHosted 9"]);
  expect(peer.call(1, answer(0), { value: 1 })).toEqual(["call 0 import 9 method=0 value=1"]);
  // Their promise turns out to be an object of ours; calls for the Bootstrap still go round by it (C-RES-18).
  const given = tell(theirs, 5, peer.object(home).addRef());
  expect(peer.drain()).toEqual(["call 1 import 9 method=0 value=5 caps=[senderHosted 1]"]);
  expect(peer.resolve(9, yours(1))).toEqual(["disembargo senderLoopback 0 import 9"]);
  expect(peer.call(2, answer(0), { value: 2 })).toEqual(["call 2 import 9 method=0 value=2"]);
  expect(home.seen).toEqual([]);
  peer.returns(0, { value: 1 });
  peer.returns(1, { releaseParams: true });
  peer.returns(2, { value: 2 });
  expect(given.settled).toBe(true);
  peer.disembargo(1, 1, 0);
  theirs.release();
  offer.release();
  expect(peer.finish(0)).toEqual(["release 9 x1"]);
  peer.done();
});
