// Two vats with an HTTP service at one and a client of it at the other, and peers that speak the protocol by hand.

import type { RpcError } from "../../src/base/errors.js";
import { processScheduler } from "../../src/cap/scheduler.js";
import type { Hook } from "../../src/hook/hook.js";
import { CallRequest } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook } from "../../src/hook/local.js";
import { emptyPayload, Payload } from "../../src/hook/payload.js";
import { HttpClient, type HttpClientOptions } from "../../src/http/client.js";
import { type HttpHandler, serveHttp, type ServeHttpOptions } from "../../src/http/server.js";
import { type MeshVat, TestVats } from "../../src/testing.js";
import type { Content } from "../../src/wire/content.js";

/** The hook of a bootstrap capability as it is. */
export class Raw {
  readonly hook: Hook;
  constructor(hook: Hook) {
    this.hook = hook;
  }
}

export type OptionsOf = ServeHttpOptions & { readonly client?: HttpClientOptions };

/** Two vats, `guest` and `host`, 10 ms apart. */
export class Pair {
  readonly net = new TestVats();
  readonly host: MeshVat;
  readonly guest: MeshVat;
  readonly raw: Hook;
  readonly http: HttpClient;

  constructor(handler: HttpHandler, options: OptionsOf = {}, service?: (vat: MeshVat) => Hook) {
    this.host = this.net.vat("host", {
      bootstrap: () =>
        service?.(this.host) ?? serveHttp(handler, { scheduler: this.host.scheduler, ...options }),
    });
    this.guest = this.net.vat("guest");
    this.net.link("guest", "host", { delay: 10 });
    this.raw = this.net.bootstrap("guest", "host", Raw).hook;
    this.http = new HttpClient(this.raw.addRef(), options.client);
    this.net.advance(100);
  }

  /** With a service that is written by hand. */
  static to(service: (vat: MeshVat) => Hook): Pair {
    return new Pair(() => Response.error(), {}, service);
  }

  run<V>(promise: PromiseLike<V>): Promise<V> {
    return this.net.run(promise);
  }

  /** Lets everything arrive that is on its way, and the programs go on. */
  async rest(): Promise<void> {
    for (let i = 0; i < 8; i++) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      this.net.advance(100);
    }
  }

  /** The end: nothing may be left, at either side. */
  async done(): Promise<void> {
    this.http[Symbol.dispose]();
    this.raw.release();
    await this.rest();
    this.net.assertEmpty();
  }
}

/** An object that does what `handle` says, and counts what it is let go of. */
export class Foreign {
  readonly calls: LocalCall[] = [];
  drops = 0;
  private readonly handle: (call: LocalCall) => void;
  constructor(handle: (call: LocalCall) => void) {
    this.handle = handle;
  }
  readonly dispatch = (call: LocalCall): void => {
    this.calls.push(call);
    this.handle(call);
  };
  dropped(): void {
    this.drops++;
  }
  hook(vat?: MeshVat): Hook {
    return new LocalHook(this, vat?.scheduler ?? processScheduler());
  }
}

/** One call by hand. */
export function call(
  on: Hook,
  hi: number,
  lo: number,
  method: number,
  content?: Content,
  caps: Hook[] = [],
): Promise<Payload> {
  const params = content === undefined ? emptyPayload() : new Payload(content, caps);
  const results = on.call(new CallRequest(hi, lo, method, params));
  return new Promise((resolve, reject) => {
    results.observe({
      immediate: false,
      resultsSettled() {
        results.dropPipeline();
        if (results.error === null) resolve(results.takePayload());
        else reject(results.error);
      },
    });
  });
}

/** What is known of the failure that `promise` fails with. */
export async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
  try {
    await promise;
  } catch (error) {
    return error as RpcError;
  }
  throw new Error("it did not fail");
}

export const URL_OF = "http://host.test/path?q=1";
