// Role: transports on the standard input and output of a process: a child that we start, or this process itself.
// State: the child, and the timers of its end. Must not know: what the child serves.

import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import type { Writable } from "node:stream";
import { RpcError } from "../base/errors.js";
import { StreamTransport } from "./stream.node.js";
import {
  connectionLost,
  type Timer,
  type TransportOptions,
  transportSettings,
} from "./transport.js";

export interface ChildOptions extends TransportOptions {
  readonly cwd?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Where the child's standard error goes; default `inherit`. */
  readonly stderr?: "inherit" | "ignore" | undefined;
}

/**
 * Messages over the standard input and output of a child process, which is the transport's own: it is ended with it.
 *
 * `end()` shows the child the end of its input. `close()` does not wait for it: SIGTERM, and SIGKILL after the grace.
 * `closed` comes when the child has exited, and says so when that was not in order.
 */
export class ChildTransport extends StreamTransport {
  readonly child: ChildProcess;
  private exited = false;
  private streamsError: RpcError | null | undefined = undefined;
  private timer: Timer | undefined;

  constructor(name: string, child: ChildProcess, options?: TransportOptions) {
    super(name, child.stdout!, child.stdin!, options);
    this.child = child;
    child.on("exit", this.onExit);
  }

  override faulted(error: RpcError): void {
    const message = `${this.name}: ${error.message}; did it print on its standard output?`;
    super.faulted(new RpcError(error.type, error.code, message, { cause: error }));
  }

  protected override destroy(): void {
    super.destroy();
    if (this.exited) return;
    this.child.kill("SIGTERM");
    clearTimeout(this.timer);
    // A stopped process takes no SIGTERM, and others may ignore it.
    this.timer = setTimeout(() => this.child.kill("SIGKILL"), this.settings.grace);
  }

  /** An end in the right place is still no orderly one when the child has crashed: its exit is next to come. */
  protected override inputEnded(): void {
    if (this.exited) this.finishInput();
    else this.timer = setTimeout(() => this.finishInput(), this.settings.grace);
  }

  protected override streamsClosed(error: RpcError | null): void {
    this.streamsError = error;
    if (this.exited) super.streamsClosed(this.exitError() ?? error);
  }

  protected override detach(): void {
    super.detach();
    clearTimeout(this.timer);
    this.child.off("exit", this.onExit);
  }

  private finishInput(): void {
    this.timer = undefined;
    this.inlet.finish(this.exitError());
  }

  private readonly onExit = (): void => {
    this.exited = true;
    clearTimeout(this.timer);
    if (this.input.readableEnded) this.finishInput();
    // A grandchild may hold the child's pipes open: what is not there yet will not come.
    else this.timer = setTimeout(() => super.destroy(), this.settings.grace);
    if (this.streamsError !== undefined) this.streamsClosed(this.streamsError);
  };

  private exitError(): RpcError | null {
    const { exitCode, signalCode } = this.child;
    if (!this.exited || exitCode === 0) return null;
    const how = signalCode === null ? `exited with code ${exitCode}` : `was ended by ${signalCode}`;
    return connectionLost(this.name, `the process ${how}`);
  }
}

/**
 * Starts a program and speaks with it over its standard input and output.
 *
 * @param command the program. @param args its arguments; no shell looks at them.
 * @returns once the program runs.
 * @throws RpcError connect-failed when it cannot be started.
 * @example const transport = await spawnTransport(process.execPath, ["server.js"]);
 */
export function spawnTransport(
  command: string,
  args: readonly string[] = [],
  options: ChildOptions = {},
): Promise<ChildTransport> {
  const name = `stdio of ${command}`;
  // Checked before anything is started.
  transportSettings(options);
  const spawning: SpawnOptions = { stdio: ["pipe", "pipe", options.stderr ?? "inherit"] };
  if (options.cwd !== undefined) spawning.cwd = options.cwd;
  if (options.env !== undefined) spawning.env = options.env;
  const child = spawn(command, args, spawning);
  return new Promise((resolve, reject) => {
    child.once("spawn", () => {
      child.removeAllListeners("error");
      // What cannot be done to the child later, like a signal to one just gone, is seen by its exit.
      child.on("error", () => {});
      resolve(new ChildTransport(`${name} (process ${child.pid})`, child, options));
    });
    child.once("error", (cause: NodeJS.ErrnoException) => {
      const hint = cause.code === "ENOENT" ? "there is no such program" : cause.message;
      reject(
        new RpcError("disconnected", "connect-failed", `${name}: ${hint}`, {
          cause,
          delivery: "not-sent",
        }),
      );
    });
  });
}

/** This process's own standard input and output. Never closed, since another file would take their numbers: only ended. */
class OwnStdioTransport extends StreamTransport {
  private readonly restore: () => void;

  constructor(options?: TransportOptions) {
    super("stdio", process.stdin, process.stdout, options);
    this.restore = divert(process.stdout, process.stderr);
  }

  protected override destroy(): void {
    this.output.end();
    this.input.destroy();
    process.nextTick(() => this.gone(null));
  }

  protected override detach(): void {
    super.detach();
    this.restore();
  }
}

/**
 * Serves or speaks on this process's own standard input and output, for a program that another one starts. While it
 * lives, what anything else prints on standard output (`console.log`) goes to standard error: one line among the
 * messages would end the connection.
 *
 * @example const transport = stdioTransport();
 */
export function stdioTransport(options?: TransportOptions): StreamTransport {
  return new OwnStdioTransport(options);
}

/** Sends what is written to `from` on to `to`; returns how to end that. */
function divert(from: Writable, to: Writable): () => void {
  const own = Object.getOwnPropertyDescriptor(from, "write");
  from.write = to.write.bind(to) as Writable["write"];
  return () => {
    if (own === undefined) Reflect.deleteProperty(from, "write");
    else Object.defineProperty(from, "write", own);
  };
}
