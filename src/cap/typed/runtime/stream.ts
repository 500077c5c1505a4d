// Role: calls of `-> stream` methods: the promise says when to send more, not when the call was handled.
// State: none; the window belongs to the capability. Must not know: rates, round trips.

import type { RpcError } from "../../../base/errors.js";
import { CallRequest, type Hook } from "../../../hook/hook.js";
import { Payload } from "../../../hook/payload.js";
import type { Results, ResultsObserver } from "../../../hook/results.js";
import { Content } from "../../../wire/content.js";
import { passOn } from "../../../wire/frame-memory.js";
import { type CallOptions, refused } from "../../call-options.js";
import { lastSent, send } from "./call.js";
import { type Client, hookOf, type InterfaceType } from "./client.js";
import { invalidArgument } from "./errors.js";
import type { MethodInfo } from "./interface.js";

/** Data up to this many bytes is copied; more goes by reference, since a copy would cost more than a part of its own. */
const COPY_UP_TO = 4096;

/** About what a Call message adds to its params (C-FLO-06). */
const ENVELOPE_BYTES = 96;

const READY: Promise<void> = /* @__PURE__ */ Promise.resolve();
const ignore = (): void => {};

/**
 * Calls stream method `id` of `type`. Generated client methods call this.
 *
 * @returns a promise that resolves when more may be sent (C-FLO-02), and rejects when this or an earlier call on the
 *   stream failed (C-FLO-07); left alone, it is no unhandled rejection (C-FLO-08).
 */
export function callStream(
  client: Client,
  type: InterfaceType<Client>,
  id: number,
  params: unknown,
  options: CallOptions | undefined,
): Promise<void> {
  const refusal = refused(options);
  if (refusal !== null) return rejected(refusal);
  const method = type._capnp.methods[id]!;
  const hook = hookOf(client);
  const data = method.dataField === "" ? undefined : onlyData(params, method);
  const { flow } = hook; // of the way that this call takes
  const results =
    data === undefined
      ? send(hook, type, method, id, params, method.params)
      : sendData(hook, type, method, id, data);
  if (flow === null) return settled(results);
  flow.sent(lastSent.bytes + ENVELOPE_BYTES, results);
  if (flow.ready) return READY;
  const ready = new Promise<void>((resolve, reject) => {
    flow.whenReady((error) => (error === null ? resolve() : reject(error)));
  });
  ready.catch(ignore);
  return ready;
}

function rejected(error: RpcError): Promise<void> {
  const promise = Promise.reject(error);
  promise.catch(ignore);
  return promise;
}

/** The one Data of the params, if they are given as a plain object that has it. */
function onlyData(params: unknown, method: MethodInfo): Uint8Array | undefined {
  if (typeof params !== "object" || params === null) return undefined;
  const data = (params as Record<string, unknown>)[method.dataField];
  return data instanceof Uint8Array ? data : undefined;
}

/** Root struct with one pointer, to a list of bytes behind it. The count is filled in per call. */
const head = /* @__PURE__ */ new Uint8Array([0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
const headView = /* @__PURE__ */ new DataView(head.buffer);
const small = /* @__PURE__ */ new Uint8Array(16 + COPY_UP_TO);

/** Sends params that are one Data, without a builder; large bytes without a copy. */
function sendData(
  hook: Hook,
  type: InterfaceType<Client>,
  method: MethodInfo,
  id: number,
  data: Uint8Array,
): Results {
  const size = data.length;
  if (size > 0x1fff_ffff) throw invalidArgument(`a Data of ${size} bytes cannot be sent`);
  headView.setUint32(12, (size << 3) | 2, true);
  const { hi, lo } = type._capnp;
  lastSent.bytes = 16 + size;
  let content: Content;
  if (size > COPY_UP_TO) {
    content = new Content(head, data, true);
    // It may be a chunk that came in, whose method then says that it needs it no more: we do.
    passOn(data.buffer);
  } else {
    const padded = (size + 7) & -8;
    small.set(head);
    small.set(data, 16);
    small.fill(0, 16 + size, 16 + padded);
    content = new Content(small.subarray(0, 16 + padded), null, true);
  }
  return hook.call(new CallRequest(hi, lo, id, new Payload(content), method.flags));
}

/** Without a window, more may be sent when the call is done (C-FLO-14). */
function settled(results: Results): Promise<void> {
  const promise = new Promise<void>((resolve, reject) => {
    const observer: ResultsObserver = {
      immediate: false,
      resultsSettled(done) {
        const { error } = done;
        done.cancel();
        if (error === null) resolve();
        else reject(error);
      },
    };
    results.observe(observer);
  });
  promise.catch(ignore);
  return promise;
}

/** Waits until every stream call on the client so far is done. @throws the error that broke the stream, if any. */
export function whenStreamed(client: Client): Promise<void> {
  const flow = hookOf(client).flow;
  if (flow === null) return READY;
  return new Promise((resolve, reject) => {
    flow.whenIdle((error) => (error === null ? resolve() : reject(error)));
  });
}
