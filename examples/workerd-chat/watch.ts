// A program of Node's that watches a durable object in workerd: it gives it a function, which is called there.
// node build/programs/examples/workerd-chat/watch.js unix:/run/workerd.sock

import { pathToFileURL } from "node:url";
import type { RpcTarget } from "capstan";
import { connectWorkerd, type Workerd } from "capstan/workerd";

/** The object `Tally` of worker/worker.js. */
interface Tally extends RpcTarget {
  watch(watcher: (room: string, count: number) => void): Readonly<Record<string, number>>;
}

/**
 * @param url of the debug port. @param hear told of each message: its room, and how many there were.
 * @returns the connection, which ends it.
 */
export async function watch(
  url: string,
  hear: (room: string, count: number) => void,
): Promise<Workerd> {
  const workerd = await connectWorkerd(url);
  const id = { name: "all", uniqueKey: "workerd-chat-tally" };
  using tally = workerd.getObject<Tally>("main", "Tally", id);
  for (const [room, count] of Object.entries(await tally.watch(hear))) hear(room, count);
  return workerd;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
  const workerd = await watch(process.argv[2]!, (room, count) => console.log(`${room}: ${count}`));
  process.once("SIGINT", () => void workerd.close());
}
