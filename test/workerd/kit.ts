// Role: a real workerd, and calls of methods of a Durable Object in it with the bytes and externals of values given as they are.
// State: the process, the session to its debug port. Must not know: the codec.

import { spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Readable } from "node:stream";
import { programPath } from "../../interop/workerd/workerd.js";
import type { RpcError } from "../../src/base/errors.js";
import {
  CallRequest,
  connect,
  type Hook,
  type LocalCall,
  LocalHook,
  Payload,
  type Results,
  type Session,
} from "../../src/node.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";

const DEBUG_PORT = [0xea5b0b48, 0x7aea7327] as const;
const WORKER_BOOTSTRAP = [0x878048cd, 0xa334ade3] as const;
const EVENT_DISPATCHER = [0xf2069747, 0x5ec1752d] as const;
const JS_RPC_TARGET = [0xa1a96525, 0x142a9d98] as const;
type InterfaceId = readonly [number, number];

const builder = new ContentBuilder();

/** One entry of `JsValue.externals`: the tag of its union, and the capability in its first pointer. */
export interface External {
  readonly tag: number;
  readonly cap: Hook | null;
}

/** The numbers of their tags. */
export const ExternalTag = { rpcTarget: 1, writableStream: 2, readableStream: 3, serviceToken: 5 };
const CAPABILITIES = new Set([1, 2, 3]);

/** A JsValue. Who holds one owns the references in it. */
export interface Value {
  readonly bytes: Uint8Array;
  readonly externals: readonly External[];
}

/** Calls `method` with texts alone. */
function ask(on: Hook, [hi, lo]: InterfaceId, method: number, texts: readonly string[]): Results {
  const params = builder.root(1, 3);
  texts.forEach((text, index) => params.text(index, text));
  return on.call(new CallRequest(hi, lo, method, new Payload(builder.finish())));
}

/** The capability in pointer `index` of what a call gives. */
function given(results: Results, ...indexes: number[]): Hook[] {
  const hooks = indexes.map((index) => results.pipeline([index]));
  results.cancel();
  return hooks;
}

function callRequest(method: string, { bytes, externals }: Value): CallRequest {
  const params = builder.root(1, 3);
  params.text(0, method);
  const value = params.struct(1, 0, 2);
  value.data(0, bytes);
  const caps: Hook[] = [];
  const list = value.structs(1, externals.length, 2, 2);
  externals.forEach(({ tag, cap }, i) => {
    list[i]!.u16(0, tag);
    if (cap !== null) list[i]!.capability(0, caps.push(cap) - 1);
  });
  return new CallRequest(...JS_RPC_TARGET, 0, new Payload(builder.finish(), caps));
}

function readResult(payload: Payload): Value {
  const value = StructReader.of(payload.content).struct(0);
  const list = value.list(1, 16, 2);
  const externals: External[] = [];
  for (let i = 0; i < list.length; i++) {
    const external = list.at(i);
    const tag = external.u16(0);
    // The first pointer of others is a token.
    const index = CAPABILITIES.has(tag) ? external.capability(0) : -1;
    externals.push({ tag, cap: payload.caps[index]?.addRef() ?? null });
  }
  return { bytes: value.data(0).slice(), externals };
}

export function dropExternals({ externals }: Value): void {
  for (const { cap } of externals) cap?.release();
}

/** A Durable Object of the class Values. */
export class RemoteValues {
  private readonly actor: Hook;

  constructor(debugPort: Hook, service: string) {
    [this.actor] = given(
      ask(debugPort, DEBUG_PORT, 1, [service, "Values", "ca".repeat(32)]),
      0,
    ) as [Hook];
  }

  /**
   * One event with one call in it.
   *
   * @param args an Array as a value; its externals are taken over.
   * @throws RpcError what the call failed with.
   */
  async call(method: string, args: Value): Promise<Value> {
    const [dispatcher] = given(ask(this.actor, WORKER_BOOTSTRAP, 0, []), 0) as [Hook];
    const [target, session] = given(ask(dispatcher, EVENT_DISPATCHER, 9, []), 0, 1) as [Hook, Hook];
    dispatcher.release();
    const results = target.call(callRequest(method, args));
    target.release();
    try {
      return await new Promise((resolve, reject: (error: RpcError) => void) => {
        results.observe({
          immediate: false,
          resultsSettled(r) {
            r.dropPipeline();
            if (r.error !== null) return reject(r.error);
            const payload = r.takePayload();
            resolve(readResult(payload));
            payload.release();
          },
        });
      });
    } finally {
      session.release();
    }
  }

  /** An object of this process that is one function: what it is called with, it gives to `run`. */
  serve(run: (args: Uint8Array) => Uint8Array, dropped: () => void): Hook {
    const dispatch = (call: LocalCall): void => {
      const params = StructReader.of(call.params.content);
      const results = builder.root(1, 3);
      results.struct(0, 0, 2).data(0, run(params.struct(1).data(0)));
      call.returns(new Payload(builder.finish()));
    };
    return new LocalHook({ dispatch, dropped }, this.actor.scheduler);
  }

  close(): void {
    this.actor.release();
  }
}

/** workerd, and a session to its debug port. */
export class Workerd {
  readonly session: Session;
  private readonly stop: () => Promise<void>;

  private constructor(stop: () => Promise<void>, session: Session) {
    this.stop = stop;
    this.session = session;
  }

  static async start(): Promise<Workerd> {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-values-"));
    const socket = path.join(folder, "debug-port");
    const config = path.join(import.meta.dirname, "workerd/config.capnp");
    const args = ["serve", config, `--debug-port=unix:${socket}`, "--control-fd=3"];
    const child = spawn(programPath(), args, { stdio: ["ignore", "inherit", "pipe", "pipe"] });
    let complaint = "";
    child.stderr!.on("data", (chunk) => (complaint = (complaint + String(chunk)).slice(-4000)));
    const ended = once(child, "close");
    const stop = async (): Promise<void> => {
      child.kill("SIGKILL");
      await ended;
      fs.rmSync(folder, { recursive: true, force: true });
    };
    try {
      await Promise.race([once(child.stdio[3] as Readable, "data"), ended]);
      return new Workerd(stop, await connect(`unix:${socket}`));
    } catch (cause) {
      await stop();
      throw new Error(`workerd did not start: ${complaint.trim()}`, { cause });
    }
  }

  open(service: string): RemoteValues {
    const debugPort = this.session.bootstrap();
    const remote = new RemoteValues(debugPort, service);
    debugPort.release();
    return remote;
  }

  /** @returns what was left in the tables of the connection before it was closed */
  async close(): Promise<{ exports: number; questions: number; answers: number }> {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { exports, questions, answers } = this.session["link"].connection.stats();
    await this.session.close();
    await this.stop();
    return { exports, questions, answers };
  }
}
