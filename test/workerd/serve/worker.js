// What calls the tests of serveWorkerd. Runs inside workerd.

import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Guest extends RpcTarget {
  #name;

  constructor(name) {
    super();
    this.#name = name;
  }

  get name() {
    return this.#name;
  }

  friend(name) {
    return new Guest(name);
  }

  greet(whom) {
    return `${this.#name} greets ${whom}`;
  }
}

function caught(error) {
  if (!(error instanceof Error)) return { value: error };
  const { name, message, stack, cause, ...own } = error;
  return {
    name,
    message,
    class: error.constructor.name,
    stack: String(stack),
    retryable: error.retryable,
    overloaded: error.overloaded,
    cause: cause instanceof Error ? caught(cause) : cause,
    code: error.code,
    own,
  };
}

async function failure(promise) {
  try {
    await promise;
    return null;
  } catch (error) {
    return caught(error);
  }
}

/** A stream of so many bytes, made as it is read. */
function madeOf(size) {
  let left = size;
  return new ReadableStream({
    type: "bytes",
    pull(controller) {
      const part = Math.min(left, 4096);
      left -= part;
      if (part > 0) controller.enqueue(new Uint8Array(part).fill(3));
      if (left === 0) controller.close();
    },
  });
}

async function sizeOf(stream) {
  let size = 0;
  for await (const chunk of stream) size += chunk.length;
  return size;
}

/** What the tests ask for, by way of the debug port. */
export class Caller extends WorkerEntrypoint {
  /** Calls `path` of the remote object with `args`. */
  async call(path, ...args) {
    let at = this.env.REMOTE;
    for (const step of path.slice(0, -1)) at = at[step];
    return await at[path.at(-1)](...args);
  }
  async get(path) {
    let at = this.env.REMOTE;
    for (const step of path) at = at[step];
    return await at;
  }
  fails(path, ...args) {
    return failure(this.call(path, ...args));
  }
  async pipelined() {
    return await this.env.REMOTE.room("lobby").say("hi");
  }
  async deeper() {
    const room = this.env.REMOTE.room("lobby");
    return await Promise.all([
      room.say("one"),
      room.members().count(),
      room.name,
      room.parts.first.greet("two"),
    ]);
  }
  async guests() {
    return await this.env.REMOTE.visit(new Guest("Ann"), (n) => n * 2);
  }
  /** Five kinds of calls, so often. */
  async visits(n) {
    for (let i = 0; i < n; i++) {
      const { REMOTE } = this.env;
      const [sum, said] = await Promise.all([REMOTE.add(i, 1), REMOTE.room("lobby").say("hi")]);
      if (sum !== i + 1 || said !== "lobby: hi") throw new Error("a call went wrong");
      using room = await REMOTE.room("kept");
      await room.say("hi");
      await this.guests();
      await failure(REMOTE.fails("own"));
    }
  }
  /** So many at once. */
  async parallel(n) {
    const { REMOTE } = this.env;
    return await Promise.all(Array.from({ length: n }, (_, i) => REMOTE.add(i, 1)));
  }

  // -- Streams, signals, requests

  async readStream(size, chunk) {
    return await sizeOf(await this.env.REMOTE.stream(size, chunk));
  }
  /** As many bytes as come while nobody reads on. */
  async readSlowly(size, chunk) {
    const stream = await this.env.REMOTE.stream(size, chunk);
    const reader = stream.getReader();
    await reader.read();
    await scheduler.wait(200);
    const made = await this.env.REMOTE.made();
    await reader.cancel();
    return made;
  }
  async readBroken() {
    return await failure(sizeOf(await this.env.REMOTE.brokenStream()));
  }
  async sendStream(size) {
    return await this.env.REMOTE.size(madeOf(size));
  }
  /** Until it breaks. */
  async sendEndless() {
    await this.env.REMOTE.readAll(madeOf(Infinity));
  }
  async echoStream(size) {
    return await sizeOf(await this.env.REMOTE.echo(madeOf(size)));
  }
  async sendBroken() {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const write = async () => {
      await writer.write(new Uint8Array(10));
      await writer.abort(new TypeError("broke off"));
    };
    this.ctx.waitUntil(write().catch(() => {}));
    return await failure(this.env.REMOTE.size(readable));
  }
  async writeIntoTheirs(size, chunk) {
    using sink = await this.env.REMOTE.sink();
    const writer = sink.writable.getWriter();
    for (let at = 0; at < size; at += chunk) await writer.write(new Uint8Array(chunk).fill(1));
    await writer.close();
    return await sink.size();
  }
  async lendWritable(chunks) {
    const { readable, writable } = new IdentityTransformStream();
    const read = sizeOf(readable);
    await this.env.REMOTE.writeInto(writable, chunks);
    return await read;
  }
  /** Pipes a stream of theirs into a stream of theirs. */
  async pipe(size) {
    using sink = await this.env.REMOTE.sink();
    const stream = await this.env.REMOTE.stream(size, 1000);
    await stream.pipeTo(sink.writable);
    return await sink.size();
  }
  async signal() {
    const controller = new AbortController();
    const told = this.env.REMOTE.aborted(controller.signal);
    await this.env.REMOTE.nothing();
    controller.abort(new TypeError("enough"));
    return caught(await told);
  }
  async theirSignal() {
    const { signal, fire } = await this.env.REMOTE.signal();
    const told = new Promise((resolve) =>
      signal.addEventListener("abort", resolve, { once: true }),
    );
    await fire();
    await told;
    return caught(signal.reason);
  }
  async web() {
    const { REMOTE } = this.env;
    const request = new Request("http://any.name/path?x=1", {
      method: "POST",
      body: "a body",
      headers: { "x-ask": "this" },
    });
    const response = await REMOTE.answer(request);
    const headers = await REMOTE.echo(new Headers({ a: "1", b: "2" }));
    const blob = await REMOTE.echo(new Blob(["some ", "bytes"], { type: "text/plain" }));
    return {
      status: response.status,
      answer: response.headers.get("x-answer"),
      text: await response.text(),
      headers: [...headers],
      blob: `${blob.type}: ${await blob.text()}`,
    };
  }

  // -- Stubs

  async echoes() {
    const { REMOTE } = this.env;
    using guest = await REMOTE.echo(new Guest("Cy"));
    using room = await REMOTE.room("there");
    using same = await REMOTE.echo(room);
    const plus = await REMOTE.echo((n) => n + 1);
    return [await guest.greet("you"), await same.say("hi"), await plus(1)];
  }
  async bridge(what) {
    const { REMOTE } = this.env;
    const { backend } = REMOTE;
    switch (what) {
      case "stub": {
        using room = await backend.room("a");
        return [await room.say("hi"), await room.members().count(), await room.name];
      }
      case "pipelined":
        return await Promise.all([
          backend.room("b").say("x"),
          backend.room("b").parts.first.greet("y"),
          backend.room("c").members().count(),
        ]);
      case "slow": {
        const promise = backend.slow();
        const early = [promise.say("1"), promise.say("2")];
        using room = await promise;
        return await Promise.all([...early, room.say("3")]);
      }
      case "parts": {
        using parts = await backend.parts();
        return [parts.n, await parts.room.say("in parts"), await backend.parts().room.say("piped")];
      }
      case "stream":
        return [await sizeOf(await backend.stream(100_000)), await backend.size(madeOf(100_000))];
      case "relays": {
        using parts = await REMOTE.relayParts();
        return [await parts.room.say("p"), await sizeOf(await REMOTE.relayStream(100_000))];
      }
      case "thing": {
        using thing = await REMOTE.thing("one");
        return [
          await thing.add(1),
          await REMOTE.thing("one").add(2),
          await thing.room("z").say("w"),
          await thing.tell((text) => `heard: ${text}`),
        ];
      }
      case "thingFails": {
        const thing = REMOTE.thing("one");
        return [await failure(thing.fails()), await failure(thing.nope())];
      }
      case "subscribe":
        await backend.subscribe((text) => `heard: ${text}`);
        return await backend.publish("published");
    }
  }
  maps() {
    return failure(this.env.REMOTE.numbers().map((n) => n + 1));
  }
  async connects() {
    const socket = this.env.REMOTE.connect("any.name:1");
    return await failure(socket.opened);
  }
  async passesPromise() {
    const { REMOTE } = this.env;
    return await failure(REMOTE.echo(REMOTE.room("promised")));
  }
  async callsStub() {
    using room = await this.env.REMOTE.stub();
    return await room.say("hi");
  }
  async disposes() {
    {
      using room = await this.env.REMOTE.room("to be disposed");
      await room.say("x");
    }
    using _parts = await this.env.REMOTE.parts();
  }
  async token() {
    const keeper = await this.env.REMOTE.echo(this.env.KEEPER.getByName("three"));
    return await keeper.ping();
  }
  async keep(name) {
    return await this.env.KEEPER.getByName("one").keep(name);
  }
  async useKept(text) {
    return await this.env.KEEPER.getByName("one").useKept(text);
  }
  async dropKept() {
    await this.env.KEEPER.getByName("one").dropKept();
  }
  async subscribe() {
    await this.env.KEEPER.getByName("two").subscribe();
  }
  async heard() {
    return await this.env.KEEPER.getByName("two").heard();
  }
  /** By who is gone when it returns. */
  async subscribeBriefly() {
    await this.env.REMOTE.subscribe(() => "still here");
  }
  /** Ends while a stream of theirs is being read, and one of its own written. */
  async leaves() {
    const stream = await this.env.REMOTE.stream(100_000_000, 1000);
    await stream.getReader().read();
    await this.env.REMOTE.keepStream(madeOf(100_000_000));
  }

  // -- Requests

  async page(path, init) {
    const response = await this.env.REMOTE.fetch(`http://any.name${path}`, init);
    return {
      status: response.status,
      text: await response.text(),
      kind: response.headers.get("x-kind"),
    };
  }
  async upload(size) {
    const { readable, writable } = new FixedLengthStream(size);
    this.ctx.waitUntil(madeOf(size).pipeTo(writable));
    const response = await this.env.REMOTE.fetch("http://any.name/echo", {
      method: "POST",
      body: readable,
    });
    return await sizeOf(response.body);
  }
  async socket() {
    const response = await this.env.REMOTE.fetch("http://any.name/socket", {
      headers: { upgrade: "websocket" },
    });
    const { webSocket } = response;
    webSocket.accept();
    const said = [];
    const closed = new Promise((resolve) => {
      webSocket.addEventListener("message", ({ data }) => {
        said.push(typeof data === "string" ? data : `${data.byteLength ?? data.size} bytes`);
        if (said.length === 2) webSocket.close(1000, "done");
      });
      webSocket.addEventListener("close", ({ code, reason }) => resolve([code, reason]));
    });
    webSocket.send("hi");
    webSocket.send(new Uint8Array(3));
    const end = await closed;
    return [...said, ...end];
  }
}

export class Keeper extends DurableObject {
  #kept = null;
  #heard = [];

  ping() {
    return "pong";
  }
  async keep(name) {
    this.#kept?.[Symbol.dispose]();
    this.#kept = await this.env.REMOTE.room(name);
    return await this.#kept.say("kept");
  }
  async useKept(text) {
    try {
      return await this.#kept.say(text);
    } catch (error) {
      return caught(error);
    }
  }
  dropKept() {
    this.#kept[Symbol.dispose]();
    this.#kept = null;
  }
  async subscribe() {
    await this.env.REMOTE.subscribe((text) => {
      this.#heard.push(text);
      return this.#heard.length;
    });
  }
  heard() {
    return this.#heard;
  }
}

export default {
  fetch: () => new Response("nothing here"),
};
