// Role: the structs of schema/workerd.capnp, to bytes and back.
// State: one builder and one reader, between two lines of one function. Must not know: who calls, what a value is.

import { RpcError } from "../base/errors.js";
import type { Origin } from "../base/origin.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { type Caps, NO_CAPS, Payload } from "../hook/payload.js";
import type { Results } from "../hook/results.js";
import { Content } from "../wire/content.js";
import { ContentView } from "../wire/content-view.js";
import { ContentBuilder, type StructBuilder, StructReader } from "../wire/struct.js";

type InterfaceId = readonly [hi: number, lo: number];

const DEBUG_PORT: InterfaceId = /* @__PURE__ */ Object.freeze([0xea5b0b48 | 0, 0x7aea7327 | 0]);
const WORKER: InterfaceId = /* @__PURE__ */ Object.freeze([0x878048cd | 0, 0xa334ade3 | 0]);
const DISPATCHER: InterfaceId = /* @__PURE__ */ Object.freeze([0xf2069747 | 0, 0x5ec1752d | 0]);
const TRIGGER: InterfaceId = /* @__PURE__ */ Object.freeze([0x8dec253e | 0, 0x6cb36e31 | 0]);
const TARGET: InterfaceId = /* @__PURE__ */ Object.freeze([0xa1a96525 | 0, 0x142a9d98 | 0]);
const PUSHER: InterfaceId = /* @__PURE__ */ Object.freeze([0xee2eb0d2 | 0, 0xe1aad430 | 0]);

/** Where `callPipeline` is in the results of a call. */
export const CALL_PIPELINE: readonly number[] = /* @__PURE__ */ Object.freeze([1]);

/** Tags of the union in External, and what they are called where one is refused. */
export const RPC_TARGET = 1;
export const WRITABLE = 2;
export const READABLE = 3;
export const SERVICE_TOKEN = 5;
export const ABORT_SIGNAL = 7;
const TAG_NAMES: readonly string[] = Object.freeze(
  (
    "nothing, a stub, a writable stream, a readable stream, an obsolete signal, a service's stub, a class of durable objects, an " +
    "AbortSignal, a delayed service's stub, a delayed class of durable objects, a socket"
  ).split(", "),
);

/** So many members may be named in one path. */
const MAX_PATH = 1024;

const builder = /* @__PURE__ */ new ContentBuilder();
const view = /* @__PURE__ */ new ContentView();

/** An entry of `externals` on its way out. @property hook null of a token. */
export interface Entry {
  readonly tag: number;
  readonly hook: Hook | null;
  readonly token: Uint8Array | null;
}

/** One that came. @property cap its index in the table; -1 for none. */
export interface ReceivedEntry {
  readonly tag: number;
  readonly cap: number;
  readonly token: Uint8Array | null;
}

/** A JsValue: bytes in V8's format, and what they name beside themselves, in their order. */
export interface Value {
  readonly bytes: Uint8Array;
  readonly entries: readonly Entry[];
}

export interface ReceivedValue {
  /** A view on the content. */
  readonly bytes: Uint8Array;
  readonly entries: readonly ReceivedEntry[];
}

/** @param content by default what was built. */
function request(
  [hi, lo]: InterfaceId,
  method: number,
  caps: Caps = NO_CAPS,
  content: Content = builder.finish(),
): CallRequest {
  return new CallRequest(hi, lo, method, new Payload(content, caps));
}

const FIRST: readonly number[] = /* @__PURE__ */ Object.freeze([0]);
const SECOND: readonly number[] = /* @__PURE__ */ Object.freeze([1]);

/** The capability at the first pointer of what `on` answers; nothing is awaited. */
function ask(on: Hook, call: CallRequest): Hook {
  const results = on.call(call);
  const hook = results.pipeline(FIRST);
  results.cancel();
  return hook;
}

/** Those at the first two. */
function askBoth(on: Hook, call: CallRequest): readonly [Hook, Hook] {
  const results = on.call(call);
  const hooks = [results.pipeline(FIRST), results.pipeline(SECOND)] as const;
  results.cancel();
  return hooks;
}

/** A Worker's entry point, by the debug port. @param name null for its default export. */
export function askEntrypoint(
  port: Hook,
  service: string,
  name: string | null,
  propsJson: string | null,
): Hook {
  const params = builder.root(0, 3);
  params.text(0, service);
  if (name !== null) params.text(1, name);
  if (propsJson !== null) {
    const props = params.struct(2, 2, 4);
    props.u16(0, 1);
    props.text(0, propsJson);
  }
  return ask(port, request(DEBUG_PORT, 0));
}

/** A durable object, by the debug port. */
export function askActor(port: Hook, service: string, className: string, id: string): Hook {
  const params = builder.root(0, 3);
  params.text(0, service);
  params.text(1, className);
  params.text(2, id);
  return ask(port, request(DEBUG_PORT, 1));
}

function startEvent(worker: Hook, cfJson: string | null): Hook {
  if (cfJson === null) return ask(worker, request(WORKER, 0, NO_CAPS, Content.EMPTY_STRUCT));
  builder.root(1, 3).text(0, cfJson);
  return ask(worker, request(WORKER, 0));
}

/** Begins an event of calls: what one call is made on, and what must be held until all that came of it is let go. */
export function openSession(worker: Hook): { readonly cap: Hook; readonly session: Hook } {
  const dispatcher = startEvent(worker, null);
  const [cap, session] = askBoth(dispatcher, request(DISPATCHER, 9, NO_CAPS, Content.EMPTY_STRUCT));
  dispatcher.release();
  return { cap, session };
}

/** Begins an event of one request: its HttpService. */
export function openHttp(worker: Hook, cfJson: string | null): Hook {
  const dispatcher = startEvent(worker, cfJson);
  const http = ask(dispatcher, request(DISPATCHER, 0, NO_CAPS, Content.EMPTY_STRUCT));
  dispatcher.release();
  return http;
}

// -- Calls of members --------------------------------------------------------------------------------------------------

/**
 * Calls a member, or with null arguments asks for it.
 *
 * @param args an Array; its hooks are taken over. Undefined where there are none. @param pusher stays the caller's.
 */
export function callMember(
  on: Hook,
  path: readonly string[],
  args: Value | undefined | null,
  pusher: Hook,
  origin: Origin | null,
): Results {
  const params = builder.root(1, 3);
  const caps: (Hook | null)[] = [];
  if (path.length === 1) params.text(0, path[0]!);
  else {
    params.u16(0, 1);
    params.texts(0, path);
  }
  params.u16(2, args === null ? 1 : 0);
  params.u16(4, 1);
  params.capability(2, caps.push(pusher.addRef()) - 1);
  // Last: its bytes may be the tail.
  if (args !== null && args !== undefined) writeValue(params.struct(1, 0, 2), args, caps);
  const call = request(TARGET, 0, caps);
  call.origin = origin;
  return on.call(call);
}

/** Copying more than so many bytes costs more than a part of their own. */
const COPY_UP_TO = 4096;

function writeValue(at: StructBuilder, { bytes, entries }: Value, caps: (Hook | null)[]): void {
  if (entries.length > 0) {
    const list = at.structs(1, entries.length, 2, 2);
    for (const [i, { tag, hook, token }] of entries.entries()) {
      list[i]!.u16(0, tag);
      if (hook !== null) list[i]!.capability(0, caps.push(hook) - 1);
      else if (token !== null) list[i]!.data(0, token);
    }
  }
  if (bytes.length > COPY_UP_TO) at.dataByReference(0, bytes);
  else at.data(0, bytes);
}

const NO_ENTRIES: readonly ReceivedEntry[] = /* @__PURE__ */ Object.freeze([]);
const NO_BYTES = /* @__PURE__ */ new Uint8Array(0);

/** @throws RpcError invalid-payload. */
function readValue(value: StructReader): ReceivedValue {
  const list = value.list(1);
  const entries: ReceivedEntry[] = [];
  for (let i = 0; i < list.length; i++) {
    const entry = list.at(i);
    const tag = entry.u16(0);
    switch (tag) {
      case RPC_TARGET:
        entries.push({ tag, cap: entry.capability(0), token: null });
        break;
      case WRITABLE:
      case READABLE:
        if (entry.u16(2) !== 0) {
          const message = `a stream came with the encoding ${entry.u16(2)}: only plain bytes are taken`;
          throw new RpcError("unimplemented", "invalid-payload", message);
        }
        entries.push({ tag, cap: entry.capability(0), token: null });
        break;
      case ABORT_SIGNAL:
        entries.push({ tag, cap: entry.capability(0), token: null });
        break;
      case SERVICE_TOKEN:
        entries.push({ tag, cap: -1, token: entry.data(0).slice() });
        break;
      default: {
        const message = `a value came with ${TAG_NAMES[tag] ?? "something"} (external ${tag}), which is not taken`;
        throw new RpcError("unimplemented", "invalid-payload", message);
      }
    }
  }
  return { bytes: value.data(0), entries };
}

export interface CallResults {
  readonly value: ReceivedValue;
  /** Index of the capability that stands for the result; -1 for none. */
  readonly pipeline: number;
  /** Whether to let go of that is to dispose the result. */
  readonly hasDisposer: boolean;
}

/** @throws RpcError invalid-payload. */
export function readResults(content: Content): CallResults {
  view.open(content);
  try {
    const pipeline = view.capability(1);
    const hasDisposer = view.u8(0) % 2 === 1;
    view.enter(0);
    // Nearly all values have nothing beside them.
    const value = view.isNull(1)
      ? { bytes: view.data(0) ?? NO_BYTES, entries: NO_ENTRIES }
      : readValue(StructReader.of(content).struct(0));
    return { value, pipeline, hasDisposer };
  } finally {
    view.close();
  }
}

/** @param value its hooks are taken over. @param pipeline taken over. */
export function writeResults(value: Value, pipeline: Hook | null, hasDisposer: boolean): Payload {
  const results = builder.root(1, 3);
  const caps: (Hook | null)[] = [];
  results.bool(0, hasDisposer);
  if (pipeline !== null) results.capability(1, caps.push(pipeline) - 1);
  writeValue(results.struct(0, 0, 2), value, caps);
  return new Payload(builder.finish(), caps);
}

/** What is known of the results of a call before they are there. @param pipeline taken over. */
export function writePipeline(pipeline: Hook): Payload {
  builder.root(1, 3).capability(1, 0);
  return new Payload(builder.finish(), [pipeline]);
}

export interface CallParams {
  readonly path: readonly string[];
  /** Null where the member is asked for; undefined where it is called without arguments. */
  readonly args: ReceivedValue | undefined | null;
  /** Index of the capability that makes streams for the results; -1 for none. */
  readonly pusher: number;
}

/** @throws RpcError invalid-payload, also for a tag of a union that is not known. */
export function readCall(content: Content): CallParams {
  const params = StructReader.of(content);
  const asked = params.u16(2);
  if (params.u16(0) > 1 || asked > 1) {
    const message = `a call came in a form that is not known: ${params.u16(0)}, ${asked}`;
    throw new RpcError("unimplemented", "invalid-payload", message);
  }
  let path: string[];
  if (params.u16(0) === 0) path = [params.text(0)];
  else {
    const names = params.list(0, 0, 1);
    if (names.length > MAX_PATH)
      throw new RpcError("failed", "limit-exceeded", `a path of ${names.length} members`);
    path = Array.from({ length: names.length }, (_, i) => names.at(i).text(0));
  }
  const none = params.isNull(1);
  return {
    path,
    args: asked === 1 ? null : none ? undefined : readValue(params.struct(1)),
    pusher: params.u16(4) === 1 ? params.capability(2) : -1,
  };
}

/** Which method of which of their interfaces a call is of. */
export type Method =
  | "call"
  | "pushByteStream"
  | "pushAbortSignal"
  | "abort"
  | "startEvent"
  | "getHttpService"
  | "jsRpcSession"
  | "unknown";

export function methodOf(interfaceHi: number, interfaceLo: number, methodId: number): Method {
  const is = ([hi, lo]: InterfaceId): boolean => interfaceHi === hi && interfaceLo === lo;
  if (is(TARGET) && methodId === 0) return "call";
  if (is(PUSHER) && methodId === 0) return "pushByteStream";
  if (is(PUSHER) && methodId === 1) return "pushAbortSignal";
  if (is(TRIGGER) && methodId === 0) return "abort";
  if (is(WORKER) && methodId === 0) return "startEvent";
  if (is(DISPATCHER) && methodId === 0) return "getHttpService";
  if (is(DISPATCHER) && methodId === 9) return "jsRpcSession";
  return "unknown";
}

// -- What is made at the other side, for a value to name it --------------------------------------------------------------

/** A stream that the other side can read: what stands for it in a value, and what its bytes are written into. */
export function pushStream(pusher: Hook): { readonly source: Hook; readonly sink: Hook } {
  builder.root(1, 0);
  const [source, sink] = askBoth(pusher, request(PUSHER, 0));
  return { source, sink };
}

/** The size of the stream that is asked for; null when it is not told. @throws RpcError invalid-payload. */
export function readPush(content: Content): number | null {
  const plusOne = StructReader.of(content).u64(0);
  return plusOne === 0n ? null : Number(plusOne - 1n);
}

export function pushSignal(pusher: Hook): { readonly signal: Hook; readonly trigger: Hook } {
  const [signal, trigger] = askBoth(pusher, request(PUSHER, 1, NO_CAPS, Content.EMPTY_STRUCT));
  return { signal, trigger };
}

/** Tells the other side that a signal has fired. */
export function fire(trigger: Hook, reason: Value): void {
  const caps: (Hook | null)[] = [];
  writeValue(builder.root(0, 1).struct(0, 0, 2), reason, caps);
  trigger.call(request(TRIGGER, 0, caps)).cancelInTurn();
}

/** @throws RpcError invalid-payload. */
export function readReason(content: Content): ReceivedValue {
  return readValue(StructReader.of(content).struct(0));
}

/** Capabilities, which are taken over, one after the other: what is answered by who gives nothing else. */
export function writeCapabilities(...hooks: Hook[]): Payload {
  const results = builder.root(0, hooks.length);
  for (let i = 0; i < hooks.length; i++) results.capability(i, i);
  return new Payload(builder.finish(), hooks);
}

/** What startEvent was told beside the event: JSON; null for nothing. @throws RpcError invalid-payload. */
export function readEvent(content: Content): string | null {
  const params = StructReader.of(content);
  return params.isNull(0) ? null : params.text(0);
}
