// A vat in a process of its own, for the tests of dead and living peers. First argument: the address to listen at, or
// "stdio". It offers an object: method 0 gives its number back, method 1 never answers; each call is said on stderr.

import { processScheduler } from "../../src/index.js";
import { listen, serveStdio } from "../../src/node.js";
import { payload, Recorder } from "../support/objects.js";

const where = process.argv[2]!;

const bootstrap = new Recorder({
  0: (call, value) => {
    console.log("answering");
    call.returns(payload(value));
  },
  1: () => console.error("called"),
}).hook(processScheduler());

if (where === "stdio") {
  const session = serveStdio({ bootstrap });
  void session.closed.then((cause) => {
    process.exitCode = cause === null ? 0 : 5;
  });
} else {
  const listener = await listen(where, { bootstrap });
  console.log(listener.url);
}
