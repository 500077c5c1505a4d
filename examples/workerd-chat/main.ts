// A chat whose page a Worker in workerd serves, and whose rooms live in a Capstan host. Ctrl-C ends it. With --demo: two people
// talk, the process of their room is killed meanwhile, and a program watches from outside how much is said.
// node build/programs/examples/workerd-chat/main.js [--demo]

import { demo } from "./demo.js";
import { start } from "./start.js";
import { watch } from "./watch.js";

if (process.argv.includes("--demo")) await demo();
else {
  const running = await start(".capstan", 8787);
  const watched = await watch(running.debugPort, (room, count) =>
    console.log(`${room}: ${count} messages`),
  );
  console.log(`open ${running.url}#lobby in two windows; Ctrl-C ends it`);
  const signal = new Promise((resolve) => process.once("SIGINT", resolve).once("SIGTERM", resolve));
  await Promise.race([signal, running.ended]);
  await watched.close();
  await running.stop();
}
