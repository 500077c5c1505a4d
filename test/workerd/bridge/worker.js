// What the tests of the bridge call. Runs inside workerd.

import { DurableObject, RpcTarget, WorkerEntrypoint } from "cloudflare:workers";

class Counter extends RpcTarget {
  #count;
  #disposed;

  constructor(count, disposed) {
    super();
    this.#count = count;
    this.#disposed = disposed;
  }

  get count() {
    return this.#count;
  }

  add(by = 1) {
    return (this.#count += by);
  }

  /** One more, which counts by itself. */
  fork() {
    return new Counter(this.#count, this.#disposed);
  }

  plus(other) {
    return other.count.then((count) => count + this.#count);
  }

  [Symbol.dispose]() {
    this.#disposed?.();
  }
}

class Refused extends Error {
  name = "Refused";
  code = "E_REFUSED";
}

/** What both kinds have. */
const METHODS = {
  echo: (value) => value,
  echoCounter: (value) => value,
  echoFunction: (value) => value,
  echoStream: (value) => value,
  echoParts: (value) => value,
  add(a, b) {
    return a + b;
  },
  nothing() {},
  counter(from = 0) {
    return new Counter(from, () => this.noteDisposed());
  },
  parts() {
    return { name: "parts", inner: { counter: new Counter(5) }, twice: (n) => 2 * n };
  },
  disposable() {
    return { n: 1, [Symbol.dispose]: () => this.noteDisposed() };
  },
  async callBack(callback, ...args) {
    return await callback(...args);
  },
  async visit(guest) {
    const badge = await guest.name;
    using friend = guest.friend("Bo");
    return [badge, await friend.greet(badge), await guest.greet("room")];
  },
  async catches(callback) {
    try {
      await callback();
      return null;
    } catch (error) {
      return {
        isError: error instanceof Error,
        name: error.name,
        message: error.message,
        code: error.code,
        stack: String(error.stack),
        overloaded: error.overloaded,
        retryable: error.retryable,
        value: error instanceof Error ? null : error,
      };
    }
  },
  fails(kind) {
    if (kind === "type") throw new TypeError("of type", { cause: new RangeError("the cause") });
    if (kind === "own") throw Object.assign(new Refused("not you"), { detail: { n: 1 } });
    // oxlint-disable-next-line no-throw-literal -- it is allowed, so it happens
    if (kind === "object") throw { no: "error" };
    if (kind === "abort") throw new DOMException("dom", "AbortError");
    throw new Error("plain");
  },
  refuses(_stream) {
    throw new TypeError("no streams here");
  },
  async size(stream) {
    let size = 0;
    for await (const chunk of stream) size += chunk.length;
    return size;
  },
  stream(size, chunk = 1000) {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    const write = async () => {
      for (let at = 0; at < size; at += chunk)
        await writer.write(new Uint8Array(Math.min(chunk, size - at)).fill(7));
      await writer.close();
    };
    this.ctx.waitUntil(write().catch(() => {}));
    return readable;
  },
  async writeInto(writable, chunks) {
    const writer = writable.getWriter();
    for (let i = 1; i <= chunks; i++) await writer.write(new Uint8Array(1000).fill(i));
    await writer.close();
  },
  async copy(from, into) {
    await from.pipeTo(into);
  },
  /** A stream that the caller writes into, and how many bytes it came to. */
  sink() {
    const { readable, writable } = new IdentityTransformStream();
    const size = METHODS.size(readable);
    return { writable, size: () => size };
  },
  /** The same, without anything else that would keep the event. */
  sinkAlone() {
    const { readable, writable } = new IdentityTransformStream();
    const counted = METHODS.size(readable).then((size) => (lastSize = size));
    counted.catch(() => {});
    return writable;
  },
  lastSize: () => lastSize,
  note(n) {
    noted.push(n);
  },
  notes() {
    return noted.splice(0);
  },
  echoSignal: (signal) => signal.aborted,
  async aborted(signal) {
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    return signal.reason;
  },
  async answer(request) {
    const body = await request.text();
    return new Response(`${request.method} ${new URL(request.url).pathname} ${body}`, {
      status: 201,
      headers: { "x-answer": request.headers.get("x-ask") },
    });
  },
  async describeBlob(blob) {
    return `${blob.type}: ${await blob.text()}`;
  },
  props() {
    return this.ctx.props;
  },
  room(name) {
    return this.env.ROOM.get(this.env.ROOM.idFromName(name));
  },
  async token(room) {
    return await room.add(20, 22);
  },
  never() {
    return new Promise(() => {});
  },
};

let disposals = 0;
let lastSize = 0;
const noted = [];

async function answered(request, ctx) {
  const url = new URL(request.url);
  if (request.headers.get("upgrade") === "websocket") {
    const { 0: client, 1: server } = new WebSocketPair();
    server.accept();
    server.addEventListener("message", ({ data }) => server.send(`got ${data}`));
    return new Response(null, { status: 101, webSocket: client });
  }
  if (url.pathname === "/fails") throw new TypeError("no such page");
  if (request.body === null) return new Response(`hello from ${url.pathname}`);
  return new Response(request.body, { headers: { "x-kind": ctx.constructor.name } });
}

export class Room extends DurableObject {
  #kept = null;

  noteDisposed() {
    disposals++;
  }
  disposals() {
    return disposals;
  }
  id() {
    return this.ctx.id.toString();
  }
  keep(callback) {
    this.#kept = callback.dup();
  }
  async callKept(...args) {
    return await this.#kept(...args);
  }
  dropKept() {
    this.#kept[Symbol.dispose]();
    this.#kept = null;
  }
  reset() {
    this.ctx.abort("reset for a test");
  }
  idOf(name) {
    return this.env.ROOM.idFromName(name).toString();
  }
  fetch(request) {
    return answered(request, this.ctx);
  }
}

export class Desk extends WorkerEntrypoint {
  noteDisposed() {
    disposals++;
  }
  disposals() {
    return disposals;
  }
  fetch(request) {
    return answered(request, this.ctx);
  }
}

for (const Class of [Room, Desk]) Object.assign(Class.prototype, METHODS);

export default {
  fetch: (request, env, ctx) => answered(request, ctx),
};
