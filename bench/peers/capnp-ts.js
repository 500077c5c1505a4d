// capnp-ts 0.9.3 with its own connection: the other Cap'n Proto in TypeScript. The interface is that of bench.capnp,
// written by hand as its compiler would.

import { createRequire } from "node:module";
import {
  dial,
  keepOutstanding,
  listen,
  oneByOne,
  OUTSTANDING,
  ownCpu,
  run,
} from "../../build/programs/bench/peers/harness.js";

const require = createRequire(import.meta.url);
const capnp = require("capnp-ts");
const { Struct } = require("capnp-ts/src/serialization/pointers/struct.js");

const { ObjectSize } = capnp;
const INTERFACE = 0xe52cbe5b6d3ba6b0n;

/** @param {string} name @param {number} data @param {number} pointers */
function structType(name, data, pointers) {
  return class extends Struct {
    static _capnp = { displayName: name, id: name, size: new ObjectSize(data * 8, pointers) };
  };
}

const AddParams = class extends structType("AddParams", 1, 0) {
  set(/** @type {{ a: number, b: number }} */ value) {
    Struct.setInt32(0, value.a, this);
    Struct.setInt32(4, value.b, this);
  }
};
const AddResults = structType("AddResults", 1, 0);
const NextParams = structType("NextParams", 0, 0);
const NextResults = structType("NextResults", 0, 1);
const UsageResults = structType("UsageResults", 1, 0);

const ADD = method(0, "add", AddParams, AddResults);
const NEXT = method(1, "next", NextParams, NextResults);
const USAGE = method(3, "usage", NextParams, UsageResults);

/** @param {number} methodId @param {string} methodName @param {unknown} ParamsClass @param {unknown} ResultsClass */
function method(methodId, methodName, ParamsClass, ResultsClass) {
  return {
    interfaceId: INTERFACE,
    interfaceName: "Bench",
    methodId,
    methodName,
    ParamsClass,
    ResultsClass,
  };
}

function bench() {
  const server = new capnp.Server([
    {
      ...ADD,
      impl: (/** @type {any} */ p, /** @type {any} */ r) =>
        Struct.setInt32(0, Struct.getInt32(0, p) + Struct.getInt32(4, p), r),
    },
    {
      ...NEXT,
      impl: (/** @type {any} */ _p, /** @type {any} */ r) => {
        const message = r.segment.message;
        const { setInterfacePointer } = require("capnp-ts/src/serialization/pointers/pointer.js");
        setInterfacePointer(
          message.addCap(new capnp.Client({ tag: "local", server })),
          Struct.getPointer(0, r),
        );
      },
    },
    {
      ...USAGE,
      impl: (/** @type {any} */ _p, /** @type {any} */ r) => Struct.setFloat64(0, ownCpu(), r),
    },
  ]);
  return server;
}

/** Stream frames over a socket. @param {import("node:net").Socket} socket */
function transport(socket) {
  /** @type {(data: Uint8Array) => void} */
  let onMessage = () => {};
  let pending = Buffer.alloc(0);
  socket.on("data", (chunk) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    let at = 0;
    while (pending.length - at >= 8) {
      const segments = pending.readUInt32LE(at) + 1;
      const header = ((4 + 4 * segments + 7) >> 3) * 8;
      if (pending.length - at < header) break;
      let size = header;
      for (let i = 0; i < segments; i++) size += pending.readUInt32LE(at + 4 + 4 * i) * 8;
      if (pending.length - at < size) break;
      onMessage(pending.subarray(at, at + size));
      at += size;
    }
    pending = pending.subarray(at);
  });
  return {
    close: () => socket.destroy(),
    onClose: (/** @type {() => void} */ listener) => socket.on("close", () => listener()),
    onMessage: (/** @type {(data: Uint8Array) => void} */ listener) => (onMessage = listener),
    send: (/** @type {Uint8Array} */ data) => socket.write(data),
  };
}

/** @param {string} path */
async function connect(path) {
  const socket = await dial(path);
  const connection = new capnp.Conn(transport(socket));
  const Bench = { _capnp: { displayName: "Bench", id: "bench" }, Client: capnp.Client };
  const root = connection.bootstrap({
    ...Bench,
    Client: class {
      constructor(/** @type {any} */ c) {
        return c;
      }
    },
  });
  const add = () => root.call(ADD, { a: 3, b: 4 });
  return {
    workloads: {
      sequential: (/** @type {number} */ until) => oneByOne(until, add),
      outstanding: (/** @type {number} */ until) => keepOutstanding(until, OUTSTANDING, add),
      chain: (/** @type {number} */ until) =>
        oneByOne(until, () => {
          let at = root;
          for (let i = 0; i < 3; i++) at = at.call(NEXT).pipelineClient(0);
          return at.call(ADD, { a: 3, b: 4 });
        }),
    },
    async serverCpu() {
      return Struct.getFloat64(0, await root.call(USAGE));
    },
    close: () => connection.close(),
  };
}

await run({
  name: "capnp-ts 0.9.3",
  serve: async (path) =>
    listen(path, (socket) => void new capnp.Conn(transport(socket), { main: bench() })),
  connect,
});
