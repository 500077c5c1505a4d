// The values of the matrix in docs/workerd.md, and what is told of each where it arrives. Runs in Node and inside workerd.

const bytes = (n) => Uint8Array.from({ length: n }, (_, i) => i);

function streamOf(...chunks) {
  return new ReadableStream({
    type: "bytes",
    start(controller) {
      for (const chunk of chunks) controller.enqueue(chunk);
      controller.close();
    },
  });
}

class Own extends Error {
  name = "Own";
  code = "E_OWN";
}

class Point {
  x = 1;
}

function cyclic() {
  const value = { name: "loop", list: [] };
  value.list.push(value, value.list);
  return value;
}

function signal() {
  const controller = new AbortController();
  setTimeout(() => controller.abort(new TypeError("late")), 20);
  return controller.signal;
}

/** By name. `target` is the RpcTarget of the platform, `env` what only a Worker has. */
export const MAKERS = {
  "`undefined`": () => undefined,
  "`null`, booleans": () => [null, true, false],
  numbers: () => [0, -0, 1.5, -1, 2 ** 40, NaN, Infinity],
  text: () => ["", "ascii", "ü", "日本", "\u{1f600}"],
  "text with a lone surrogate": () => "\ud800",
  "`BigInt`": () => [0n, -1n, 2n ** 100n],
  "`Symbol`": () => Symbol("s"),
  "plain objects": () => ({ a: 1, b: { c: [1, 2] } }),
  "objects without a prototype": () => Object.assign(Object.create(null), { a: 1 }),
  arrays: () => [1, "a", [2]],
  // oxlint-disable-next-line no-sparse-arrays -- holes are values too
  "arrays with holes": () => [1, , 3],
  "`Map`, `Set`": () => [new Map([["a", { n: 1 }]]), new Set([1, "b"])],
  loops: cyclic,
  "`Date`": () => new Date(1e12),
  "`RegExp`": () => /a+/gi,
  boxes: () => [Object(1), Object("s"), Object(true), Object(2n)],
  "`ArrayBuffer`": () => bytes(10).buffer,
  "typed arrays": () => [
    bytes(3),
    new Int16Array([1, -1]),
    new Float64Array([1.5]),
    new BigInt64Array([5n]),
  ],
  "`DataView`": () => new DataView(bytes(4).buffer, 1, 2),
  "`Error`, with `cause`": () => new Error("outer", { cause: new RangeError("inner") }),
  "errors of the language": () => [new TypeError("t"), new SyntaxError("s"), new URIError("u")],
  "errors of a class of one's own": () => new Own("own"),
  "`AggregateError`": () => new AggregateError([new Error("a")], "all"),
  "`DOMException`": () => new DOMException("d", "AbortError"),
  "`Headers`": () => new Headers({ a: "1", b: "2" }),
  "`Request`": () =>
    new Request("http://any.name/x", { method: "POST", body: "body", headers: { a: "1" } }),
  "`Response`": () => new Response("body", { status: 201, headers: { a: "1" } }),
  "`Blob`": () => new Blob(["some bytes"], { type: "text/plain" }),
  "`File`": () => new File(["some bytes"], "name.txt", { type: "text/plain" }),
  "`FormData`": () => {
    const data = new FormData();
    data.set("a", "1");
    return data;
  },
  "`URL`": () => new URL("http://any.name/"),
  "`URLSearchParams`": () => new URLSearchParams("a=1"),
  "`ReadableStream` of bytes": () => streamOf(bytes(5), bytes(3)),
  "`ReadableStream` of other values": () =>
    new ReadableStream({
      start(controller) {
        controller.enqueue({ n: 1 });
        controller.close();
      },
    }),
  "`WritableStream`": () => {
    const written = [];
    const stream = new WritableStream({
      write: (chunk) => void written.push(...new Uint8Array(chunk)),
    });
    return { stream, written: () => written };
  },
  "`TransformStream`": () => new TransformStream(),
  "`AbortSignal` that has fired": () => AbortSignal.abort(new TypeError("reason")),
  "`AbortSignal` that fires": signal,
  functions: () => (n) => n + 1,
  "`RpcTarget`": ({ target }) => target(),
  stubs: ({ stub }) => stub(),
  promises: () => Promise.resolve(1),
  "promises of calls": ({ promise }) => promise(),
  "instances of other classes": () => new Point(),
  "`WeakMap`": () => new WeakMap(),
  "`SharedArrayBuffer`": () => new SharedArrayBuffer(8),
  "stubs of services and durable objects": ({ service }) => service?.(),
};

/** What can be said of a value, the same at both sides. Uses it up. */
export async function told(value) {
  const seen = new Map();
  return await tell(value, seen);
}

async function tell(value, seen) {
  switch (typeof value) {
    case "undefined":
      return "undefined";
    case "string":
      return JSON.stringify(value);
    case "number":
      return Object.is(value, -0) ? "-0" : String(value);
    case "bigint":
      return `${value}n`;
    case "boolean":
      return String(value);
    case "symbol":
      return "a symbol";
    case "function":
      return await tellCallable(value);
  }
  if (value === null) return "null";
  if (seen.has(value)) return `loop ${seen.get(value)}`;
  seen.set(value, seen.size);
  return await tellObject(value, seen);
}

/** A function, or a stub of one or of an object. */
async function tellCallable(value) {
  try {
    return `a function: ${await value(1)}`;
  } catch {
    return `an object: ${await value.double(4)}`;
  }
}

async function tellObject(value, seen) {
  const all = async (list) => (await inTurn(list, (one) => tell(one, seen))).join(", ");
  const name = value.constructor?.name;
  if (Array.isArray(value)) {
    const parts = [];
    for (let i = 0; i < value.length; i++)
      parts.push(i in value ? await tell(value[i], seen) : "hole");
    return `[${parts.join(", ")}]`;
  }
  if (value instanceof Error) {
    const own = Object.keys(value).filter(
      (key) =>
        ![
          "stack",
          "name",
          "message",
          "cause",
          "errors",
          ...(value instanceof DOMException ? ["code"] : []),
        ].includes(key),
    );
    const rest = await inTurn(own, async (key) => `${key}: ${await tell(value[key], seen)}`);
    const cause = "cause" in value ? `, cause ${await tell(value.cause, seen)}` : "";
    const errors = value.errors === undefined ? "" : `, errors ${await tell(value.errors, seen)}`;
    return `${value.name}(${value.message}${cause}${errors}) {${rest.join(", ")}}`;
  }
  if (value instanceof Map) return `Map {${await all([...value].flat())}}`;
  if (value instanceof Set) return `Set {${await all([...value])}}`;
  if (value instanceof Date) return `Date ${value.getTime()}`;
  if (value instanceof RegExp) return String(value);
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  if (["Number", "String", "Boolean", "BigInt"].includes(kind)) return `${kind} ${String(value)}`;
  if (value instanceof ArrayBuffer) return `ArrayBuffer ${new Uint8Array(value).join()}`;
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    return `${name} ${new Uint8Array(buffer, byteOffset, byteLength).join()}`;
  }
  if (value instanceof Headers) return `Headers ${JSON.stringify([...value])}`;
  if (value instanceof Request)
    return `Request ${value.method} ${value.url} ${value.headers.get("a")} ${await value.text()}`;
  if (value instanceof Response)
    return `Response ${value.status} ${value.headers.get("a")} ${await value.text()}`;
  if (value instanceof Blob)
    return `${value instanceof File ? `File ${value.name}` : "Blob"} ${value.type} ${await value.text()}`;
  if (value instanceof ReadableStream) {
    const chunks = [];
    for await (const chunk of value) chunks.push(...chunk);
    return `a stream of ${chunks}`;
  }
  if (value.readable instanceof ReadableStream) {
    const read = tell(value.readable, seen);
    const writer = value.writable.getWriter();
    await writer.write(bytes(3));
    await writer.close();
    return `a pair with ${await read}`;
  }
  if (value.stream instanceof WritableStream) {
    const writer = value.stream.getWriter();
    await writer.write(bytes(3));
    await writer.close();
    return `a stream that has ${await value.written()}`;
  }
  if (value instanceof AbortSignal) {
    if (!value.aborted)
      await new Promise((resolve) => value.addEventListener("abort", resolve, { once: true }));
    return `a signal: ${await tell(value.reason, seen)}`;
  }
  if (typeof value.double === "function") return `an object: ${await value.double(4)}`;
  if (typeof value.then === "function") return `a promise of ${await tell(await value, seen)}`;
  if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    const keys = Object.keys(value);
    return `{${(await inTurn(keys, async (key) => `${key}: ${await tell(value[key], seen)}`)).join(", ")}}`;
  }
  return `a ${name}`;
}

async function inTurn(list, run) {
  const results = [];
  for (const one of list) results.push(await run(one));
  return results;
}
