// The whole story, by itself.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Reader } from "./reader.js";
import { type Running, start } from "./start.js";
import { watch } from "./watch.js";

/** @throws Error when it goes otherwise than it should. */
export async function demo(): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "capstan-workerd-chat-data-"));
  const running = await start(data, 0);
  try {
    await story(running);
  } finally {
    await running.stop();
    rmSync(data, { recursive: true, force: true });
  }
}

async function story({ url, debugPort, objects }: Running): Promise<void> {
  const page = await fetch(url);
  if (!(await page.text()).includes('role="log"')) throw new Error("there is no page");
  console.log("the Worker serves the page");

  let count = 0;
  const watched = await watch(debugPort, (room, said) => {
    if (room === "lobby") count = said;
  });
  const bob = new Reader(`${url}rooms/lobby`);
  const say = async (name: string, text: string): Promise<void> => {
    for (;;) {
      const body = JSON.stringify({ name, text });
      const response = await fetch(`${url}rooms/lobby`, { method: "POST", body });
      if (response.ok) return await response.body?.cancel();
      // Until the process of the room is there again.
      if (response.status !== 503) throw new Error(await response.text());
    }
  };
  await say("Ada", "Hello, Bob.");
  await say("Ada", "<b>Are you there?</b>");
  await bob.until(2);
  console.log(`Bob reads: ${bob.texts.join(" | ")}`);

  process.kill(objects.at(-1)!, "SIGKILL");
  console.log("the process of the room was killed");
  await say("Bob", "Here I am.");
  await bob.until(3);
  console.log(`Bob reads: ${bob.texts.join(" | ")}`);
  const late = new Reader(`${url}rooms/lobby`);
  await late.until(3);
  if (late.texts.join() !== bob.texts.join()) throw new Error("they have not read the same");
  console.log("whoever comes later reads the same");

  while (count < 3) await new Promise((resolve) => setTimeout(resolve, 20));
  console.log(`the program that watches was called: ${count} messages in the lobby`);
  await Promise.all([bob.close(), late.close(), watched.close()]);
}
