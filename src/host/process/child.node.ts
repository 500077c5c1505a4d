// Role: one process of a host, as its supervisor sees it: started, told what to do, heard, ended.
// State: how far it is; the questions it has not answered. Must not know: why it is started, what comes after it.

import { type ChildProcess, fork } from "node:child_process";
import type { Socket } from "node:net";
import { StringDecoder } from "node:string_decoder";
import { RpcError } from "../../base/errors.js";
import { BLAME_FD } from "./accuse.node.js";
import { inTime } from "./in-time.node.js";
import type {
  Blame,
  CollectedParts,
  FromProcess,
  HostFacts,
  Question,
  RefusedObject,
  SaidError,
  ToProcess,
} from "./messages.js";

/** How a process ended. */
export interface ChildEnd {
  /** For people: the exit code or the signal. */
  readonly how: string;
  /** Where its code was, if that is known. */
  readonly stack: string;
  /** The object whose code ended it, if that is known. */
  readonly blame: Blame | null;
}

/** What was loaded. */
export interface ChildLoaded {
  readonly namespaces: readonly string[];
  readonly collected: CollectedParts;
  /** Whether the program has a front. */
  readonly front: boolean;
}

/** What a process gets beside the limit to end by itself, in milliseconds. */
const GRACE = 5000;
/** So long what a process said last may take to be read after its end. */
const LAST_WORDS_MS = 500;

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: RpcError): void;
}

export class Child {
  readonly loaded: Promise<ChildLoaded>;
  readonly ended: Promise<ChildEnd>;
  /** Told just before it is told to begin. */
  onStart: (() => void) | null = null;
  /** Told when something waits there that may wait for itself. */
  onStuck: (() => void) | null = null;
  private readonly process: ChildProcess;
  private readonly load = deferred<ChildLoaded>();
  private readonly ready = deferred<void>();
  private readonly questions = new Map<number, Deferred<unknown>>();
  private lastNumber = 0;
  /** That it has ended. */
  private lost: RpcError | null = null;
  private started = false;
  private taken = (): void => {};
  private lastWords: Partial<Blame> = {};

  /** @param entry the file of the program. @param slot whose objects it runs; null for the front. */
  constructor(entry: URL, slot: number | null, facts: HostFacts) {
    this.process = fork(entry, [], { stdio: ["ignore", "inherit", "inherit", "pipe", "ipc"] });
    this.loaded = this.load.promise;
    this.process.on("message", (message) => this.heard(message as FromProcess));
    const lastWords = this.listen();
    this.ended = new Promise((resolve) => {
      // It could not even be started, which is said by an error and no exit. Other errors leave it as it is.
      this.process.on("error", (error) => {
        if (this.process.pid === undefined) resolve(this.over(error.message));
      });
      this.process.once("exit", (code, signal) => {
        void lastWords().then(() => resolve(this.over(signal ?? `exit code ${code}`)));
      });
    });
    this.say({ say: "load", slot, facts });
  }

  get pid(): number | undefined {
    return this.process.pid;
  }

  /** Whether {@link start} was called. */
  get isStarted(): boolean {
    return this.started;
  }

  /** Resolves when it does its work. @throws RpcError what it failed with (as a rejection). */
  get whenReady(): Promise<void> {
    return this.ready.promise;
  }

  /** @returns when it does its work. @throws RpcError what it failed with (as a rejection). */
  async start(refused: readonly RefusedObject[]): Promise<void> {
    this.started = true;
    this.onStart?.();
    this.say({ say: "start", refused });
    await this.ready.promise;
  }

  /** Whether anything can be said to it. */
  get isConnected(): boolean {
    return this.process.connected;
  }

  /** Hands over a connection, one at a time. @param at which address it came to. @returns whether the process has it; if it ended before, it is still the caller's. */
  async accept(socket: Socket, at: number): Promise<boolean> {
    const taken = new Promise<boolean>((resolve) => {
      this.taken = () => resolve(true);
      // Kept until it is known to be there: what was sent to a process that ends would stay open here, and nobody would have it.
      this.process.send(
        { say: "accept", at } satisfies ToProcess,
        socket,
        { keepOpen: true },
        (error) => {
          if (error !== null) resolve(false);
        },
      );
    });
    const done = await Promise.race([taken, this.ended.then(() => false)]);
    if (done) socket.destroy();
    return done;
  }

  /** @throws RpcError what the question failed with; process-lost when it has ended, or ends meanwhile (as a rejection). */
  ask(question: Question): Promise<unknown> {
    const number = ++this.lastNumber;
    const asked = deferred<unknown>();
    if (this.lost !== null) asked.reject(this.lost);
    else this.questions.set(number, asked);
    this.say({ say: "ask", number, question });
    return asked.promise;
  }

  /** Has it end gently. @param timeout milliseconds after which what still runs is cut off. @returns when it has ended. */
  async drain(timeout: number): Promise<void> {
    this.say({ say: "drain", timeout });
    const timer = setTimeout(() => this.kill(), timeout + GRACE);
    await this.ended;
    clearTimeout(timer);
  }

  kill(): void {
    this.process.kill("SIGKILL");
  }

  private say(message: ToProcess): void {
    // That it is gone already is heard by its end.
    if (this.process.connected) this.process.send(message, () => {});
  }

  private heard(message: FromProcess): void {
    // The program may say something to whoever started it, too, as some packages do.
    if (typeof message !== "object" || message === null) return;
    if (message.say === "loaded") this.load.resolve(message);
    else if (message.say === "ready") this.ready.resolve();
    else if (message.say === "accepted") this.taken();
    else if (message.say === "stuck") this.onStuck?.();
    else if (message.say === "failed") this.fail(errorOf(message.error));
    else {
      const asked = this.questions.get(message.number);
      this.questions.delete(message.number);
      if (message.error === undefined) asked?.resolve(message.value);
      else asked?.reject(errorOf(message.error));
    }
  }

  /** Reads what it is accused of. @returns waits until all of it was read. */
  private listen(): () => Promise<void> {
    const pipe = this.process.stdio[BLAME_FD] as Socket;
    const decoder = new StringDecoder("utf8");
    let text = "";
    const ended = new Promise<void>((resolve) => {
      pipe.on("data", (bytes: Buffer) => (text += decoder.write(bytes)));
      pipe.on("error", () => {});
      pipe.once("close", resolve);
    });
    return async () => {
      await inTime(ended, LAST_WORDS_MS);
      pipe.destroy();
      // A process names its object once; a thread that saw it stand still may have done so as well.
      this.lastWords = wordsOf(text.split("\n")[0]!);
    };
  }

  private over(signal: string): ChildEnd {
    const { deed, stack, namespace, id, name } = this.lastWords;
    const how = deed === undefined ? signal : `${signal}, since ${deed}`;
    this.lost = new RpcError("disconnected", "process-lost", `the process ended: ${how}`);
    this.fail(this.lost);
    const known = deed !== undefined && namespace !== undefined && id !== undefined;
    return { how, stack: stack ?? "", blame: known ? { namespace, id, name, deed, stack } : null };
  }

  private fail(error: RpcError): void {
    this.load.reject(error);
    this.ready.reject(error);
    for (const asked of this.questions.values()) asked.reject(error);
    this.questions.clear();
  }
}

/** @param line nothing, or what accuse.node.ts writes; but the program may write there, too. */
function wordsOf(line: string): Partial<Blame> {
  try {
    const words: unknown = JSON.parse(line);
    return typeof words === "object" && words !== null ? words : {};
  } catch {
    return {};
  }
}

function errorOf({ type, code, message }: SaidError): RpcError {
  return new RpcError(type, code, message);
}

function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: RpcError) => void;
  const promise = new Promise<T>((...ends) => ([resolve, reject] = ends));
  // Not everybody waits for everything.
  promise.catch(() => {});
  return { promise, resolve, reject };
}
