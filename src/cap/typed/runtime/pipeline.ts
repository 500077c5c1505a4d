// Role: results that are not there yet: awaitable, and callable through, field by field.
// State: a call and a path into its results. Must not know: how the call travels.

import type { Path } from "../../../hook/payload.js";
import { failedResults } from "../../../hook/results.js";
import { AnyPointer } from "./any.js";
import { type CallOptions, disposedCall, refused } from "../../call-options.js";
import { Call, send } from "./call.js";
import type { Client } from "./client.js";
import { hookOf, type InterfaceType } from "./client.js";
import type { PointerType } from "./info.js";
import type { InterfaceInfo } from "./interface.js";
import { nullSegment } from "./segment.js";
import { open, slotOf, StructState } from "./state.js";
import type { Struct, StructType } from "./struct.js";

const ROOT: Path = Object.freeze([]);

/** What is called with the error. Written as a method, so that one may be given that expects an RpcError. */
type OnError<B> = { handle(reason: unknown): B | PromiseLike<B> }["handle"];

/** A generated pipeline class, or {@link Pipeline} itself where the results hold no capability. */
export type PipelineType<P> = new (call: Call, path: Path, type: PointerType<unknown>) => P;

/**
 * The promise of results, or of a struct inside them. `await` gives the struct; generated classes add one property for
 * each field that holds a capability, or leads to one: it can be called before any result is there.
 *
 * Disposing it before the results are there cancels the call. Disposing what was awaited releases the capabilities in it.
 *
 * @example
 * const file = directory.open({ name: "a" }).file; // no round trip yet
 * const { size } = await file.stat();
 */
export class Pipeline<out T> implements PromiseLike<T> {
  readonly _call: Call;
  readonly _path: Path;
  readonly _type: PointerType<unknown>;

  constructor(call: Call, path: Path, type: PointerType<unknown>) {
    this._call = call;
    this._path = path;
    this._type = type;
  }

  // eslint-disable-next-line unicorn/no-thenable -- it is a promise
  then<A = T, B = never>(
    onValue?: ((value: T) => A | PromiseLike<A>) | null,
    onError?: OnError<B> | null,
  ): Promise<A | B> {
    const asked = this._call.asked as Promise<unknown> as Promise<T>;
    if (this._path.length === 0) return asked.then(onValue, onError);
    return asked
      .then((root) => readPath(root as Struct, this._path, this._type) as T)
      .then(onValue, onError);
  }

  catch<B = never>(onError?: OnError<B> | null): Promise<T | B> {
    return this.then(null, onError);
  }

  finally(onEnd?: (() => void) | null): Promise<T> {
    return this.then().finally(onEnd);
  }

  /** Gives the call up, with every client and struct that came of it. A second time does nothing. */
  [Symbol.dispose](): void {
    this._call.end(disposedCall);
  }
}

/** A pointer inside results whose type the schema leaves open. */
export class AnyPipeline<out T = AnyPointer> extends Pipeline<T> {
  /** The capability there, as a client of `type`. */
  as<C extends Client>(type: InterfaceType<C>): C {
    return this._call.client(this._path, type);
  }
}

/** What a field of a type parameter gives before the results are there. */
export type PipelineOf<T> = T extends Client ? T : AnyPipeline<T>;

/**
 * Calls method `id` of `type`. Generated client methods call this.
 * @param paramsType, resultsType those of the method, bound to the types given with the call of a generic method.
 */
export function callMethod<P>(
  client: Client,
  type: InterfaceType<Client>,
  id: number,
  pipeline: PipelineType<P>,
  params: unknown,
  options: CallOptions | undefined,
  paramsType?: StructType<Struct>,
  resultsType?: StructType<Struct>,
): P {
  const method = type._capnp.methods[id]!;
  const hook = hookOf(client);
  const refusal = refused(options);
  const results =
    refusal === null
      ? send(hook, type, method, id, params, paramsType ?? method.params)
      : failedResults(refusal, hook.scheduler);
  const answer = resultsType ?? method.results;
  const call = new Call(hook, results, answer, refusal === null ? options : undefined);
  return new pipeline(call, ROOT, answer);
}

/** The promised client at pointer `index` of a promised struct. */
export function pipelineClient<C extends Client>(
  from: Pipeline<unknown>,
  index: number,
  type: InterfaceType<C>,
): C {
  return from._call.client([...from._path, index], type);
}

/** The promised struct at pointer `index` of a promised struct. */
export function pipelineStruct<P>(
  from: Pipeline<unknown>,
  index: number,
  pipeline: PipelineType<P>,
  type: PointerType<unknown>,
): P {
  return new pipeline(from._call, [...from._path, index], type);
}

/** The group of a promised struct: the same pointers under other names. */
export function pipelineGroup<P>(
  from: Pipeline<unknown>,
  pipeline: PipelineType<P>,
  type: PointerType<unknown>,
): P {
  return new pipeline(from._call, from._path, type);
}

/** What is promised at pointer `index`, of the type bound to a type parameter. */
export function pipelineBound<T>(
  from: Pipeline<unknown>,
  index: number,
  type: PointerType<T>,
): PipelineOf<T> {
  if (type._capnp.isCapability) {
    const info = type._capnp as unknown as InterfaceInfo;
    return pipelineClient(from, index, info.type) as PipelineOf<T>;
  }
  return new AnyPipeline<T>(from._call, [...from._path, index], type) as unknown as PipelineOf<T>;
}

/** The type bound to parameter `index` of the generic struct that is promised. */
export function boundInPipeline<T>(from: Pipeline<unknown>, index: number): PointerType<T> {
  const info = (from._type as StructType<Struct>)._capnp;
  return (info.bindings[index] ?? AnyPointer) as PointerType<T>;
}

/** Reads a pointer deep inside results that have arrived. */
function readPath(root: Struct, path: Path, type: PointerType<unknown>): unknown {
  let state = root._capnp;
  for (let i = 0; ; i++) {
    const at = slotOf(state, path[i]!);
    if (at < 0) return type._capnp.read(nullSegment(state.segment), 0);
    if (i === path.length - 1) return type._capnp.read(state.segment, at);
    state = new StructState(state.segment, at, state.depthLimit, undefined);
    open(state);
  }
}
