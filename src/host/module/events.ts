// Role: has a module's entry point handle requests, each with a `ctx`, and answers for it when it fails.
// State: what it was asked to wait for. Must not know: servers, where objects are.

import { RpcError } from "../../base/errors.js";
import type { Reporter } from "../object/parts.js";
import { ExecutionContext, type WorkerEntrypoint } from "./entrypoint.js";

interface Handler {
  fetch(request: Request, env: object, ctx: ExecutionContext): Response | Promise<Response>;
}

type HandlerClass = new (ctx: ExecutionContext, env: object) => Handler;

/** A module's default export: an object with `fetch`, or a class of such. */
export type EntryPoint = Handler | HandlerClass;

/** A class that extends `WorkerEntrypoint`, of which an object is made for each event. */
export type EntrypointClass = new (ctx: ExecutionContext, env: object) => WorkerEntrypoint;

export interface EventOptions {
  readonly entryPoint: EntryPoint;
  /** As the module sees it. */
  readonly env: object;
  /** Told of what failed, and of what was waited for and failed. */
  readonly report: Reporter;
  /** Runs the code of one event. By default it is just called. */
  readonly run?: (
    ambient: { readonly env: object; waitUntil(promise: Promise<unknown>): void },
    body: () => Promise<Response>,
  ) => Promise<Response>;
}

/** The events of one module that are under way. */
export class Events {
  /** What surrounds the code of each. */
  readonly ambient: { readonly env: object; waitUntil(promise: Promise<unknown>): void };
  private readonly options: EventOptions;
  private readonly pending = new Set<Promise<void>>();

  constructor(options: EventOptions) {
    this.options = options;
    this.ambient = { env: options.env, waitUntil: (promise) => this.wait(promise) };
  }

  /** What is called in one event, to be disposed at its end. Runs the module's code. */
  begin(type: EntrypointClass): WorkerEntrypoint {
    const { env, waitUntil } = this.ambient;
    return new type(new ExecutionContext(waitUntil), env);
  }

  /** Handles a request. Never rejects: what fails is a response without details, and reported. */
  readonly fetch = async (request: Request): Promise<Response> => {
    const { entryPoint, env, report, run = (_, body) => body() } = this.options;
    const ctx = new ExecutionContext(this.ambient.waitUntil);
    const handled = async (): Promise<Response> => {
      const response: unknown =
        typeof entryPoint === "function"
          ? await new entryPoint(ctx, env).fetch(request, env, ctx)
          : await entryPoint.fetch(request, env, ctx);
      if (response instanceof Response) return response;
      throw new TypeError("fetch returned no Response");
    };
    try {
      return await run(this.ambient, handled);
    } catch (thrown) {
      report(thrown, `${request.method} ${new URL(request.url).pathname}`);
      return failure(thrown);
    }
  };

  /** Resolves when all that is waited for has settled. @param timeout milliseconds after which it does anyway. */
  async settled(timeout: number): Promise<void> {
    let late = false;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        late = true;
        resolve();
      }, timeout);
    });
    while (this.pending.size > 0 && !late) await Promise.race([Promise.all(this.pending), over]);
    clearTimeout(timer);
  }

  private wait(promise: Promise<unknown>): void {
    const one: Promise<void> = Promise.resolve(promise)
      .then(
        () => {},
        (thrown: unknown) => this.options.report(thrown, "waitUntil"),
      )
      .then(() => void this.pending.delete(one));
    this.pending.add(one);
  }
}

function failure(thrown: unknown): Response {
  const overloaded = RpcError.of(thrown)?.type === "overloaded";
  return new Response(overloaded ? "503 Service Unavailable\n" : "500 Internal Server Error\n", {
    status: overloaded ? 503 : 500,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}
