// Role: one call on a capability, as a promise of its results.
// State: per call, its limits. Must not know: what is asked.

import type { RpcError } from "../base/errors.js";
import {
  type CallLimits,
  type CallOptions,
  type Endable,
  limit,
  refused,
} from "../cap/call-options.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { Payload } from "../hook/payload.js";
import type { Results, ResultsObserver } from "../hook/results.js";
import type { Content } from "../wire/content.js";

/**
 * Calls a method, after all that stubs were asked before in this turn, and gives what it returned. The payload is the
 * caller's, its capabilities too.
 */
export function ask(
  hook: Hook,
  interfaceHi: number,
  interfaceLo: number,
  method: number,
  params: Content,
  options: CallOptions = {},
): Promise<Payload> {
  const error = refused(options);
  if (error !== null) return Promise.reject(error);
  makeCalls();
  return new Promise((resolve, reject) => {
    const results = hook.call(
      new CallRequest(interfaceHi, interfaceLo, method, new Payload(params)),
    );
    new Asked(results, options, resolve, reject);
  });
}

class Asked implements ResultsObserver, Endable {
  readonly immediate = false;
  private readonly results: Results;
  private readonly limits: CallLimits | null;
  private readonly resolve: (payload: Payload) => void;
  private readonly reject: (error: RpcError) => void;

  constructor(
    results: Results,
    options: CallOptions,
    resolve: (payload: Payload) => void,
    reject: (error: RpcError) => void,
  ) {
    this.results = results;
    this.resolve = resolve;
    this.reject = reject;
    this.limits = limit(this, options);
    results.dropPipeline();
    results.observe(this);
  }

  resultsSettled(results: Results): void {
    this.limits?.end();
    if (results.error !== null) this.reject(results.error);
    else this.resolve(results.takePayload());
  }

  end(why: () => RpcError): void {
    this.limits?.end();
    this.reject(why());
    this.results.dropResponse();
  }
}
