// The state of a session that users observe, and its graceful end.

import { once } from "node:events";
import http from "node:http";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import {
  callContext,
  connect,
  listen,
  memoryPair,
  RpcError,
  RpcStub,
  RpcTarget,
  serve,
  Session,
} from "../../src/node.js";
import { failure } from "../dynamic/kit.js";
import { BATCH_TYPE } from "../../src/transport/http.js";
import { turn } from "../support/messages.js";
import { expectNoResidue, resources } from "../support/residue.js";

class Api extends RpcTarget {
  readonly ends: (() => void)[] = [];
  hello(): string {
    return "hello";
  }
  /** Ends when the test says so. */
  slow(): Promise<string> {
    return new Promise((resolve) => this.ends.push(() => resolve("done")));
  }
  slowApi(): Promise<Api> {
    return new Promise((resolve) => this.ends.push(() => resolve(new Api())));
  }
  async back(f: RpcStub<() => string>): Promise<string> {
    const kept = f.dup();
    await this.slow();
    const said = await kept();
    kept[Symbol.dispose]();
    return said;
  }
  async backTwice(f: RpcStub<() => string>): Promise<string> {
    return (await this.back(f)) + (await f());
  }
  canceled = 0;
  never(): Promise<void> {
    callContext().signal.addEventListener("abort", () => this.canceled++);
    return new Promise(() => {});
  }
}

let before: Map<string, number>;
beforeEach(() => {
  before = resources();
});
afterEach(() => {
  vi.restoreAllMocks();
  return expectNoResidue(before);
});

function pair(): { api: Api; client: Session; server: Session; stub: RpcStub<Api> } {
  const [near, far] = memoryPair();
  const api = new Api();
  const server = new Session(far, { bootstrap: () => serve(api) });
  const client = new Session(near);
  return { api, client, server, stub: client.bootstrap(RpcStub<Api>) };
}

function states(session: Session): string[] {
  const seen: string[] = [];
  session.onStateChange((state, cause) => seen.push(`${state} ${cause?.code ?? "in order"}`));
  return seen;
}

/** Nothing is left of either session. */
async function over(...sessions: Session[]): Promise<void> {
  for (const session of sessions) {
    await session.closed;
    session.connection.check();
    expect(session.connection.idle, session.connection.dump()).toBe(true);
  }
}

describe("state", () => {
  it("is open, then closed, and says that the end was orderly", async () => {
    const { client, server, stub } = pair();
    expect(await stub.hello()).toBe("hello");
    stub[Symbol.dispose]();
    await turn();
    const [near, far] = [states(client), states(server)];
    expect(client.state).toBe("open");
    await client.close();
    expect([client.state, server.state]).toEqual(["closed", "closed"]);
    expect([near, far]).toEqual([["closed in order"], ["closed in order"]]);
    await over(client, server);
  });

  it("says the cause of a fault, to the same listeners once, while calls fail already", async () => {
    const { client, server, stub } = pair();
    await stub.hello();
    const [near, far] = [states(client), states(server)];
    let stateThen = "";
    client.onStateChange(() => (stateThen = client.state));
    client.transport.close(new RpcError("disconnected", "connection-lost", "the cable"));
    await over(client, server);
    expect(near).toEqual(["closed connection-lost"]);
    // A carrier that just ends between two messages cannot be told from an orderly end.
    expect(far).toEqual(["closed in order"]);
    expect(stateThen).toBe("closed");
    expect(await client.closed).toMatchObject({ message: "the cable" });

    const second = pair();
    const causes = states(second.client);
    await second.stub.hello();
    void second.server.close();
    await over(second.client, second.server);
    // The stub was held: the peer's Abort says that something was cut off.
    expect(causes).toEqual(["closed peer-aborted"]);
    expect(await second.client.closed).toMatchObject({ code: "peer-aborted" });
    for (const one of [stub, second.stub]) one[Symbol.dispose]();
  });

  it("tells nobody who was taken away, and each though another throws", async () => {
    const { client, server, stub } = pair();
    const told: string[] = [];
    const written = vi.spyOn(console, "error").mockImplementation(() => {});
    client.onStateChange(() => {
      throw new Error("oops");
    });
    const gone = client.onStateChange(() => told.push("gone"));
    client.onStateChange((state) => told.push(state));
    client.onStateChange(() => late[Symbol.dispose]());
    const late = client.onStateChange(() => told.push("too late"));
    gone[Symbol.dispose]();
    await client.close();
    expect(told).toEqual(["closed"]);
    expect(written).toHaveBeenCalledOnce();
    stub[Symbol.dispose]();
    await over(client, server);
  });
});

describe("drain", () => {
  it("ends at once and in order when nothing is under way, whatever is held", async () => {
    const { client, server, stub } = pair();
    await stub.hello();
    const [near, far] = [states(client), states(server)];
    expect(await server.drain()).toBeNull();
    expect(await client.closed).toBeNull();
    expect(near).toEqual(["closed in order"]);
    expect(far).toEqual(["draining in order", "closed in order"]);
    expect(await failure(stub.hello())).toMatchObject({
      type: "disconnected",
      delivery: "not-sent",
    });
    stub[Symbol.dispose]();
    await over(client, server);
  });

  it("lets calls under way end, and what is pipelined on them; new ones fail as disconnected", async () => {
    const { api, client, server, stub } = pair();
    await stub.hello();
    const slow = stub.slow();
    const next = stub.slowApi();
    const chained = next.hello();
    const results = Promise.all([slow, chained]);
    await turn();
    const drained = server.drain(5000);
    expect(server.state).toBe("draining");
    expect(await failure(stub.hello())).toMatchObject({
      type: "disconnected",
      message: expect.stringContaining("draining"),
    });
    const late = next.hello(); // pipelined on what is under way: part of it
    await turn();
    expect(client.state).toBe("open");
    for (const end of api.ends) end();
    expect(await results).toEqual(["done", "hello"]);
    expect(await late).toBe("hello");
    expect(await drained).toBeNull();
    expect(await client.closed).toBeNull();
    for (const one of [stub, next]) one[Symbol.dispose]();
    await over(client, server);
  });

  it("lets a call under way call back, whichever side drains", async () => {
    for (const side of ["client", "server"] as const) {
      const both = pair();
      const { api, client, server, stub } = both;
      const result = stub.backTwice(() => "back");
      const done = (async () => await result)();
      await turn();
      const drained = both[side].drain(5000);
      await turn();
      api.ends[0]!();
      expect(await done, side).toBe("backback");
      expect(await drained).toBeNull();
      stub[Symbol.dispose]();
      await over(client, server);
    }
  });

  it("on the calling side has no new bootstrap capability either", async () => {
    const { api, client, server, stub } = pair();
    const slow = stub.slow();
    await turn();
    const drained = client.drain();
    using fresh = client.bootstrap(RpcStub<Api>);
    expect(await failure(fresh.hello())).toMatchObject({
      code: "connection-draining",
      delivery: "not-sent",
    });
    api.ends[0]!();
    expect(await slow).toBe("done");
    expect(await drained).toBe(null);
    stub[Symbol.dispose]();
    await over(client, server);
  });

  it("on the calling side refuses calls of its own, but for those written down before", async () => {
    const { api, client, server, stub } = pair();
    await stub.hello();
    const slow = failureOr(stub.slow());
    const drained = client.drain(5000);
    expect(await failure(stub.hello())).toMatchObject({
      type: "disconnected",
      code: "connection-draining",
      delivery: "not-sent",
    });
    api.ends[0]!();
    expect(await slow).toBe("done");
    expect(await drained).toBeNull();
    stub[Symbol.dispose]();
    await over(client, server);
  });

  it("cuts off what takes longer, and says so at both sides", async () => {
    const { api, client, server, stub } = pair();
    const never = failure(stub.never());
    await turn();
    const cause = await server.drain(30);
    expect(cause).toMatchObject({
      type: "disconnected",
      code: "connection-closed",
      message: "the connection was closed here: 1 calls were still under way after 30 ms",
    });
    expect(await never).toMatchObject({ type: "disconnected", delivery: "unknown" });
    expect(await client.closed).toMatchObject({ code: "peer-aborted" });
    expect(api.canceled).toBe(1);
    stub[Symbol.dispose]();
    await over(client, server);
  });

  it("a second drain waits for the same end, a close ends it, a time that is none is refused", async () => {
    const { client, server, stub } = pair();
    const never = failure(stub.never());
    const drained = Promise.all([client.drain(60_000), client.drain(1)]);
    expect(await failure(client.drain(-1))).toMatchObject({ code: "invalid-argument" });
    await client.close();
    expect(await drained).toEqual([null, null]);
    expect(await never).toMatchObject({ type: "disconnected" });
    stub[Symbol.dispose]();
    await over(client, server);
  });

  it("of a listener: accepts no more, and waits for the calls of every session", async () => {
    const api = new Api();
    const listener = await listen("tcp://127.0.0.1:0", { bootstrap: () => serve(api) });
    const sessions = [await connect(listener.url), await connect(listener.url)];
    const stubs = sessions.map((session) => session.bootstrap(RpcStub<Api>));
    const slow = Promise.all(stubs.map(async (stub) => await stub.slow()));
    await until(() => api.ends.length === 2);
    const drained = listener.drain(5000);
    await expect(connect(listener.url)).rejects.toMatchObject({ code: "connect-failed" });
    for (const end of api.ends) end();
    expect(await slow).toEqual(["done", "done"]);
    await drained;
    expect(await Promise.all(sessions.map((one) => one.closed))).toEqual([null, null]);
    for (const stub of stubs) stub[Symbol.dispose]();
  });

  it("of a listener of HTTP lets batches under way end, their responses too, and takes no more", async () => {
    const listener = await listen("http://127.0.0.1:0", { bootstrap: () => serve(new Large()) });
    const session = await connect(listener.url);
    using stub = session.bootstrap(RpcStub<Large>);
    const large = stub.large();
    large.then(
      () => {},
      () => {},
    );
    await until(() => Large.ends.length === 1);
    // A connection that is busy now, and kept alive.
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const { hostname, port } = new URL(listener.url);
    const to = { agent, hostname, port, method: "POST", headers: { "content-type": BATCH_TYPE } };
    const begun = http.request(to);
    begun.write(new Uint8Array(8));
    await until(() => begun.socket?.connecting === false && begun.socket.bytesWritten > 0);
    await turn();
    const drained = listener.drain();
    begun.end();
    expect(await statusOf(begun)).toBe(200);
    const again = http.request(to);
    again.end();
    expect(await statusOf(again)).toBe(503);
    Large.ends.pop()!();
    expect((await large).length).toBe(8_000_000);
    await drained;
    agent.destroy();
    await session.close();
  });

  it("of a listener is cut short by its close", async () => {
    const listener = await listen("tcp://127.0.0.1:0", { bootstrap: () => serve(new Api()) });
    const session = await connect(listener.url);
    using stub = session.bootstrap(RpcStub<Api>);
    await stub.hello();
    const never = failure(stub.never());
    await turn();
    const drained = listener.drain();
    await listener.close();
    await drained;
    expect(await never).toMatchObject({ type: "disconnected" });
    await session.closed;
  });
});

class Large extends RpcTarget {
  static readonly ends: (() => void)[] = [];
  /** More than the system takes for a socket at once. */
  large(): Promise<Uint8Array> {
    return new Promise((resolve) => Large.ends.push(() => resolve(new Uint8Array(8_000_000))));
  }
}

async function statusOf(request: http.ClientRequest): Promise<number | undefined> {
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  await once(response, "end");
  return response.statusCode;
}

async function failureOr<T>(promise: PromiseLike<T>): Promise<T | string> {
  try {
    return await promise;
  } catch (error) {
    return String(error);
  }
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}
