// @ts-check
// Rows of the object host: durable objects of one text in Capstan and in workerd, called by the Worker beside them.
//
// Both are driven alike, over HTTP, by one request after another that has the Worker make a number of calls. That number grows
// until a request takes a tenth of a second, so that HTTP itself does not count.

import { HOSTS, residentBytes } from "./servers.js";

/** What a request takes at least, in milliseconds. */
const REQUEST_MS = 100;
const IDLE_OBJECTS = 5000;
/** Both evict an object that had no event for ten seconds. */
const EVICTED_MS = 25_000;

/** @typedef {{ title: string, unit: string, kind: string, objects: number, outstanding: number, fresh?: boolean, least?: number }} HostRow */

/** @type {HostRow[]} */
const ROWS = [
  {
    title: "hosted: increments in storage, confirmed, one object",
    unit: "calls/s",
    kind: "increment",
    objects: 1,
    outstanding: 1,
  },
  {
    title: "hosted: the same, 64 outstanding",
    unit: "calls/s",
    kind: "increment",
    objects: 1,
    outstanding: 64,
    least: 1,
  },
  {
    title: "hosted: the same, 64 outstanding on 64 objects",
    unit: "calls/s",
    kind: "increment",
    objects: 64,
    outstanding: 64,
    least: 1,
  },
  {
    title: "hosted: echo, Worker to one object, call by call",
    unit: "calls/s",
    kind: "echo",
    objects: 1,
    outstanding: 1,
  },
  {
    title: "hosted: the same, 1000 outstanding",
    unit: "calls/s",
    kind: "echo",
    objects: 1,
    outstanding: 1000,
    least: 1,
  },
  {
    title: "hosted: echo, 1000 objects, 1000 outstanding",
    unit: "calls/s",
    kind: "echo",
    objects: 1000,
    outstanding: 1000,
  },
  {
    title: "hosted: cold activations, 16 at once",
    unit: "objects/s",
    kind: "echo",
    objects: Infinity,
    outstanding: 16,
    fresh: true,
  },
];

let runs = 0;

/** @param {string} url @param {HostRow} row @param {number} calls @param {string} run @returns {Promise<number>} milliseconds */
async function batch(url, row, calls, run) {
  const objects = Math.min(row.objects, calls);
  const query = `calls=${calls}&objects=${objects}&outstanding=${row.outstanding}&run=${run}`;
  const start = performance.now();
  const response = await fetch(`${url}/run/${row.kind}?${query}`);
  const made = Number(await response.text());
  if (!response.ok || made !== calls)
    throw new Error(`${row.title}: ${response.status}, ${made} of ${calls} calls`);
  return performance.now() - start;
}

/** @param {string} url @param {HostRow} row @param {number} seconds @returns {Promise<number>} calls a second */
async function rate(url, row, seconds) {
  const name = () => (row.fresh === true ? `${row.kind}-${process.pid}-${runs++}` : row.kind);
  let calls = Math.max(row.outstanding, row.fresh === true ? 1 : Math.min(row.objects, 1000));
  const warm = performance.now() + (seconds * 1000) / 2;
  let took = await batch(url, row, calls, name());
  while (took < REQUEST_MS || performance.now() < warm) {
    if (took < REQUEST_MS) calls *= 2;
    took = await batch(url, row, calls, name());
  }
  let made = 0;
  let spent = 0;
  while (spent < seconds * 1000) {
    spent += await batch(url, row, calls, name());
    made += calls;
  }
  return (made / spent) * 1000;
}

/** Private bytes an object adds that was called once: at once, and when both hosts have evicted it. @param {string} name */
async function memory(name) {
  const server = await /** @type {() => Promise<import("./servers.js").HostServer>} */ (
    HOSTS[name]
  )();
  try {
    const row = /** @type {HostRow} */ ({
      title: "memory",
      unit: "bytes",
      kind: "increment",
      objects: Infinity,
      outstanding: 16,
    });
    // What the first thousand cost is the engine's warming up.
    await batch(server.url, row, 1000, "warm");
    await sleep(EVICTED_MS);
    const before = residentBytes(server.pid);
    await batch(server.url, row, IDLE_OBJECTS, "idle");
    const active = (residentBytes(server.pid) - before) / IDLE_OBJECTS;
    await sleep(EVICTED_MS);
    const evicted = (residentBytes(server.pid) - before) / IDLE_OBJECTS;
    return { active, evicted };
  } finally {
    await server.stop();
  }
}

/** @param {number} ms @returns {Promise<void>} */
function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param {number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/**
 * @param {number} rounds @param {number} seconds
 * @param {string[]} [names] only these hosts; a row's ratio needs both
 */
export async function hostRows(rounds, seconds, names = ["capstan", "workerd"]) {
  /** @type {Record<string, number[]>} */
  const figures = {};
  const keep = (
    /** @type {string} */ name,
    /** @type {string} */ title,
    /** @type {number} */ value,
  ) => {
    (figures[`${name} ${title}`] ??= []).push(value);
    console.error(`${title}: ${name} ${value.toPrecision(4)}`);
  };
  for (let round = 0; round < rounds; round++)
    for (const name of names) {
      const server = await /** @type {() => Promise<import("./servers.js").HostServer>} */ (
        HOSTS[name]
      )();
      try {
        for (const row of ROWS) keep(name, row.title, await rate(server.url, row, seconds));
      } finally {
        await server.stop();
      }
    }
  for (const name of names) {
    const { active, evicted } = await memory(name);
    keep(name, ACTIVE, active);
    keep(name, IDLE, evicted);
  }
  const result = (
    /** @type {string} */ row,
    /** @type {string} */ unit,
    /** @type {object} */ marks,
  ) => {
    const capstan = median(figures[`capstan ${row}`] ?? []);
    const peerFigure = median(figures[`workerd ${row}`] ?? []);
    return {
      row,
      unit,
      capstan,
      peer: "workerd",
      peerFigure,
      ratio: capstan / peerFigure,
      ...marks,
    };
  };
  return [
    ...ROWS.map(({ title, unit, least }) =>
      result(title, unit, least === undefined ? {} : { least }),
    ),
    result(ACTIVE, "bytes", { least: 1, under: true }),
    result(IDLE, "bytes", { least: 1, under: true }),
  ];
}

const ACTIVE = "hosted: private memory of an object just called";
const IDLE = "hosted: private memory of an idle object, after eviction";
