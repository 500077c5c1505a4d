// Role: one call by a typed client: builds the params, makes the call, turns its results into a promise when asked.
// State: one call: its results, the promise if someone asked for it, the pipelined clients it handed out.
// Must not know: the wire.

import { RpcError } from "../../../base/errors.js";
import { CallRequest, type Hook } from "../../../hook/hook.js";
import type { Path, Payload } from "../../../hook/payload.js";
import {
  brokenHook,
  nullHook,
  type Results,
  type ResultsObserver,
  samePath,
} from "../../../hook/results.js";
import { followPath } from "../../../wire/path.js";
import { type CallLimits, type CallOptions, limit } from "../../call-options.js";
import { openBuilder } from "./builder.js";
import { GivenCaps, noCapability } from "./caps.js";
import { type Client, hookOf, type InterfaceType } from "./client.js";
import { capsOf } from "./copy.js";
import type { MethodInfo } from "./interface.js";
import { readContent } from "./segment.js";
import { Struct, type StructType } from "./struct.js";

/** How params and results are given: a plain object, a struct to copy, or a function that fills the struct. */
export type Fill<S extends Struct, I> = I | S | ((struct: S) => void);

/** Fills a struct of a message that is being built. */
export function fill<S extends Struct>(struct: S, value: unknown): void {
  if (value === undefined) return;
  if (typeof value === "function") (value as (struct: S) => void)(struct);
  else struct.set(value as object);
}

/** The size of the params that `send` sent last; read it at once. */
export const lastSent = { bytes: 0 };

/**
 * Builds the params and makes the call.
 * @throws whatever the params callback throws, and RpcError when the params do not fit; then no call was made.
 */
export function send(
  hook: Hook,
  type: InterfaceType<Client>,
  method: MethodInfo,
  id: number,
  params: unknown,
  paramsType: StructType<Struct>,
): Results {
  const builder = openBuilder(hook.scheduler, false);
  try {
    const info = paramsType._capnp;
    if (params instanceof Struct) info.write(builder.segment, 0, params);
    else fill(info.init(builder.segment, 0), params);
    const { hi, lo } = type._capnp;
    const payload = builder.payload();
    lastSent.bytes = payload.content.byteLength;
    return hook.call(new CallRequest(hi, lo, id, payload, method.flags));
  } finally {
    builder.close();
  }
}

type Resolve = (value: Struct) => void;
type Reject = (error: unknown) => void;
let grabbedResolve: Resolve;
let grabbedReject: Reject;
/** One executor for all promises: a closure per call would cost more than the promise. */
const grab = (resolve: Resolve, reject: Reject): void => {
  grabbedResolve = resolve;
  grabbedReject = reject;
};

/** A call that was made. Its only native promise is made when someone asks for the value. */
export class Call implements ResultsObserver {
  readonly immediate = false;
  readonly type: StructType<Struct>;
  private results: Results | null;
  private payload: Payload | null = null;
  private value: Struct | null = null;
  private error: RpcError | null = null;
  /** Why it was given up. Made into an error when somebody asks: hardly ever. */
  private ended: (() => RpcError) | null = null;
  private promise: Promise<Struct> | null = null;
  private resolve: Resolve | null = null;
  private reject: Reject | null = null;
  /** Clients of promised capabilities, one for each path, so that their calls keep one order (C-PIP-02). */
  private clients: { path: Path; client: Client }[] | null = null;
  private limits: CallLimits | null = null;
  private readonly hook: Hook;

  constructor(
    hook: Hook,
    results: Results,
    type: StructType<Struct>,
    options: CallOptions | undefined,
  ) {
    this.hook = hook;
    this.results = results;
    this.type = type;
    if (options !== undefined) this.limits = limit(this, options);
    results.observe(this);
  }

  resultsSettled(results: Results): void {
    if (this.results === null) return results.cancel();
    this.results = null;
    this.limits?.end();
    if (results.error === null) {
      results.dropPipeline();
      this.payload = results.takePayload();
    } else {
      this.error = results.error;
      results.cancel();
    }
    if (this.promise !== null) this.deliver();
  }

  /** The results, as one promise for all who ask. */
  get asked(): Promise<Struct> {
    if (this.promise === null) {
      this.promise = new Promise(grab);
      this.resolve = grabbedResolve;
      this.reject = grabbedReject;
      if (this.results === null) this.deliver();
    }
    return this.promise;
  }

  /** The client of the capability at `path` of the results, known or not. */
  client<C extends Client>(path: Path, type: InterfaceType<C>): C {
    const known = this.clients?.find(
      (one) => samePath(one.path, path) && one.client instanceof type,
    );
    if (known !== undefined) return known.client as C;
    const before = this.clients?.find(
      (one) => samePath(one.path, path) && one.client._hook !== null,
    );
    const client = new type(
      before === undefined ? this.capability(path) : hookOf(before.client).addRef(),
    );
    (this.clients ??= []).push({ path, client });
    if (this.value !== null) capsOf(this.value.segment)?.closeWith(client);
    return client;
  }

  private capability(path: Path): Hook {
    if (this.results !== null) return this.results.pipeline(path);
    const error = this.failure;
    if (error !== null) return brokenHook(error, this.hook.scheduler);
    try {
      const caps = capsOf(this.read().segment);
      const index = followPath(this.payload!.content, path);
      if (index < 0) return nullHook(this.hook.scheduler);
      if (caps === null) return brokenHook(noCapability(index, 0), this.hook.scheduler);
      return caps.share(index) ?? nullHook(this.hook.scheduler);
    } catch (thrown) {
      return brokenHook(RpcError.from(thrown), this.hook.scheduler);
    }
  }

  /** Gives the call up: cancels it if it still runs (C-CAN-01), ends its pipelined clients and its results. */
  end(why: () => RpcError): void {
    const results = this.results;
    this.results = null;
    this.limits?.end();
    for (const { client } of this.clients ?? []) client[Symbol.dispose]();
    this.clients = null;
    if (results !== null) {
      results.cancel();
      this.ended = results.unsent ? () => why().delivered("not-sent") : why;
      if (this.promise !== null) this.deliver();
    } else if (this.value !== null) this.value[Symbol.dispose]();
    else if (this.payload !== null) {
      this.payload.release();
      this.payload = null;
      this.ended = why;
    }
  }

  private get failure(): RpcError | null {
    return (this.error ??= this.ended?.() ?? null);
  }

  private deliver(): void {
    const error = this.failure;
    if (error !== null) return this.reject!(error);
    try {
      this.resolve!(this.read());
    } catch (thrown) {
      this.error = RpcError.from(thrown);
      this.payload?.release();
      this.reject!(this.error);
    }
  }

  /** The results as a struct over their own bytes. */
  private read(): Struct {
    if (this.value !== null) return this.value;
    const payload = this.payload!;
    let caps: GivenCaps | null = null;
    if (payload.caps.length > 0 || this.clients !== null) {
      caps = new GivenCaps(this.hook.scheduler, payload);
      for (const { client } of this.clients ?? []) caps.closeWith(client);
    }
    const segment = readContent(payload.content, caps);
    return (this.value = this.type._capnp.read(segment, segment.root));
  }
}
