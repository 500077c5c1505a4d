// Methods of one name in an interface and in those it inherits: each is called by a name of its own, and finds its own.

import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryPair } from "../../src/transport/memory.js";
import { Session } from "../../src/vat/session.js";
import { type Client, serve, Text, whenStreamed } from "../../src/typed.js";
import { settle } from "./kit.js";
import * as h from "./schemas/homonyms.capnp.js";

let near: Session;
let far: Session;

function connect(served: Client): void {
  const [a, b] = memoryPair();
  far = new Session(b, { bootstrap: served });
  near = new Session(a);
}

let heard: unknown[];
beforeEach(() => {
  heard = [];
});
afterEach(async () => {
  await settle();
  for (const { connection } of [near, far]) {
    connection.check();
    expect(connection.idle, connection.dump()).toBe(true);
  }
  await Promise.all([near.close(), far.close()]);
});

class Journal implements h.Journal.Server {
  write({ line }: h.Log_write$Params): void {
    heard.push(line);
  }
  write_Store({ bytes }: h.Store_write$Params) {
    heard.push(bytes.length);
    return { size: bytes.length };
  }
  lines() {
    return { count: heard.length };
  }
  close(): void {
    heard.push("close");
  }
  flush(): void {
    heard.push("flush");
  }
}

describe("a method with the name of an inherited one", () => {
  it("is called by that name, and the inherited one by the name of its interface behind it", async () => {
    connect(serve(h.Journal, new Journal()));
    using journal = near.bootstrap(h.Journal);
    await journal.write({ line: "one" });
    expect((await journal.write_Store({ bytes: new Uint8Array(3) })).size).toBe(3);
    await whenStreamed(journal);
    expect((await journal.lines()).count).toBe(2);
    expect(heard).toEqual(["one", 3]);
  });

  it("leaves the interface that it is inherited from as it is", async () => {
    connect(serve(h.Journal, new Journal()));
    using journal = near.bootstrap(h.Journal);
    using log = journal.castAs(h.Log);
    using store = journal.castAs(h.Store);
    await log.write({ line: "two" });
    expect((await log.write_Store({ bytes: new Uint8Array(4) })).size).toBe(4);
    expect((await store.write({ bytes: new Uint8Array(5) })).size).toBe(5);
    expect(heard).toEqual(["two", 4, 5]);
    expect("write_Store" in store).toBe(false);
  });

  it("is in the order of extends where several are inherited, generic ones and nested ones too", async () => {
    const all: h.All.Server = {
      write: ({ bytes }) => ({ size: bytes.length }),
      write_Typed: ({ value }) => ({ value: `${value}!` }),
      write_Typed_Store: () => ({ there: true }),
      write_Log: ({ line }) => void heard.push(line),
      close: () => void heard.push("close"),
      close_Typed: ({ why }) => ({ why }),
      lines: () => ({ count: 7 }),
      flush: () => void heard.push("flush"),
    };
    connect(serve(h.All, all));
    using remote = near.bootstrap(h.All);
    expect((await remote.write({ bytes: new Uint8Array(2) })).size).toBe(2);
    expect((await remote.write_Typed({ value: "text" })).value).toBe("text!");
    expect((await remote.write_Typed_Store()).there).toBe(true);
    await remote.write_Log({ line: "line" });
    await remote.close();
    const { why } = await remote.close_Typed({ why: "because" }, { types: [Text] });
    expect(why).toBe("because");
    await remote.flush();
    expect((await remote.lines()).count).toBe(7);
    expect(heard).toEqual(["line", "close", "flush"]);
    // Whoever knows it as something else finds the same methods.
    using log = remote.castAs(h.Log);
    await log.write({ line: "log" });
    expect((await log.write_Store({ bytes: new Uint8Array(6) })).size).toBe(6);
    expect(heard.at(-1)).toBe("log");
  });

  it("that a server lacks is unimplemented, whatever the other says", async () => {
    const partial = { write: () => {} } as Partial<h.Log.Server> as h.Log.Server;
    connect(serve(h.Log, partial));
    using log = near.bootstrap(h.Log);
    await expect(log.write_Store()).rejects.toMatchObject({
      type: "unimplemented",
      message: expect.stringContaining("Store") as unknown,
    });
  });
});
