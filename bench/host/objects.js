// The Worker module of the host's benchmark: one text, served by Capstan and by workerd.
//
//   /run/KIND?calls=N&objects=M&outstanding=K&run=R   makes N calls on M objects, K at a time, and answers how many it made
//
// It is the Worker that makes the calls, so what is measured is Worker to object, not HTTP.

import { DurableObject } from "cloudflare:workers";

export class Counter extends DurableObject {
  echo(value) {
    return value;
  }

  async increment() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    void this.ctx.storage.put("count", count);
    return count;
  }
}

/** What one call is, of each kind. */
const CALLS = {
  echo: (stub, i) => stub.echo(i),
  increment: (stub) => stub.increment(),
};

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const call = CALLS[url.pathname.slice("/run/".length)];
    if (call === undefined) return new Response("ready\n");
    const number = (name, otherwise) => Number(url.searchParams.get(name) ?? otherwise);
    const calls = number("calls", 1);
    const objects = number("objects", 1);
    const lanes = Math.min(number("outstanding", 1), calls);
    const run = url.searchParams.get("run") ?? "";
    const stubs = [];
    for (let i = 0; i < objects; i++)
      stubs.push(env.COUNTERS.get(env.COUNTERS.idFromName(`${run}/${i}`)));
    let next = 0;
    const lane = async () => {
      while (next < calls) {
        const i = next++;
        await call(stubs[i % objects], i);
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
    return new Response(`${next}\n`);
  },
};
