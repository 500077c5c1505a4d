// Runs inside workerd: gives back values, makes them by name, and says how it sees them.

import { DurableObject, RpcTarget } from "cloudflare:workers";

class Mine extends RpcTarget {}
class MyError extends Error {
  name = "MyError";
}

const MAKERS = {
  stub: () => new Mine(),
  stubs: () => ({ a: new Mine(), b: () => 1, c: [new Mine()] }),
  shared: () => {
    const one = new Mine();
    return [one, one];
  },
  readable: () => new Response("text").body,
  writable: () => new WritableStream(),
  signal: () => new AbortController().signal,
  aborted: () => AbortSignal.abort(new RangeError("enough")),
  headers: () =>
    new Headers([
      ["Content-Type", "text/plain"],
      ["X-Mine", "é"],
      ["Set-Cookie", "a=1"],
      ["Set-Cookie", "b=2"],
    ]),
  request: () => new Request("https://a.test/b?c", { method: "PUT", headers: { "X-A": "1" } }),
  requestBody: () => new Request("https://a.test/", { method: "POST", body: "text" }),
  requestAll: () =>
    new Request("https://a.test/", {
      redirect: "manual",
      cf: { x: 1 },
      signal: new AbortController().signal,
      cache: "no-store",
      integrity: "",
    }),
  response: () => new Response(null, { status: 204, headers: { "X-A": "1" } }),
  responseBody: () => new Response("text", { status: 201, statusText: "Mine" }),
  responseManual: () => new Response("text", { encodeBody: "manual", cf: { y: [1] } }),
  blob: () => new Blob(["a", new Uint8Array([0, 255])], { type: "text/x" }),
  file: () => new File(["abc"], "name.txt", { type: "text/y" }),
  url: () => new URL("https://a.test/"),
  error: () => Object.assign(new TypeError("wrong", { cause: { n: 1 } }), { code: "E1" }),
  named: () => Object.assign(new MyError("mine"), { code: 7 }),
  aggregate: () => new AggregateError([new Error("a")], "all"),
  domException: () => new DOMException("dom", "AbortError"),
  resizable: () => new Uint8Array(new ArrayBuffer(4, { maxByteLength: 16 }), 1),
  shared_memory: () => new SharedArrayBuffer(8),
  float16: () => new Float16Array([1.5, -2]),
  nullPrototype: () => Object.assign(Object.create(null), { a: 1 }),
  instance: () =>
    new (class Point {
      x = 1;
    })(),
  promise: () => Promise.resolve(1),
  service: (env) => env.VALUES.get(env.VALUES.idFromName("other")),
  mixed: () => ({ f: () => 1, s: new Response("text").body, again: new Map([[1, () => 2]]) }),
};

/** What of a value this side sees, in words. */
async function describe(value) {
  if (value instanceof Headers) return { headers: [...value] };
  if (value instanceof Request)
    return {
      url: value.url,
      method: value.method,
      headers: [...value.headers],
      redirect: value.redirect,
      body: await value.text(),
    };
  if (value instanceof Response)
    return {
      status: value.status,
      statusText: value.statusText,
      headers: [...value.headers],
      body: await value.text(),
    };
  if (value instanceof Blob)
    return { type: value.type, bytes: new Uint8Array(await value.arrayBuffer()) };
  if (value instanceof AbortSignal) return { aborted: value.aborted, reason: String(value.reason) };
  if (value instanceof DOMException)
    return { dom: value.name, message: value.message, code: value.code };
  if (value instanceof Error) {
    const { constructor, name, message, cause, stack, ...own } = value;
    const errors = value.errors?.map(String);
    return { constructor: constructor.name, name, message, cause, stack, own, errors };
  }
  if (value instanceof ReadableStream) return { text: await new Response(value).text() };
  return Object.prototype.toString.call(value);
}

export class Values extends DurableObject {
  echo(value) {
    return value;
  }
  all(...values) {
    return values;
  }
  make(name) {
    return MAKERS[name](this.env, this.ctx);
  }
  describe(value) {
    return describe(value);
  }
  async call(stub, ...args) {
    return await stub(...args);
  }
}

export default {
  fetch() {
    return new Response("use the debug port", { status: 404 });
  },
};
