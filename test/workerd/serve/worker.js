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
  const { name, message, stack, remote, retryable, overloaded, cause, ...own } = error;
  return {
    name,
    message,
    class: error.constructor.name,
    stack: String(stack),
    remote,
    retryable,
    overloaded,
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
  async times(n) {
    let sum = 0;
    for (let i = 0; i < n; i++) sum += await this.env.REMOTE.add(i, 1);
    return sum;
  }
}

export class Keeper extends DurableObject {}

export default {
  fetch: () => new Response("nothing here"),
};
