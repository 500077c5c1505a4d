// @ts-check
// The list of scenarios: what each is called, what it shows, and what the wiretap must have seen for it to count.
//
// A scenario's steps are in the client programs (`cxx/scenarios-*.c++`, `ts/`). `expect` gives the least counts of messages by
// direction (up is client to server) and the least number of segments.

/**
 * @typedef {object} Expect
 * @property {Record<string, number>} [up]
 * @property {Record<string, number>} [down]
 * @property {{ up: number, down: number }} [segments]
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {string} shows
 * @property {"interop" | "calculator"} [bootstrap] interop by default
 * @property {"unix" | "tcp"} [on] unix by default
 * @property {string[]} [clients] the client runs, the scenario's name by default
 * @property {string[]} [killed] those of them that must end by SIGKILL
 * @property {Expect | null} [expect] by default nothing; null for no wiretap
 */

/** @type {Scenario[]} */
export const SCENARIOS = [
  {
    name: "bootstrap",
    shows: "the bootstrap object, asked for several times and on two connections",
  },
  {
    name: "fields",
    shows: "every type of field, a generic method, an object of a generic interface",
  },
  {
    name: "errors",
    shows: "every type of exception, both ways, on pipelined calls too; unknown methods",
  },
  {
    name: "pipelining",
    shows: "calls five deep on an answer that cannot come before they were sent",
  },
  { name: "early-pipelining", shows: "pipelined calls served before the method answers" },
  {
    name: "capabilities",
    shows: "objects in params and results, in lists, null, repeated, returned to their owner",
  },
  {
    name: "callbacks",
    shows: "the server calls the client, which calls the server, which calls the client",
  },
  {
    name: "embargo-answer",
    shows: "an answer holds the caller's own object, with calls in flight: order kept",
    expect: { up: { "disembargo.senderLoopback": 5 }, down: { "disembargo.receiverLoopback": 5 } },
  },
  {
    name: "embargo-resolve",
    shows: "a promise resolves to the caller's own object, with calls in flight: order kept",
    expect: {
      up: { "disembargo.senderLoopback": 5 },
      down: { "resolve.cap": 5, "disembargo.receiverLoopback": 5 },
    },
  },
  {
    name: "reflected-calls",
    shows: "calls that come back to their sender, what is pipelined on them, a promise that breaks",
    expect: { up: { call: 60 }, down: { call: 20, "resolve.exception": 1 } },
  },
  {
    name: "tail-calls",
    shows: "methods that end in a call of the other side, to and fro 15 times",
    expect: {
      up: {
        "call.yourself": 10,
        "return.takeFromOtherQuestion": 10,
        "return.resultsSentElsewhere": 7,
      },
      down: {
        "call.yourself": 7,
        "return.takeFromOtherQuestion": 7,
        "return.resultsSentElsewhere": 10,
      },
    },
  },
  {
    name: "cancellation",
    shows:
      "a dropped call ends on the other side, directly, through a forward and through a tail call",
    expect: { up: { finish: 2000 } },
  },
  {
    name: "release",
    shows: "1,100 objects of the server and 1,200 of the client, all gone at the end",
    expect: { up: { release: 1 }, down: { release: 1 } },
  },
  {
    name: "bulk",
    shows: "a message of 50 MB in several segments, there and back",
    expect: { segments: { up: 2, down: 2 } },
  },
  {
    name: "upload",
    shows: "256 MB through a stream method; neither side grows by 48 MB",
    expect: null,
  },
  {
    name: "saved-references",
    shows:
      "Persistent.save on a capability of another interface, the reference handed back over a second connection",
  },
  { name: "stream-error", shows: "a stream that fails in the middle" },
  { name: "many-calls", shows: "10,000 calls in flight at once", expect: { up: { call: 10_000 } } },
  { name: "kill-server", shows: "the server is killed amid calls of every kind" },
  {
    name: "kill-client",
    shows: "the client is killed amid calls both ways; the server lets go of all it had",
    clients: ["kill-client-victim", "kill-client-survivor"],
    killed: ["kill-client-victim"],
  },
  {
    name: "calculator",
    shows: "Cap'n Proto's sample: expressions, functions of either side",
    bootstrap: "calculator",
  },
  { name: "tcp-pipelining", shows: "pipelining over TCP", clients: ["pipelining"], on: "tcp" },
  { name: "tcp-bulk", shows: "50 MB there and back over TCP", clients: ["bulk"], on: "tcp" },
];

/** The smoke test, which has one direction and a program of its own, `ts/workerd-smoke.ts`. */
export const WORKERD = {
  name: "workerd",
  shows:
    "C++ v2, through workerd's debug port: bootstrap, getActor and a method called, all in one flight; streams of bytes both ways; then nothing left",
};
