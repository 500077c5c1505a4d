// A chat room: members leave a callback, and hear each other through it. Who leaves, or is gone, is forgotten.
// node build/programs/examples/chat/main.js

import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";

type Hear = (line: string) => void;

class Room extends RpcTarget {
  readonly #members = new Map<string, RpcStub<Hear>>();

  /** The callback is lent for the call: what is to be kept is dup'ed. What it returns is the way to speak, and to leave. */
  join(name: string, hear: RpcStub<Hear>): Membership {
    if (this.#members.has(name)) throw new Error(`there is a ${name} already`);
    const kept = hear.dup();
    this.#members.set(name, kept);
    this.#post(`* ${name} is here`);
    return new Membership(
      (text) => this.#post(`${name}: ${text}`),
      () => {
        this.#members.delete(name);
        kept[Symbol.dispose]();
        this.#post(`* ${name} left`);
      },
    );
  }

  get size(): number {
    return this.#members.size;
  }

  /** With a #, so that no member can call it: what is `private` in TypeScript only is a method like any other. */
  #post(line: string): void {
    // A member that cannot be reached is about to leave; the others go on.
    for (const hear of this.#members.values()) hear(line).catch(() => {});
  }
}

/** A member can speak for itself only: nobody else holds this. */
class Membership extends RpcTarget {
  readonly #say: (text: string) => void;
  readonly #leave: () => void;
  constructor(say: (text: string) => void, leave: () => void) {
    super();
    this.#say = say;
    this.#leave = leave;
  }
  say(text: string): void {
    this.#say(text);
  }
  /** Called when the member disposes it, or its connection is lost. */
  [Symbol.dispose](): void {
    this.#leave();
  }
}

const room = new Room();
await using listener = await listen("tcp://:0", { bootstrap: serve(room) });

async function member(name: string) {
  const session = await connect(listener.url);
  const stub = session.bootstrap(RpcStub<Room>);
  const membership = await stub.join(name, (line) => console.log(`  [${name}] ${line}`));
  return { session, stub, membership };
}

/** Until the room has so many members. */
async function until(size: number): Promise<void> {
  while (room.size !== size) await new Promise((resolve) => setTimeout(resolve, 5));
}

const ada = await member("Ada");
const bob = await member("Bob");
const eve = await member("Eve");
await bob.membership.say("Hello, all.");
await ada.stub.join("Bob", () => {}).catch((error: Error) => console.log(error.message));

bob.membership[Symbol.dispose](); // leaves
await until(2);
await eve.stub.size; // the answer comes behind what she was told before
await eve.session.close(); // is gone without a word: that ends the membership, too
await until(1);
await ada.membership.say("Anyone?");

await ada.session.close();
await bob.session.close();
