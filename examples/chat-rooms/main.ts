// npm start: serves the chat rooms until it is ended. With --demo: two members talk, the process of their room is killed in
// mid-sentence, and nothing that was acknowledged is lost.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { demo } from "./demo.js";

/** From build/programs, where this runs. */
const project = new URL("../../../../", import.meta.url);
const command = fileURLToPath(new URL("dist/cli/main.node.js", project));
const module = fileURLToPath(new URL("examples/chat-rooms/worker/worker.ts", project));
const serve = [command, "serve", module];

const args = process.argv.slice(2);
if (args.includes("--demo")) await demo(serve);
else {
  console.error("chat rooms: open the address below, in two windows; Ctrl-C ends it");
  const child = spawn(process.execPath, [...serve, ...args], { stdio: "inherit" });
  // A terminal tells both of us, others tell this process alone.
  process.on("SIGINT", () => {});
  process.on("SIGTERM", () => child.kill("SIGTERM"));
  const [code] = (await once(child, "exit")) as [number | null];
  process.exitCode = code ?? 1;
}
