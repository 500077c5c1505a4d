// The first object a stranger gets yields others only for a credential: a door. What is behind it is never named, only held.
// node build/programs/examples/auth/main.js

import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { connect, listen, RpcStub, RpcTarget, serve, validateMethods } from "capstan/node";

const hash = (text: string): Buffer => createHash("sha256").update(text).digest();

interface User {
  readonly name: string;
  readonly secret: Buffer;
  readonly admin: boolean;
}

/** Secrets are kept, and compared, as hashes: in a time that does not tell how much was right. */
const tokens = { ada: randomBytes(16).toString("hex"), bob: randomBytes(16).toString("hex") };
const users: User[] = [
  { name: "Ada", secret: hash(tokens.ada), admin: true },
  { name: "Bob", secret: hash(tokens.bob), admin: false },
];
const notes = new Map<string, string[]>();

/** For everyone who can connect. It is all that can be reached without a credential. */
class Door extends RpcTarget {
  /** One way to fail, whatever was wrong. */
  enter(token: string): Desk {
    const given = hash(token);
    const user = users.find(({ secret }) => timingSafeEqual(secret, given));
    if (user === undefined) throw new Error("not known here");
    return new Desk(user);
  }
}
// From a stranger comes anything: checked before the method runs.
validateMethods(Door, {
  enter: {
    params: {
      "~standard": {
        version: 1,
        vendor: "example",
        validate: (args) =>
          Array.isArray(args) && typeof args[0] === "string" && args[0].length <= 100
            ? { value: [args[0]] }
            : { issues: [{ message: "no token", path: [0] }] },
      },
    },
  },
});

/** A user's own: it knows whose it is, so no call names a user, and none can name another. */
class Desk extends RpcTarget {
  readonly #user: User;
  constructor(user: User) {
    super();
    this.#user = user;
  }
  write(note: string): number {
    const own = notes.get(this.#user.name) ?? [];
    notes.set(this.#user.name, own);
    return own.push(note);
  }
  read(): string[] {
    return notes.get(this.#user.name) ?? [];
  }
  /** More authority, for who has the right: as another object. */
  office(): Office {
    if (!this.#user.admin) throw new Error(`${this.#user.name} has no office`);
    return new Office();
  }
}

class Office extends RpcTarget {
  writers(): string[] {
    return [...notes.keys()];
  }
}

await using listener = await listen("tcp://:0", { bootstrap: serve(new Door()) });

async function visit(who: string, token: unknown, act: (desk: RpcStub<Desk>) => Promise<string>) {
  await using session = await connect(listener.url);
  using door = session.bootstrap(RpcStub<Door>);
  // Not awaited: the credential and what is done with it leave together, in one round trip.
  using desk = door.enter(token as string);
  try {
    console.log(`${who}: ${await act(desk as unknown as RpcStub<Desk>)}`);
  } catch (error) {
    console.log(`${who} fails: ${(error as Error).message}`);
  }
}

await visit("Ada", tokens.ada, async (desk) => {
  void desk.write("a secret");
  return (await desk.read()).join();
});
await visit("Bob", tokens.bob, async (desk) => `${(await desk.read()).length} notes`);
await visit("Bob in the office", tokens.bob, async (desk) =>
  (await desk.office().writers()).join(),
);
await visit("Ada in the office", tokens.ada, async (desk) =>
  (await desk.office().writers()).join(),
);
await visit("a stranger", "guess", async (desk) => (await desk.read()).join());
await visit("a stranger with no text", { toString: 1 }, async (desk) => (await desk.read()).join());
