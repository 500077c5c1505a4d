// Role: the program that a supervisor starts for each of its processes: for the objects of a slot, or the front.
// State: what this process is. Must not know: how a supervisor keeps its processes.
//
// It is ended by its supervisor, not by a terminal or a group of processes, and does not outlive it.

import { once } from "node:events";
import type { Socket } from "node:net";
import { invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import { LiveRoots } from "../collect/live-roots.js";
import { LocalParticipant, NO_OBJECTS, type Participant } from "../collect/participant.js";
import { hookedNames, privateNames, privateNamespaces } from "../object/host.js";
import { nodeRuntime } from "../object/runtime.node.js";
import { accuse, type Accuser } from "./accuse.node.js";
import { answer, answerCollector } from "./answer.js";
import { fence } from "./fence.js";
import type {
  FromProcess,
  HostFacts,
  Question,
  RefusedObject,
  SaidError,
  ToProcess,
} from "./messages.js";
import { ObjectProcess, placementOf, waitsOf } from "./object-process.node.js";
import type { AnyNamespaces, Front, HostProgram, LoadedProgram } from "./program.node.js";
import { RemoteHost } from "./remote-host.js";

/** What runs here, once it does. */
interface Running {
  drain(timeout: number): Promise<void>;
  readonly objects: ObjectProcess | null;
  readonly front: Front | null;
  /** This process, as the collector knows it. */
  readonly participant: Participant;
}

/** So long callers may take to be told why, before this process ends for it, in milliseconds. */
const LAST_WORDS_MS = 100;

let facts: HostFacts;
let accuser: Accuser;
let slot: number | null;
let program: HostProgram;
let loaded: LoadedProgram;
let running: Running | null = null;
/** Connections that the front has. */
const accepted = new Set<Socket>();
let saidFull = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => {});
process.on("disconnect", () => process.exit(1));
process.on("message", (message, handle) => {
  heed(message as ToProcess, handle as Socket | undefined).catch(failed);
});

async function heed(message: ToProcess, socket: Socket | undefined): Promise<void> {
  if (message.say === "load") await load(message.slot, message.facts);
  else if (message.say === "start") await start(message.refused);
  else if (message.say === "accept") accept(socket, message.at);
  else if (message.say === "drain") await drain(message.timeout);
  else {
    const { number, question } = message;
    try {
      const value = await answerTo(question);
      say({ say: "answer", number, value });
    } catch (thrown) {
      say({ say: "answer", number, error: said(thrown) });
    }
  }
}

async function answerTo(question: Question): Promise<unknown> {
  if (question.what !== "collector") return answer(running?.objects?.host ?? null, question);
  if (running !== null) return answerCollector(running.participant, question);
  throw new RpcError("failed", "invalid-state", "this process does not do its work yet");
}

async function load(which: number | null, all: HostFacts): Promise<void> {
  slot = which;
  facts = all;
  accuser = accuse(facts.yieldTime);
  program = (await import(facts.program)) as HostProgram;
  if (typeof program.load !== "function")
    throw invalidArgument(`${facts.program} exports no function load`);
  loaded = await program.load(facts.data);
  const { classes } = loaded;
  const { collectGrace, disposeTime } = { ...loaded.limits, ...facts.limits };
  const limits = {
    ...(collectGrace === undefined ? {} : { collectGrace }),
    ...(disposeTime === undefined ? {} : { disposeTime }),
  };
  const collected = { namespaces: privateNames(classes), hooked: hookedNames(classes), limits };
  checkCollected(collected.namespaces, facts.publicNamespaces);
  const front = typeof program.front === "function";
  say({ say: "loaded", namespaces: Object.keys(classes), collected, front });
}

/** Whoever holds an object of a namespace that was public a moment ago is not counted. @throws RpcError invalid-argument. */
function checkCollected(collected: readonly string[], isPublic: readonly string[]): void {
  const name = collected.find((one) => isPublic.includes(one));
  if (name === undefined) return;
  const message = `the namespace ${name} is public now: it can become private when the host is started anew`;
  throw invalidArgument(message);
}

async function start(refused: readonly RefusedObject[]): Promise<void> {
  running = slot === null ? await startFront() : await startObjects(slot, refused);
  accuser.arm();
  say({ say: "ready" });
}

async function startObjects(slot: number, refused: readonly RefusedObject[]): Promise<Running> {
  const failed = (error: RpcError): void => {
    // Its objects are broken, and whoever called them is told so first. What is started anew opens the store anew.
    setTimeout(() => accuser.end(error.message), LAST_WORDS_MS);
  };
  const stuck = (): void => say({ say: "stuck" });
  const objects = await ObjectProcess.start(facts, slot, loaded, refused, failed, stuck);
  const { participant } = objects;
  return { drain: (timeout) => objects.drain(timeout), objects, front: null, participant };
}

async function startFront(): Promise<Running> {
  const runtime = nodeRuntime();
  const { classes } = loaded;
  const roots = new LiveRoots(privateNamespaces(classes));
  const placement = placementOf(facts, null, runtime, roots, waitsOf(runtime));
  const host = new RemoteHost({
    namespaces: Object.keys(classes),
    collected: privateNames(classes),
    roots,
    secret: Buffer.from(facts.secret, "hex"),
    crypto: runtime.crypto,
    placement,
    types: loaded.types,
  });
  const front = await program.front!({
    data: facts.data,
    loaded,
    namespaces: host.env as unknown as AnyNamespaces,
  });
  const drain = async (timeout: number): Promise<void> => {
    const end = performance.now() + timeout;
    await front.drain(timeout);
    const late = setTimeout(() => {
      for (const socket of accepted) socket.destroy();
    }, end - performance.now());
    await Promise.all(Array.from(accepted, async (socket) => once(socket, "close")));
    clearTimeout(late);
    await host.close(Math.max(0, end - performance.now()));
  };
  const participant = new LocalParticipant(roots, NO_OBJECTS, () => fence(placement.sessions()));
  return { drain, objects: null, front, participant };
}

function accept(socket: Socket | undefined, at: number): void {
  say({ say: "accepted" });
  // It was closed on its way.
  if (socket === undefined) return;
  const front = running?.front ?? null;
  if (front === null || isFull()) return void socket.destroy();
  accepted.add(socket);
  socket.once("close", () => accepted.delete(socket));
  front.accept(socket, at);
}

/** Says so once, until it was so no more for a while. */
function isFull(): boolean {
  const { connections } = facts;
  const full = accepted.size >= connections;
  if (full && !saidFull)
    console.error(`capstan: front: there are ${connections} connections: more are closed`);
  if (full || accepted.size < connections / 2) saidFull = full;
  return full;
}

async function drain(timeout: number): Promise<void> {
  await running?.drain(timeout);
  accuser.pardon();
  process.exit(0);
}

/** This process is no good. */
function failed(thrown: unknown): void {
  process.send!({ say: "failed", error: said(thrown) } satisfies FromProcess, () =>
    process.exit(1),
  );
}

function said(thrown: unknown): SaidError {
  const { type, code, message } = RpcError.from(thrown);
  return { type, code, message };
}

function say(message: FromProcess): void {
  process.send?.(message);
}
