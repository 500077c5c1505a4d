// What the Workers of the tests call.

import { RpcError, RpcTarget } from "../../../src/node.js";
import type { RpcStub } from "../../../src/node.js";
import type { Guest } from "../bridge/api.js";

class Refused extends Error {
  override readonly name = "Refused";
  readonly code = "E_REFUSED";
  readonly detail = { n: 1 };
}

class Members extends RpcTarget {
  count(): number {
    return 7;
  }
}

export class Room extends RpcTarget {
  readonly #name: string;

  constructor(name: string) {
    super();
    this.#name = name;
  }

  get name(): string {
    return this.#name;
  }

  get parts(): { first: Room } {
    return { first: new Room("first") };
  }

  say(text: string): string {
    return `${this.#name}: ${text}`;
  }

  greet(whom: string): string {
    return `${this.#name} greets ${whom}`;
  }

  members(): Members {
    return new Members();
  }
}

export class Lobby extends RpcTarget {
  get title(): string {
    return "the lobby";
  }

  add(a: number, b: number): number {
    return a + b;
  }

  nothing(): void {}

  room(name: string): Room {
    return new Room(name);
  }

  async visit(guest: RpcStub<Guest>, twice: (n: number) => Promise<number>): Promise<unknown[]> {
    using friend = guest.friend("Bo");
    return [await guest.name, await friend.greet("you"), await twice(21)];
  }

  fails(kind: string): never {
    switch (kind) {
      case "own":
        throw new Refused("not you");
      case "type":
        throw new TypeError("of type");
      case "cause":
        throw new Error("outer", { cause: new RangeError("inner") });
      case "overloaded":
        throw new RpcError("overloaded", "queue-full", "too many");
      case "disconnected":
        throw new RpcError("disconnected", "connection-lost", "gone");
      default:
        // oxlint-disable-next-line no-throw-literal -- it is allowed, so it happens
        throw { no: "error" };
    }
  }
}
