// @ts-check
// A wiretap: a proxy on a Unix socket that passes bytes on unchanged and counts the Cap'n Proto messages among them.
//
// The runner puts it between the two peers to see that a scenario has exercised what its name promises: that there were embargoes,
// that a tail call was one on the wire. It knows the stream framing and the fixed places of a few tags in rpc.capnp, no more,
// and shares no code with what it observes. It holds back no more bytes than the sockets do.

import { once } from "node:events";
import { createConnection, createServer } from "node:net";

const MESSAGES = [
  "unimplemented",
  "abort",
  "call",
  "return",
  "finish",
  "resolve",
  "release",
  "obsoleteSave",
  "bootstrap",
  "obsoleteDelete",
  "provide",
  "accept",
  "join",
  "disembargo",
  "thirdPartyAnswer",
];
// For some messages a second count under "<message>.<variant>": where the variant's tag is in the body's data section.
/** @type {Record<string, { at: number, names: string[] }>} */
const VARIANTS = {
  call: { at: 6, names: ["caller", "yourself", "thirdParty"] },
  return: {
    at: 6,
    names: [
      "results",
      "exception",
      "canceled",
      "resultsSentElsewhere",
      "takeFromOtherQuestion",
      "awaitFromThirdParty",
    ],
  },
  resolve: { at: 4, names: ["cap", "exception"] },
  disembargo: { at: 4, names: ["senderLoopback", "receiverLoopback", "accept", "provide"] },
};
// How much of a message is looked at, past its segment table: the envelope's tags come first in what every peer writes.
const LOOK = 64;

/** What went in one direction, over all connections. */
export class Flow {
  /** @type {Record<string, number>} messages by kind and by variant */
  counts = {};
  bytes = 0;
  /** the most segments a message had */
  segments = 0;

  /** @param {string} name */
  add(name) {
    this.counts[name] = (this.counts[name] ?? 0) + 1;
  }
}

/** Finds the messages in one direction of one connection. */
export class Scanner {
  #flow;
  #head = Buffer.alloc(0); // the start of the message that is coming in, until enough of it is here
  #skip = 0; // bytes of the message that are still to come and need no look

  /** @param {Flow} flow where to count them */
  constructor(flow) {
    this.#flow = flow;
  }

  /** @param {Buffer} chunk */
  see(chunk) {
    this.#flow.bytes += chunk.length;
    let at = 0;
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const step = Math.min(this.#skip, chunk.length - at);
        this.#skip -= step;
        at += step;
        continue;
      }
      const before = this.#head.length;
      this.#head = Buffer.concat([this.#head, chunk.subarray(at, at + 4096)]);
      const size = this.#measure();
      if (size === null) {
        at += this.#head.length - before;
        continue;
      }
      this.#count(size.table);
      const taken = Math.min(size.total - before, chunk.length - at);
      this.#skip = size.total - before - taken;
      this.#head = Buffer.alloc(0);
      at += taken;
    }
  }

  /** The sizes of the message at the head, or null while too little of it is here. */
  #measure() {
    const head = this.#head;
    if (head.length < 8) return null;
    const segments = head.readUInt32LE(0) + 1;
    const table = (4 + 4 * segments + 7) & ~7;
    if (head.length < table) return null;
    let total = table;
    for (let i = 0; i < segments; i++) total += head.readUInt32LE(4 + 4 * i) * 8;
    if (head.length < Math.min(total, table + LOOK)) return null;
    this.#flow.segments = Math.max(this.#flow.segments, segments);
    return { table, total };
  }

  /** @param {number} table bytes before the first segment */
  #count(table) {
    const root = structAt(this.#head, table);
    if (root === null) return this.#flow.add("unreadable");
    const kind = MESSAGES[this.#head.readUInt16LE(root.data)] ?? "unknown";
    this.#flow.add(kind);
    const variant = VARIANTS[kind];
    const body = structAt(this.#head, root.pointers);
    if (variant === undefined || body === null) return;
    const tag = this.#head.readUInt16LE(body.data + variant.at);
    this.#flow.add(`${kind}.${variant.names[tag] ?? "unknown"}`);
  }
}

/**
 * Where the struct that the near pointer at `at` points to has its two sections, or null when it is not one in sight.
 *
 * @param {Buffer} bytes
 * @param {number} at
 */
function structAt(bytes, at) {
  if (at + 8 > bytes.length) return null;
  const low = bytes.readInt32LE(at);
  const data = at + 8 + (low >> 2) * 8;
  const pointers = data + bytes.readUInt16LE(at + 4) * 8;
  return (low & 3) === 0 && data + 8 <= bytes.length ? { data, pointers } : null;
}

/**
 * @param {import("node:net").Socket} from
 * @param {import("node:net").Socket} to
 * @param {Scanner} scanner
 */
function pass(from, to, scanner) {
  from.on("data", (chunk) => {
    scanner.see(chunk);
    if (!to.write(chunk)) from.pause();
  });
  to.on("drain", () => from.resume());
  from.on("end", () => to.end());
  from.on("error", () => to.destroy());
  from.on("close", () => to.destroySoon());
}

/**
 * Listens on `path` and connects each client to `target`; `up` is client to server.
 *
 * @param {string} path of the Unix socket to make
 * @param {string} target path of the server's Unix socket
 * @returns {Promise<{ up: Flow, down: Flow, close(): void }>}
 */
export async function openTap(path, target) {
  const up = new Flow();
  const down = new Flow();
  /** @type {Set<import("node:net").Socket>} */
  const sockets = new Set();
  const server = createServer({ allowHalfOpen: true }, (client) => {
    const upstream = createConnection({ path: target, allowHalfOpen: true });
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
    }
    pass(client, upstream, new Scanner(up));
    pass(upstream, client, new Scanner(down));
  });
  server.listen(path);
  await once(server, "listening");
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { up, down, close };
}
