// The whole story, by itself: two members talk over WebSockets, the process of their room is killed without a warning while they
// do, both come back, and what was acknowledged is there.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Member } from "./member.js";

const EACH = 100;

/** What `capstan serve --json` says, a line each. */
type Said =
  | { readonly event: "serving"; readonly url: string }
  | { readonly event: "process"; readonly role: "front" | "objects"; readonly pid: number };

/** @param serve the command that serves the chat rooms. @throws Error when something was lost. */
export async function demo(serve: readonly string[]): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), "capstan-chat-"));
  const flags = [
    "--json",
    "--port",
    "0",
    "--data",
    data,
    "--processes",
    "1",
    "--var",
    "BURST=1000",
  ];
  const server = spawn(process.execPath, [...serve, ...flags], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  try {
    await story(server);
  } finally {
    if (server.exitCode === null) {
      server.kill("SIGTERM");
      await once(server, "exit");
    }
    rmSync(data, { recursive: true, force: true });
  }
}

async function story(server: ChildProcess): Promise<void> {
  const objects: number[] = [];
  const lines = createInterface(server.stdout!);
  const url = await new Promise<string>((resolve, reject) => {
    lines.on("line", (line) => {
      const said = JSON.parse(line) as Said;
      if (said.event === "serving") resolve(said.url);
      else console.log(`${said.role}: process ${said.pid}`);
      if (said.event === "process" && said.role === "objects") objects.push(said.pid);
    });
    server.on("exit", () => reject(new Error("the server did not start")));
  });
  console.log(`serving ${url}`);

  const [ada, bob] = ["Ada", "Bob"].map((name) => new Member(name, url, "lobby")) as [
    Member,
    Member,
  ];
  const both = [ada, bob];
  await Promise.all(both.map((one) => one.until(() => one.connections === 1)));
  console.log("Ada and Bob are in the lobby");
  ada.say("Hello, Bob.");
  await bob.until(() => bob.seen.length === 1);
  console.log(`Bob hears ${bob.seen[0]!.name}: ${bob.seen[0]!.text}`);

  for (let i = 1; i <= EACH; i++) for (const one of both) one.say(`${one.name} says ${i}`);
  await ada.until(() => ada.stored.length > EACH / 4);
  const victim = objects.at(-1)!;
  const acknowledged = both.flatMap((one) => one.stored);
  process.kill(victim, "SIGKILL");
  console.log(`killed process ${victim}, in mid-conversation`);

  await Promise.all(both.map((one) => one.until(() => one.connections === 2)));
  console.log("Ada and Bob are back");
  const all = 2 * EACH + 1;
  await Promise.all(both.map((one) => one.until(() => one.isHeard && one.seen.length === all)));
  const seen = both.map((one) => one.seen.map(({ text }) => text));
  const lost = acknowledged.filter((text) => !seen.every((texts) => texts.includes(text)));
  if (lost.length > 0) throw new Error(`lost: ${lost.join("; ")}`);
  if (seen[0]!.join("\n") !== seen[1]!.join("\n") || new Set(seen[0]).size !== all)
    throw new Error("they have not seen the same, each once");
  console.log(
    `all that was acknowledged is there; both have seen ${all} messages, each once, in one order`,
  );
  for (const one of both) one.leave();
}
