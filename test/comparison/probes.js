// @ts-check
// Role: the same questions for every RPC system: what becomes of each value, which rules hold. Runs in Node and in workerd.
// State: none. Must not know: any of the systems.

/** @typedef {"same" | "altered" | "refused"} Fate */

class Plain {
  x = 1;
}

/** @returns {Record<string, any>} */
function cyclic() {
  /** @type {Record<string, any>} */
  const value = { a: 1 };
  value["self"] = value;
  return value;
}

/** @returns {Error} */
function errorWithCause() {
  return new RangeError("far", { cause: new Error("why") });
}

/** @returns {Error & { code?: number }} */
function errorWithCode() {
  return Object.assign(new Error("coded"), { code: 7 });
}

const shared = { s: 1 };

/**
 * Per value: what is sent, and whether what came back is the same.
 * @type {Record<string, { make: () => any, same: (got: any) => boolean }>}
 */
export const values = {
  undefined: { make: () => undefined, same: (got) => got === undefined },
  "-0": { make: () => -0, same: (got) => Object.is(got, -0) },
  "NaN, infinities": {
    make: () => [NaN, Infinity, -Infinity],
    same: ([a, b, c]) => Number.isNaN(a) && b === Infinity && c === -Infinity,
  },
  bigint: { make: () => 2n ** 70n, same: (got) => got === 2n ** 70n },
  "a lone surrogate": { make: () => "\ud800", same: (got) => got === "\ud800" },
  Date: { make: () => new Date(5), same: (got) => got instanceof Date && got.getTime() === 5 },
  RegExp: { make: () => /a/gi, same: (got) => got instanceof RegExp && String(got) === "/a/gi" },
  Map: { make: () => new Map([[1, "a"]]), same: (got) => got instanceof Map && got.get(1) === "a" },
  Set: { make: () => new Set([1]), same: (got) => got instanceof Set && got.has(1) },
  ArrayBuffer: {
    make: () => new ArrayBuffer(3),
    same: (got) => got instanceof ArrayBuffer && got.byteLength === 3,
  },
  "typed arrays": {
    make: () => [new Uint8Array([1, 2]), new Float64Array([0.5])],
    same: ([a, b]) =>
      a instanceof Uint8Array && a[1] === 2 && b instanceof Float64Array && b[0] === 0.5,
  },
  DataView: {
    make: () => new DataView(new ArrayBuffer(2)),
    same: (got) => got instanceof DataView && got.byteLength === 2,
  },
  "an array with holes": {
    make: () => [, 1], // oxlint-disable-line no-sparse-arrays -- that is the question
    same: (got) => got.length === 2 && !(0 in got),
  },
  "one object twice": {
    make: () => [shared, shared],
    same: ([a, b]) => a === b && a.s === 1,
  },
  "a cycle": { make: cyclic, same: (got) => got.self === got },
  "an error with its cause": {
    make: errorWithCause,
    same: (got) => got instanceof RangeError && /** @type {Error} */ (got.cause).message === "why",
  },
  "an error's own properties": { make: errorWithCode, same: (got) => got.code === 7 },
  URL: {
    make: () => new URL("http://h/p"),
    same: (got) => got instanceof URL && got.href === "http://h/p",
  },
  Headers: {
    make: () => new Headers({ a: "b" }),
    same: (got) => got instanceof Headers && got.get("a") === "b",
  },
  "an instance of a class": { make: () => new Plain(), same: (got) => got instanceof Plain },
  "a symbol": { make: () => Symbol("s"), same: (got) => typeof got === "symbol" },
  "an own property `toJSON`": {
    make: () => ({ toJSON: 1, a: 2 }),
    same: (got) => got.toJSON === 1 && got.a === 2,
  },
  "an own property `__proto__`": {
    make: () => JSON.parse('{"__proto__":{"x":1}}'),
    same: (got) => Object.hasOwn(got, "__proto__") && got["__proto__"].x === 1,
  },
};

/**
 * @param {(value: any) => PromiseLike<any>} echo sends a value there and back
 * @returns {Promise<Record<string, Fate>>}
 */
export async function fates(echo) {
  /** @type {Record<string, Fate>} */
  const found = {};
  for (const [name, { make, same }] of Object.entries(values)) {
    try {
      // An object around it: what is awaited itself would be unwrapped by the question.
      const { v } = await echo({ v: make() });
      found[name] = check(() => same(v)) ? "same" : "altered";
    } catch {
      found[name] = "refused";
    }
  }
  return found;
}

/** @param {() => boolean} test */
function check(test) {
  try {
    return test();
  } catch {
    return false;
  }
}

/**
 * The object that the rules are asked of.
 * @param {new () => object} RpcTarget
 * @returns {new () => object}
 */
export function apiOf(RpcTarget) {
  class Counter extends RpcTarget {
    count = 0;
    /** @param {number} by */
    add(by) {
      return (this.count += by);
    }
  }
  return class Api extends RpcTarget {
    own = "an own property";
    /** @type {any} */
    kept = null;
    /** @param {any} value */
    echo(value) {
      return value;
    }
    counter() {
      return new Counter();
    }
    get version() {
      return 5;
    }
    list() {
      return [1, 2, 3];
    }
    /** @param {number} n */
    double(n) {
      return 2 * n;
    }
    /** @param {(text: string) => Promise<string>} callback */
    async call(callback) {
      return callback("called");
    }
    /** @param {any} callback */
    keep(callback) {
      this.kept = callback;
    }
    async callKept() {
      return this.kept("later");
    }
    /** @param {any} callback */
    keepDup(callback) {
      this.kept = callback.dup();
    }
    fail() {
      throw Object.assign(new RangeError("failed here"), { code: 7 });
    }
    /** @param {AbortSignal} signal */
    async follow(signal) {
      if (!signal.aborted)
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      return String(signal.reason);
    }
  };
}

/**
 * Per rule: whether it holds. What throws does not.
 * @type {Record<string, (api: any) => Promise<boolean>>}
 */
export const rules = {
  "a method of a result that is not there yet can be called": async (api) =>
    (await api.counter().add(2)) === 2,
  "a getter can be awaited": async (api) => (await api.version) === 5,
  "a promise can be an argument": async (api) => (await api.double(api.version)) === 10,
  "a promise can be anywhere in an argument": async (api) =>
    (await api.echo({ deep: [api.version] })).deep[0] === 5,
  "`map` runs a callback at the other side": async (api) =>
    String(await api.list().map((/** @type {any} */ n) => api.double(n))) === "2,4,6",
  "a function is called back": async (api) =>
    (await api.call(async (/** @type {string} */ text) => text)) === "called",
  "an argument that was kept without `dup` can be called later": async (api) => {
    await api.keep(async (/** @type {string} */ text) => text);
    return (await api.callKept()) === "later";
  },
  "one that was kept by `dup` can": async (api) => {
    await api.keepDup(async (/** @type {string} */ text) => text);
    return (await api.callKept()) === "later";
  },
  "an object's own properties can be read": async (api) => (await api.own) === "an own property",
  "an error that is thrown arrives as its class": async (api) => {
    try {
      await api.fail();
      return false;
    } catch (error) {
      return error instanceof RangeError;
    }
  },
  "an error that is thrown arrives with its own properties": async (api) => {
    try {
      await api.fail();
      return false;
    } catch (error) {
      return /** @type {{ code?: unknown }} */ (error).code === 7;
    }
  },
  "an `AbortSignal` can be an argument": async (api) => {
    const controller = new AbortController();
    const reason = api.follow(controller.signal);
    setTimeout(() => controller.abort("enough"), 20);
    return (await reason) === "enough";
  },
  "a stub tells when it broke (`onRpcBroken`)": async (api) => {
    const watch = api.onRpcBroken(() => {});
    // Where there is no such thing, this is a call of a method that is not there.
    await (typeof watch === "object" ? null : watch);
    return true;
  },
};

/**
 * @param {() => any} begin a stub of a new {@link apiOf}
 * @returns {Promise<Record<string, "yes" | "no">>}
 */
export async function answers(begin) {
  /** @type {Record<string, "yes" | "no">} */
  const found = {};
  for (const [name, rule] of Object.entries(rules)) {
    const late = new Promise((resolve) => setTimeout(() => resolve(false), 2000));
    try {
      found[name] = (await Promise.race([rule(await begin()), late])) === true ? "yes" : "no";
    } catch {
      found[name] = "no";
    }
  }
  return found;
}
