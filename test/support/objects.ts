// Role: small objects and calls for protocol tests: contents with capabilities, servers that record what they got.
// State: per Recorder, the calls it saw.

import type { RpcError } from "../../src/base/errors.js";
import { CallRequest, type Hook } from "../../src/hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../src/hook/local.js";
import { Payload } from "../../src/hook/payload.js";
import type { Results } from "../../src/hook/results.js";
import type { Scheduler } from "../../src/base/scheduler.js";
import { Content } from "../../src/wire/content.js";

/** A struct with one 64-bit word holding `value` and `caps` capability pointers, to slots 0, 1, 2, ... */
export function content(value: number, caps = 0): Content {
  const bytes = new Uint8Array(8 * (2 + caps));
  const view = new DataView(bytes.buffer);
  view.setUint32(4, 1 | (caps << 16), true);
  view.setUint32(8, value, true);
  for (let i = 0; i < caps; i++) {
    view.setUint32(16 + 8 * i, 3, true);
    view.setUint32(20 + 8 * i, i, true);
  }
  return new Content(bytes);
}

export function valueOf(payload: Payload): number {
  const { bytes } = payload.content;
  return bytes.length < 16 ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(8, true);
}

/** Takes the references in `caps` over. */
export function payload(value: number, ...caps: (Hook | null)[]): Payload {
  return new Payload(content(value, caps.length), caps);
}

/** A call of method `methodId` with one number and some capabilities, whose references it takes over. */
export function request(methodId: number, value: number, ...caps: (Hook | null)[]): CallRequest {
  return new CallRequest(0, 0x7e57, methodId, payload(value, ...caps));
}

export function call(
  hook: Hook,
  methodId: number,
  value: number,
  ...caps: (Hook | null)[]
): Results {
  return hook.call(request(methodId, value, ...caps));
}

/** A call whose results nobody wants. */
export function tell(hook: Hook, value: number, ...caps: (Hook | null)[]): Outcome {
  return outcome(call(hook, 0, value, ...caps));
}

export interface Outcome {
  settled: boolean;
  value: number | undefined;
  caps: readonly (Hook | null)[];
  error: RpcError | null;
  /** Releases what came. */
  release(): void;
}

/** Observes results; keeps their capabilities until released. */
export function outcome(results: Results): Outcome {
  let taken: Payload | null = null;
  const seen: Outcome = {
    settled: false,
    value: undefined,
    caps: [],
    error: null,
    release: () => taken?.release(),
  };
  results.observe({
    immediate: false,
    resultsSettled(r) {
      seen.settled = true;
      seen.error = r.error;
      if (r.error === null) {
        taken = r.takePayload();
        seen.value = valueOf(taken);
        seen.caps = taken.caps;
      }
      r.dropPipeline();
    },
  });
  return seen;
}

export type Method = (call: LocalCall, value: number) => void;

/** An object that records the values it was called with, in order, and answers by method. */
export class Recorder implements Server {
  readonly seen: number[] = [];
  readonly calls: LocalCall[] = [];
  droppedTimes = 0;
  private readonly methods: Record<number, Method>;

  constructor(methods: Record<number, Method> = {}) {
    this.methods = methods;
  }

  dispatch(call: LocalCall): void {
    const value = valueOf(call.params);
    this.seen.push(value);
    this.calls.push(call);
    const method = this.methods[call.methodId];
    if (method !== undefined) method(call, value);
    else call.returns(payload(value));
  }

  dropped(): void {
    this.droppedTimes++;
  }

  hook(scheduler: Scheduler): LocalHook {
    return new LocalHook(this, scheduler);
  }
}
