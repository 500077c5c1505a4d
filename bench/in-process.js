// @ts-check
// Rows inside one process: the codec alone, and what a live capability and an idle connection cost.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { DEFAULT_LIMITS } from "../dist/base/limits.js";
import { Content } from "../dist/wire/content.js";
import { Descriptors } from "../dist/wire/descriptors.js";
import { Framer } from "../dist/wire/framer.js";
import { MessageReader } from "../dist/wire/message-reader.js";
import { MessageWriter } from "../dist/wire/message-writer.js";
import { Outbox } from "../dist/wire/outbox.js";

const ROUNDS = 400;
const PER_TURN = 500;

/** A small Call encoded, framed and its envelope decoded; nanoseconds each, and heap that outlives the turn. */
function codec() {
  const outbox = new Outbox();
  const writer = new MessageWriter(outbox, DEFAULT_LIMITS);
  const reader = new MessageReader(DEFAULT_LIMITS);
  const framer = new Framer(DEFAULT_LIMITS);
  const descriptors = new Descriptors();
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(4, 1, true);
  const content = new Content(bytes);
  const path = [0];
  let sum = 0;
  const take = (/** @type {any} */ frame) => {
    reader.read(frame);
    sum += reader.questionId + reader.methodId;
  };
  const turn = () => {
    for (let i = 0; i < PER_TURN; i++)
      writer.call(i, 1, 7, path, 0x1234, 0x5678, 3, 0, 0, content, descriptors);
    const batch = outbox.take();
    if (batch === null) throw new Error("nothing was written");
    for (const chunk of batch.chunks) framer.push(chunk, take);
    batch.release();
  };
  for (let i = 0; i < 200; i++) turn();
  globalThis.gc?.();
  const heapBefore = process.memoryUsage().heapUsed;
  const start = performance.now();
  for (let i = 0; i < ROUNDS; i++) turn();
  const nanoseconds = ((performance.now() - start) * 1e6) / (ROUNDS * PER_TURN);
  globalThis.gc?.();
  const outlives = (process.memoryUsage().heapUsed - heapBefore) / (ROUNDS * PER_TURN);
  if (sum === 0) throw new Error("nothing was read");
  return { nanoseconds, outlives };
}

/** Runs one measurement of this file in a process of its own, with `--expose-gc`. @param {string} what */
function alone(what) {
  const run = spawnSync(process.execPath, ["--expose-gc", fileURLToPath(import.meta.url), what], {
    encoding: "utf8",
  });
  if (run.status !== 0) throw new Error(`measuring ${what} failed: ${run.stderr}`);
  return JSON.parse(run.stdout.trim().split("\n").at(-1) ?? "");
}

/** Rows whose figure must stay UNDER a bound: the ratio is to that bound. */
export async function inProcessRows() {
  const under = (
    /** @type {string} */ row,
    /** @type {string} */ unit,
    /** @type {number} */ figure,
    /** @type {number} */ bound,
  ) => ({
    row,
    unit,
    capstan: figure,
    peer: "bound",
    peerFigure: bound,
    ratio: figure / bound,
    least: 1,
    under: true,
  });
  const wire = alone("codec");
  const memory = alone("memory");
  return [
    under("a small Call encoded and decoded", "ns", wire.nanoseconds, 500),
    under("heap of it that outlives the turn", "bytes", wire.outlives, 1),
    under("a live imported capability, importing side", "bytes", memory.importing, 300),
    under("a live imported capability, exporting side", "bytes", memory.exporting, 300),
    under("an idle connection, heap and external", "bytes", memory.connection, 20_000),
  ];
}

/** @type {{ row: string, what: string, unit: string, peer: string, least?: number, under?: boolean }[]} */
const STUB_ROWS = [
  {
    row: "stub of an object here, call by call",
    what: "local",
    unit: "calls/s",
    peer: "capnweb",
    least: 1,
  },
  {
    row: "the same, 1000 outstanding",
    what: "local-outstanding",
    unit: "calls/s",
    peer: "capnweb",
  },
  {
    row: "stub over a MessagePort, call by call",
    what: "port",
    unit: "calls/s",
    peer: "bare",
    least: 0.7,
  },
  { row: "the same, 1000 outstanding", what: "port-outstanding", unit: "calls/s", peer: "capnweb" },
  {
    row: "a live stub, both sides",
    what: "memory",
    unit: "bytes",
    peer: "capnweb",
    least: 1,
    under: true,
  },
];

/**
 * Stubs without a schema beside capnweb's, each measured alone, in turn. @param {number} rounds @param {number} seconds
 */
export function stubRows(rounds, seconds) {
  const file = fileURLToPath(new URL("peers/stubs.js", import.meta.url));
  const measure = (/** @type {string} */ what, /** @type {string} */ who) => {
    const args = ["--expose-gc", file, what, who, String(seconds)];
    const run = spawnSync(process.execPath, args, { encoding: "utf8" });
    if (run.status !== 0) throw new Error(`measuring ${what} of ${who} failed: ${run.stderr}`);
    const { perSecond, bytes } = JSON.parse(run.stdout.trim().split("\n").at(-1) ?? "");
    return perSecond ?? bytes;
  };
  return STUB_ROWS.map(({ what, ...row }) => {
    /** @type {number[]} */
    const ours = [];
    /** @type {number[]} */
    const theirs = [];
    for (let round = 0; round < rounds; round++) {
      ours.push(measure(what, "capstan"));
      theirs.push(measure(what, row.peer));
    }
    const median = (/** @type {number[]} */ all) =>
      all.sort((a, b) => a - b)[all.length >> 1] ?? NaN;
    const [capstan, peerFigure] = [median(ours), median(theirs)];
    return { ...row, capstan, peerFigure, ratio: capstan / peerFigure };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const what = process.argv[2];
  if (what === "codec") console.log(JSON.stringify(codec()));
  else if (what === "memory") {
    const { memory } = await import("../build/programs/bench/memory.js");
    console.log(JSON.stringify(await memory()));
  } else throw new Error("usage: in-process.js codec|memory");
}
