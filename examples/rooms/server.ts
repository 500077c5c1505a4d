// An object server: a lobby that hands out rooms, over a Unix socket (or any address given as the first argument).

import { listen } from "capstan/node";
import { serve } from "capstan/typed";
import { Lobby, Room, type Message, type Watcher } from "./rooms.capnp.js";

class RoomObject implements Room.Server {
  private readonly said: Message.Init[] = [];
  private readonly watchers = new Set<Watcher>();

  say({ author, text }: { author: string; text: string }): { number: number } {
    const message = { author, text };
    this.said.push(message);
    for (const watcher of this.watchers)
      watcher.said({ message }).then(undefined, () => this.watchers.delete(watcher));
    return { number: this.said.length };
  }

  history(): { messages: Message.Init[] } {
    return { messages: this.said };
  }

  // The params are lent for the call; what is to be kept is dup'ed.
  watch({ watcher }: { watcher: Watcher }): { watching: { [Symbol.dispose](): void } } {
    const kept = watcher.dup();
    const { watchers } = this;
    watchers.add(kept);
    return {
      watching: {
        // Runs when the caller drops the answer, or is gone.
        [Symbol.dispose]() {
          watchers.delete(kept);
          kept[Symbol.dispose]();
        },
      },
    };
  }
}

const rooms = new Map<string, Room>();

const lobby = serve(Lobby, {
  room({ name }) {
    let room = rooms.get(name);
    if (room === undefined) rooms.set(name, (room = serve(Room, new RoomObject())));
    return { room: room.dup() };
  },
});

const listener = await listen(process.argv[2] ?? "unix:rooms.sock", { bootstrap: lobby });
console.log(`listening on ${listener.url}`);
// Whoever started this ends it: by a signal, or by going away.
process.on("SIGTERM", () => void listener.close().then(() => process.exit(0)));
process.stdin.on("end", () => process.exit(0)).resume();
