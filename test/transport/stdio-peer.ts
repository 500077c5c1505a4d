// A program for the stdio tests. On its own standard input and output it is, by its first argument:
// echo: sends each message back, ends when its input does; log: prints before each; crash: exits with code 3 at the
// first message; noise: prints no message at all; own: speaks through stdioTransport, as a real server would.

import { stdioTransport } from "../../src/transport/stdio.node.js";
import { Outbox } from "../../src/wire/outbox.js";

const [how = "echo"] = process.argv.slice(2);

if (how === "noise") console.log("listening on stdin, if you please");

const transport = stdioTransport();
const outbox = new Outbox();
outbox.wake = () => process.nextTick(() => transport.write(outbox.take()!));

transport.start({
  message: (frame) => {
    if (how === "crash") process.exit(3);
    if (how === "log") console.log("a message came");
    const copy = frame.copy();
    outbox.begin(0);
    outbox.commit(0, copy);
  },
  fault: (error) => transport.close(error),
  closed: (error) => {
    if (how === "log") console.log("closed");
    process.exitCode = error === null ? 0 : 4;
  },
});
