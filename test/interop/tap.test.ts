// The wiretap judges the interop scenarios, so it is itself judged here: by frames whose text is known.

import { mkdtemp, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Flow, Scanner, openTap } from "../../interop/tap.js";

const hex = (text: string) => Buffer.from(text.replaceAll(/\s/g, ""), "hex");

const BOOTSTRAP = hex(
  "0000000005000000 0000000001000100 0800000000000000 0000000001000100 0500000000000000 0000000000000000",
);
const TAIL_CALL = hex(
  `000000000d000000 0000000001000100 0200000000000000 0000000003000300 0100000003000100 0100000000000000
   0000000000000000 0800000001000100 0c00000000000200 0000000000000000 0200000000000000 0000000000000000
   0000000000000000 0000000000000000`,
);
const TAKE_FROM = hex(
  "0000000006000000 0000000001000100 0300000000000000 0000000002000100 0100000001000400 0400000000000000 0000000000000000",
);
const RECEIVER_LOOPBACK = hex(
  `0000000008000000 0000000001000100 0d00000000000000 0000000001000200 0600000001000000 0400000001000100
   0000000000000000 0200000000000000 0000000000000000`,
);
/** A finish in the first of three segments, the others of 4096 and 0 words. */
const SEGMENTS = Buffer.concat([
  hex(
    "0200000004000000 0010000000000000 0000000001000100 0400000000000000 0000000001000000 0100000000000000",
  ),
  Buffer.alloc(4096 * 8, 0xff),
]);

const STREAM = Buffer.concat([BOOTSTRAP, TAIL_CALL, SEGMENTS, TAKE_FROM, RECEIVER_LOOPBACK]);
const COUNTS = {
  bootstrap: 1,
  call: 1,
  "call.yourself": 1,
  finish: 1,
  return: 1,
  "return.takeFromOtherQuestion": 1,
  disembargo: 1,
  "disembargo.receiverLoopback": 1,
};

it("counts messages and their variants, however the stream is cut", () => {
  for (const size of [1, 3, 8, 40, 4096, 5000, STREAM.length]) {
    const flow = new Flow();
    const scanner = new Scanner(flow);
    for (let at = 0; at < STREAM.length; at += size) scanner.see(STREAM.subarray(at, at + size));
    expect(flow.counts).toEqual(COUNTS);
    expect(flow.segments).toBe(3);
    expect(flow.bytes).toBe(STREAM.length);
  }
});

it("passes bytes on unchanged, both ways, and the end of either side", async () => {
  const folder = await mkdtemp(join(tmpdir(), "capstan-tap-"));
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
  server.listen(join(folder, "server"));
  const tap = await openTap(join(folder, "tap"), join(folder, "server"));
  try {
    const client = createConnection({ path: join(folder, "tap"), allowHalfOpen: true });
    // More than the sockets hold, so that the tap must stop reading and go on again.
    const sent = Buffer.concat(Array.from({ length: 200 }, () => STREAM));
    client.end(sent);
    const echo: Buffer[] = [];
    for await (const chunk of client) echo.push(chunk as Buffer);
    expect(Buffer.concat(echo).equals(sent)).toBe(true);
    const counts = Object.fromEntries(
      Object.entries(COUNTS).map(([kind, count]) => [kind, 200 * count]),
    );
    expect(tap.up.counts).toEqual(counts);
    expect(tap.down.counts).toEqual(counts);
  } finally {
    tap.close();
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
});
