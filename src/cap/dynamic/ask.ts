// Role: the questions for what stands for a result: for its value, and for its object.
// State: the params of both, which are always the same. Must not know: who asks.

import type { RpcError } from "../../base/errors.js";
import type { Origin } from "../../base/origin.js";
import { CallRequest, type Hook, NO_PROMISE_PIPELINING } from "../../hook/hook.js";
import { Payload } from "../../hook/payload.js";
import type { Results, ResultsObserver } from "../../hook/results.js";
import type { Content } from "../../wire/content.js";
import {
  METHOD_GET,
  NO_STEPS,
  OBJECT_HI,
  OBJECT_LO,
  patchRequest,
  WANT_OBJECT,
  writeRequest,
} from "./protocol.js";

const GET_OBJECT: Content = /* @__PURE__ */ objectRequest();
const GET_VALUE: Content = /* @__PURE__ */ writeRequest(NO_STEPS, null, []);

/** Asks for the value of the result that `hook` stands for. */
export function askValue(hook: Hook, origin: Origin | null = null): Results {
  return ask(hook, GET_VALUE, origin);
}

/** Asks for the object of the result that `hook` stands for. */
export function askObject(hook: Hook): Results {
  return ask(hook, GET_OBJECT);
}

function ask(hook: Hook, content: Content, origin: Origin | null = null): Results {
  const params = new Payload(content);
  const call = new CallRequest(OBJECT_HI, OBJECT_LO, METHOD_GET, params, NO_PROMISE_PIPELINING);
  call.origin = origin;
  return hook.call(call);
}

function objectRequest(): Content {
  const content = writeRequest(NO_STEPS, null, []);
  patchRequest(content, WANT_OBJECT, 0);
  return content;
}

/** Waits for the answer to {@link askValue}. */
export class ValueObserver implements ResultsObserver {
  readonly immediate = false;
  private readonly tell: (error: RpcError | null, payload: Payload | null) => void;

  constructor(tell: (error: RpcError | null, payload: Payload | null) => void) {
    this.tell = tell;
  }

  resultsSettled(results: Results): void {
    results.dropPipeline();
    if (results.error !== null) {
      results.cancel();
      this.tell(results.error, null);
    } else this.tell(null, results.takePayload());
  }
}
