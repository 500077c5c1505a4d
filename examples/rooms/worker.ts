// A Worker that uses the objects of a server in another process. Calls on capabilities that are not there yet are
// pipelined: they leave together, and together take one round trip.

import { connect } from "capstan/node";
import { serve } from "capstan/typed";
import { Lobby, Watcher } from "./rooms.capnp.js";

const session = await connect(process.argv[2] ?? "unix:rooms.sock");
const lobby = session.bootstrap(Lobby);

async function counted<T>(what: string, act: () => Promise<T>): Promise<T> {
  const before = session.writes;
  const value = await act();
  const trips = session.writes - before;
  console.log(`${what}: ${trips} round trip${trips === 1 ? "" : "s"}`);
  return value;
}

// The bootstrap capability, a room in it, two calls in that room: four questions, each about the answer to another.
const found = lobby.room({ name: "tea" });
const room = found.room;
const second = await counted(
  "asked for the lobby, a room in it, said two things there",
  async () => {
    const first = room.say({ author: "worker", text: "Hello." });
    const next = room.say({ author: "worker", text: "Is anyone here?" });
    await first;
    return next;
  },
);
console.log(`the second was number ${second.number}`);

// An object of ours in the server's hands: it calls back while our own call is under way.
const heard: string[] = [];
const watcher = serve(Watcher, {
  said({ message }) {
    heard.push(`${message.author}: ${message.text}`);
  },
});
const history = await counted("left a watcher, said something, read the history", async () => {
  const watched = room.watch({ watcher });
  const said = room.say({ author: "worker", text: "I hear myself." });
  const read = await room.history();
  await said;
  watched[Symbol.dispose]();
  return read;
});
for (const message of history.messages) console.log(`  ${message.author}: ${message.text}`);
console.log(`heard through the watcher: ${heard.join(" | ")}`);

const { questions, imports } = session.connection.stats();
for (const one of [found, room, watcher, history, lobby]) one[Symbol.dispose]();
console.log(`held before letting go: ${imports} references, ${questions} open questions`);
await session.close();
