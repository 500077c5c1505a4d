// Requests to objects: order with calls, bodies, gates, what keeps an object active, how requests end.

import { describe, expect, it } from "vitest";
import { DurableObject, type Namespace, type ObjectStub } from "../../../src/host.node.js";
import { FaultyStore } from "../../../src/host/storage/faulty-store.js";
import { HttpClient, HttpResponse, serveHttp } from "../../../src/http.js";
import { RpcStub, RpcTarget } from "../../../src/index.js";
import { crash, evict } from "../../../src/testing.js";
import { later, settle, testHost } from "../kit.js";

const URL_OF = "http://object.test";

interface Env {
  readonly SITES: Namespace<Site>;
}

class Site extends DurableObject<Env> {
  /** What the test opens, with no regard for other gates. */
  static gate = later();
  readonly log: unknown[] = [];
  gate = later();
  chunks = 0;

  note(what: unknown): number {
    return this.log.push(what);
  }
  notes(): unknown[] {
    return this.log;
  }
  open(): void {
    this.gate.resolve();
  }
  written(): number {
    return this.chunks;
  }

  async fetch(request: Request): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    this.log.push(pathname);
    switch (pathname) {
      case "/echo":
        return new Response(await request.text(), { status: 201, headers: { "x-by": "echo" } });
      case "/count": {
        const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + 1;
        void this.ctx.storage.put("count", count);
        return new HttpResponse(String(count));
      }
      case "/add": {
        const by = Number(await request.text());
        const count = ((await this.ctx.storage.get<number>("count")) ?? 0) + by;
        void this.ctx.storage.put("count", count);
        return new Response(String(count));
      }
      case "/broken":
        await request.text().catch((error: Error) => this.log.push(error.message));
        return new Response(String((await this.ctx.storage.get("count")) ?? 0));
      case "/enough": {
        const reader = request.body!.getReader();
        void reader.read();
        const count = this.ctx.storage.get("count");
        await Site.gate.promise;
        await reader.cancel("enough");
        return new Response(String(await count));
      }
      case "/wait":
        request.signal.addEventListener("abort", () => this.log.push("aborted"));
        await this.gate.promise;
        return new Response("waited");
      case "/through":
        return new Response(request.body);
      case "/endless":
        return new Response(this.endless());
      case "/later":
        return new Response(this.later());
      case "/fail":
        throw new RangeError("too far");
      case "/nothing":
        return undefined as never;
      case "/other":
        return this.env.SITES.getByName(searchParams.get("of")!).fetch(`${URL_OF}/count`);
      default:
        return new Response("no such page", { status: 404 });
    }
  }

  private endless(): ReadableStream<Uint8Array> {
    return new ReadableStream(
      {
        pull: (controller) => {
          this.chunks++;
          controller.enqueue(new Uint8Array(1000));
        },
        cancel: (reason) => void this.log.push(`canceled: ${String((reason as Error).message)}`),
      },
      { highWaterMark: 0 },
    );
  }

  private later(): ReadableStream<Uint8Array> {
    const { gate } = this;
    return new ReadableStream({
      async start(controller) {
        controller.enqueue(new TextEncoder().encode("now "));
        await gate.promise;
        controller.enqueue(new TextEncoder().encode("then"));
        controller.close();
      },
    });
  }

  /** Makes a request inside of a critical section, and answers what came of it. */
  section(of: string): Promise<string> {
    return this.ctx.blockConcurrencyWhile(async () => {
      const response = await this.env.SITES.getByName(of).fetch(`${URL_OF}/count`);
      return response.text();
    });
  }
  async ask(of: string): Promise<string> {
    void this.ctx.storage.put("asked", true);
    return (await this.env.SITES.getByName(of).fetch(`${URL_OF}/count`)).text();
  }
  async askBy(site: ObjectStub<Site>): Promise<string> {
    return (await site.fetch(`${URL_OF}/count`)).text();
  }
  web(): HttpClient {
    return new HttpClient(serveHttp(() => new Response(String(this.log.push("served")))));
  }
}

class Mute extends DurableObject {
  hello(): string {
    return "hello";
  }
}

class Library extends RpcTarget {
  fetch(book: string): string {
    return `the book ${book}`;
  }
}

async function site(name = "a", store?: FaultyStore) {
  const host = await testHost({ SITES: Site, MUTES: Mute }, store === undefined ? {} : { store });
  return { host, stub: host.env.SITES.getByName(name) };
}

describe("fetch of an object's stub", () => {
  it("comes to the fetch method of the class", async () => {
    const { stub } = await site();
    const response = await stub.fetch(`${URL_OF}/echo`, { method: "POST", body: "hello" });
    expect(response.status).toBe(201);
    expect(response.headers.get("x-by")).toBe("echo");
    expect(await response.text()).toBe("hello");
    const request = new Request(`${URL_OF}/echo`, { method: "PUT", body: "again" });
    expect(await (await stub.fetch(request)).text()).toBe("again");
    expect((await stub.fetch(new URL(`${URL_OF}/missing`))).status).toBe(404);
  });

  it("arrives in one order with the calls of the stub", async () => {
    const { stub } = await site();
    const expected: unknown[] = [];
    const responses: Promise<Response>[] = [];
    for (let i = 0; i < 30; i++)
      if (i % 3 === 1) {
        responses.push(stub.fetch(`${URL_OF}/page${i}`));
        expected.push(`/page${i}`);
      } else {
        void stub.note(i);
        expected.push(i);
      }
    expect(await stub.notes()).toEqual(expected);
    for (const response of await Promise.all(responses)) await response.body?.cancel();
  });

  it("is delivered when the gate lets it in, and answered when what was written is on the disk", async () => {
    const store = new FaultyStore();
    const { stub } = await site("a", store);
    await stub.note("active");
    store.hold = { reads: true };
    const first = stub.fetch(`${URL_OF}/count`);
    const second = stub.fetch(`${URL_OF}/count`);
    await settle();
    expect(store.pendingReads).toBe(1);
    store.hold = { flushes: true };
    store.releaseReads();
    let answered = 0;
    void first.then(() => answered++);
    await settle();
    expect(answered).toBe(0);
    store.hold = {};
    store.flush();
    expect(await (await first).text()).toBe("1");
    expect(await (await second).text()).toBe("2");
  });

  it("is not there for what is no object of a host", async () => {
    using library = new RpcStub(new Library());
    expect(await library.fetch("of sand")).toBe("the book of sand");
  });

  it("fails as unimplemented where the class has no such method", async () => {
    const { host } = await site();
    const mute = host.env.MUTES.getByName("a");
    await expect(mute.fetch(URL_OF)).rejects.toMatchObject({ code: "method-unimplemented" });
    expect(await mute.hello()).toBe("hello");
  });

  it("fails with what the method throws, and the object goes on", async () => {
    const { stub } = await site();
    await expect(stub.fetch(`${URL_OF}/fail`)).rejects.toThrow("too far");
    await expect(stub.fetch(`${URL_OF}/nothing`)).rejects.toThrow("returned no Response");
    await expect(stub.fetch("no url")).rejects.toThrow(TypeError);
    expect(await stub.notes()).toEqual(["/fail", "/nothing"]);
  });

  it("cannot be made by a stub that was disposed", async () => {
    const { stub } = await site();
    await stub.notes();
    const { fetch } = stub;
    stub[Symbol.dispose]();
    await expect(fetch(URL_OF)).rejects.toMatchObject({ code: "capability-disposed" });
  });
});

describe("a body", () => {
  it("flows both ways at once, no faster than it is read", async () => {
    const { stub } = await site();
    let sent = 0;
    const upload = new ReadableStream<Uint8Array>(
      {
        pull(controller) {
          if (++sent > 200) controller.close();
          else controller.enqueue(new Uint8Array(10_000));
        },
      },
      { highWaterMark: 0 },
    );
    const response = await stub.fetch(`${URL_OF}/through`, { method: "POST", body: upload });
    await settle(100);
    expect(sent).toBeLessThan(20);
    expect((await response.arrayBuffer()).byteLength).toBe(2_000_000);
    expect(sent).toBe(201);
  });

  it("is read through the gate: nothing comes between a read of storage and the write after it", async () => {
    const store = new FaultyStore();
    const { stub } = await site("a", store);
    await stub.notes();
    store.hold = { reads: true };
    const bodies = Array.from({ length: 3 }, () => new TransformStream<Uint8Array, Uint8Array>());
    const writers = bodies.map(({ writable }) => writable.getWriter());
    const counts = bodies.map(async ({ readable: body }) =>
      (await stub.fetch(`${URL_OF}/add`, { method: "POST", body })).text(),
    );
    await settle();
    for (const [i, writer] of writers.entries()) {
      void writer.write(new TextEncoder().encode(String(i + 1)));
      void writer.close();
    }
    await settle();
    expect(store.pendingReads).toBe(1);
    while (store.pendingReads > 0) {
      expect(store.pendingReads).toBe(1);
      store.releaseReads();
      await settle();
    }
    expect(await Promise.all(counts)).toEqual(["1", "3", "6"]);
  });

  it("may be given up while a chunk of it waits for the gate", async () => {
    const store = new FaultyStore();
    const { stub } = await site("a", store);
    await stub.notes();
    Site.gate = later();
    store.hold = { reads: true };
    const { readable: body, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const response = stub.fetch(`${URL_OF}/enough`, { method: "POST", body });
    await settle();
    writable
      .getWriter()
      .write(new Uint8Array(3))
      .catch(() => {});
    await settle();
    Site.gate.resolve();
    await settle();
    store.hold = {};
    store.releaseReads();
    expect(await (await response).text()).toBe("undefined");
  });

  it("breaks off through the gate, too", async () => {
    const store = new FaultyStore();
    const { stub } = await site("a", store);
    await stub.notes();
    const body = new TransformStream<Uint8Array, Uint8Array>();
    const init = { method: "POST", body: body.readable };
    const broken = stub.fetch(`${URL_OF}/broken`, init);
    broken.catch(() => {});
    await settle();
    store.hold = { reads: true };
    const count = stub.fetch(`${URL_OF}/count`);
    await settle();
    void body.writable.abort(new Error("no more"));
    await expect(broken).rejects.toThrow("no more");
    await settle();
    expect(store.pendingReads).toBe(1);
    store.hold = {};
    store.releaseReads();
    expect(await (await count).text()).toBe("1");
    expect(await stub.notes()).toEqual(["/broken", "/count", "no more"]);
  });

  it("pushes back on the object, and tells it when nobody wants the rest", async () => {
    const { stub } = await site();
    const response = await stub.fetch(`${URL_OF}/endless`);
    const reader = response.body!.getReader();
    await reader.read();
    await settle(100);
    expect(await stub.written()).toBeLessThan(10);
    await reader.cancel();
    await settle();
    expect((await stub.notes())[1]).toMatch(/^canceled: /);
  });

  it("keeps the object active after its method has returned", async () => {
    const { stub, host } = await site();
    const response = await stub.fetch(`${URL_OF}/later`);
    const reader = response.body!.getReader();
    await reader.read();
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    await stub.open();
    expect(new TextDecoder().decode((await reader.read()).value)).toBe("then");
    expect((await reader.read()).done).toBe(true);
    expect(await evict(stub)).toBe(true);
    expect(host.activeObjects).toBe(0);
  });

  it("breaks with the object, as does what was not answered", async () => {
    const { stub } = await site();
    const response = await stub.fetch(`${URL_OF}/later`);
    const reader = response.body!.getReader();
    await reader.read();
    const waiting = stub.fetch(`${URL_OF}/wait`);
    await settle();
    crash(stub, new Error("a fault"));
    await expect(reader.read()).rejects.toMatchObject({ code: "object-broken" });
    await expect(waiting).rejects.toMatchObject({ code: "object-broken" });
    await expect(stub.fetch(URL_OF)).rejects.toMatchObject({ delivery: "not-sent" });
  });
});

describe("a request", () => {
  it("is not lost to an eviction, however early that comes", async () => {
    const { stub } = await site();
    await stub.notes();
    await settle();
    const count = stub.fetch(`${URL_OF}/count`).then((response) => response.text());
    expect(await evict(stub)).toBe(true);
    expect(await count).toBe("1");
  });

  it("keeps the object active until it is answered", async () => {
    const { stub } = await site();
    const waiting = stub.fetch(`${URL_OF}/wait`);
    await settle();
    await expect(evict(stub)).rejects.toMatchObject({ code: "invalid-state" });
    await stub.open();
    await (await waiting).text();
    expect(await evict(stub)).toBe(true);
  });
});

describe("a request that is given up", () => {
  it("aborts the request's signal, and keeps the object active no longer", async () => {
    const { stub } = await site();
    const giveUp = new AbortController();
    const waiting = stub.fetch(`${URL_OF}/wait`, { signal: giveUp.signal });
    await settle();
    giveUp.abort(new Error("too long"));
    await expect(waiting).rejects.toThrow("too long");
    await settle();
    expect(await stub.notes()).toEqual(["/wait", "aborted"]);
    expect(await evict(stub)).toBe(true);
  });
});

it("takes the platform's responses and ours, whichever is called Response", async () => {
  const platform = globalThis.Response;
  const { stub } = await site();
  const before = serveHttp(() => new platform("platform"));
  globalThis.Response = HttpResponse as never;
  try {
    using client = new HttpClient(before);
    expect(await (await client.fetch(URL_OF)).text()).toBe("platform");
    expect(await (await stub.fetch(`${URL_OF}/count`)).text()).toBe("1");
    expect(await (await stub.fetch(`${URL_OF}/other?of=b`)).text()).toBe("1");
    expect((await stub.fetch(`${URL_OF}/missing`)).status).toBe(404);
  } finally {
    globalThis.Response = platform;
  }
});

describe("an object that asks another", () => {
  it("passes its response on", async () => {
    const { stub } = await site();
    expect(await (await stub.fetch(`${URL_OF}/other?of=b`)).text()).toBe("1");
    expect(await (await stub.fetch(`${URL_OF}/other?of=b`)).text()).toBe("2");
  });

  it("may do so in a critical section, and the answer comes back into it", async () => {
    const { stub } = await site();
    const answer = stub.section("b");
    const behind = stub.note("behind");
    expect(await answer).toBe("1");
    expect(await behind).toBe(1);
  });

  it("is told when it would wait for itself", async () => {
    const { stub, host } = await site();
    await expect(Promise.resolve(stub.section("a"))).rejects.toThrow(/would wait for itself/);
    expect(await (await host.env.SITES.getByName("a").fetch(`${URL_OF}/count`)).text()).toBe("1");
  });

  it("says nothing before what it wrote is on the disk", async () => {
    const store = new FaultyStore();
    const { stub, host } = await site("a", store);
    await stub.notes();
    const other = host.env.SITES.getByName("b");
    await other.notes();
    store.hold = { flushes: true };
    const answer = stub.ask("b");
    await settle();
    expect(await other.notes()).toEqual([]);
    store.hold = {};
    store.flush();
    expect(await answer).toBe("1");
  });

  it("may be given the stub", async () => {
    const { stub, host } = await site();
    expect(await stub.askBy(host.env.SITES.getByName("b"))).toBe("1");
  });

  it("serves a handler of its own through its gate", async () => {
    const store = new FaultyStore();
    const { stub } = await site("a", store);
    using web = await stub.web();
    using client = new HttpClient(web as never);
    expect(await (await client.fetch(URL_OF)).text()).toBe("1");
    store.hold = { reads: true };
    const count = stub.fetch(`${URL_OF}/count`);
    const served = client.fetch(URL_OF);
    let answered = false;
    void served.then(() => (answered = true));
    await settle();
    expect(answered).toBe(false);
    store.hold = {};
    store.releaseReads();
    await (await count).text();
    expect(await (await served).text()).toBe("3");
  });
});
