// Role: what the runtime knows of an interface: its id, its methods, its superclasses.
// State: tables built at first use, since the classes they name may be defined later in a module. Must not know: calls.

import { NO_PROMISE_PIPELINING } from "../../../hook/hook.js";
import { brokenHook, nullHook } from "../../../hook/results.js";
import { processScheduler } from "../../scheduler.js";
import { AnyPointer, writeClient } from "./any.js";
import { type BuildCaps, noCapability } from "./caps.js";
import { holderOf } from "../../../hook/holder.js";
import { Client, type InterfaceType } from "./client.js";
import { capsOf } from "./copy.js";
import { invalidArgument, invalidPayload, invalidState } from "./errors.js";
import { type Given, given, PointerInfo, type PointerType } from "./info.js";
import { CAPABILITY, clearPointer, found, resolve, writeCapPointer } from "./pointer.js";
import type { Segment } from "./segment.js";
import { hookOfServer } from "./server.js";
import { KINDS } from "./state.js";
import type { Annotation, Struct, StructType } from "./struct.js";

/** One method of an interface. */
export class MethodInfo {
  readonly name: string;
  readonly params: StructType<Struct>;
  readonly results: StructType<Struct>;
  /** `-> stream`. */
  readonly streaming: boolean;
  /** Flags of every call: no pipelining where the results cannot hold a capability (C-IOP-07). */
  readonly flags: number;
  /** The params are one Data and nothing else, which can be sent without a copy: the name of that field, else "". */
  readonly dataField: string;
  private readonly notes: (() => Annotation[]) | undefined;

  constructor(
    name: string,
    params: StructType<Struct>,
    results: StructType<Struct>,
    kind: string,
    dataField: string,
    annotations: (() => Annotation[]) | undefined,
  ) {
    this.name = name;
    this.params = params;
    this.results = results;
    this.streaming = kind.includes("s");
    this.flags = kind.includes("n") ? NO_PROMISE_PIPELINING : 0;
    this.dataField = dataField;
    this.notes = annotations;
  }

  /** The annotations applied to the method. */
  get annotations(): Annotation[] {
    return this.notes?.() ?? [];
  }
}

/**
 * @param name as called. @param kind `s` for a stream method, `n` for results without capabilities.
 * @param dataField see {@link MethodInfo.dataField}.
 */
export function method(
  name: string,
  params: StructType<Struct>,
  results: StructType<Struct>,
  kind = "",
  dataField = "",
  annotations?: () => Annotation[],
): MethodInfo {
  return new MethodInfo(name, params, results, kind, dataField, annotations);
}

/** The tables of an interface. */
export interface Members {
  readonly methods: readonly MethodInfo[];
  readonly supers: readonly InterfaceType<Client>[];
  /** Methods that have another name here, since one before has theirs: that name, the id of their interface, their own. */
  readonly renamed?: readonly (readonly [name: string, id: string, method: number])[];
}

/** Makes the tables; the arguments are the types bound to the type parameters, outermost scope first. */
type Load = (...bindings: PointerType<AnyPointer>[]) => Members;

/** What the runtime knows of an interface type. */
export class InterfaceInfo<out C extends Client = Client> extends PointerInfo<C> {
  override readonly isCapability = true;
  readonly displayName: string;
  readonly id: string;
  readonly hi: number;
  readonly lo: number;
  readonly bindings: readonly PointerType<unknown>[];
  private readonly notes: (() => Annotation[]) | undefined;
  private readonly loadType: Given<InterfaceType<C>>;
  private loadedType: InterfaceType<C> | null = null;
  private readonly load: Load;
  private members: Members | null = null;
  private bound: InterfaceType<Client>[] = [];
  private lineage: InterfaceInfo[] | null = null;
  private names: ReadonlyMap<MethodInfo, string> | null = null;

  constructor(
    type: Given<InterfaceType<C>>,
    displayName: string,
    id: string,
    load: Load,
    bindings: readonly PointerType<unknown>[],
    annotations: (() => Annotation[]) | undefined,
  ) {
    super();
    this.loadType = type;
    this.displayName = displayName;
    this.id = id;
    this.hi = Number.parseInt(id.slice(0, 8), 16) | 0;
    this.lo = Number.parseInt(id.slice(8), 16) | 0;
    this.load = load;
    this.bindings = bindings;
    this.notes = annotations;
  }

  /** The class of its clients. */
  get type(): InterfaceType<C> {
    return (this.loadedType ??= given(this.loadType));
  }

  /** The annotations applied to the interface. */
  get annotations(): Annotation[] {
    return this.notes?.() ?? [];
  }

  private get own(): Members {
    if (this.members !== null) return this.members;
    const given = this.bindings as readonly PointerType<AnyPointer>[];
    const all = Array.from({ length: this.load.length }, (_, i) => given[i] ?? AnyPointer);
    return (this.members = this.load(...all));
  }

  /** The methods of this interface itself, by their id. */
  get methods(): readonly MethodInfo[] {
    return this.own.methods;
  }

  /** This interface and all it inherits from, each once. */
  get ancestry(): readonly InterfaceInfo[] {
    if (this.lineage !== null) return this.lineage;
    const all: InterfaceInfo[] = [this];
    for (const parent of this.own.supers)
      for (const info of parent._capnp.ancestry)
        if (!all.some((known) => known.id === info.id)) all.push(info);
    return (this.lineage = all);
  }

  /** What a server of this interface calls `method` of its {@link ancestry}. */
  nameOf(method: MethodInfo): string {
    this.names ??= new Map(
      (this.own.renamed ?? []).map(([name, id, at]) => [
        this.ancestry.find((one) => one.id === id)!.methods[at]!,
        name,
      ]),
    );
    return this.names.get(method) ?? method.name;
  }

  /** The class with its type parameters bound; the same class for the same types. */
  bind(bindings: readonly PointerType<unknown>[]): InterfaceType<C> {
    for (const known of this.bound)
      if (known._capnp.bindings.every((type, i) => type === bindings[i]))
        return known as InterfaceType<C>;
    const Base: InterfaceType<Client> = this.type;
    class Bound extends Base {
      static override _capnp: InterfaceInfo;
    }
    const bound = Bound as unknown as InterfaceType<C>;
    Bound._capnp = new InterfaceInfo<C>(
      () => bound,
      this.displayName,
      this.id,
      this.load,
      bindings,
      this.notes,
    );
    this.bound.push(bound);
    return bound;
  }

  /** A null pointer is a client on which every call fails (C-LOC-06). */
  read(segment: Segment, at: number): C {
    const kind = resolve(segment, at);
    const caps = capsOf(segment);
    if (kind < 0) return new this.type(nullHook(caps?.scheduler ?? processScheduler()));
    if (kind !== CAPABILITY || found.lo !== CAPABILITY)
      throw invalidPayload(
        `expected a capability, found ${kind === CAPABILITY ? "an unknown pointer" : KINDS[kind]!}`,
      );
    if (caps === null)
      return new this.type(brokenHook(noCapability(found.hi >>> 0, 0), processScheduler()));
    return caps.client(found.hi >>> 0, this.type);
  }

  /** Takes a client, or an object that implements the interface, which becomes a capability of its own. */
  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) return clearPointer(segment, at);
    const holder = holderOf(value);
    if (holder !== undefined) return writeClient(segment, at, holder);
    if (typeof value !== "object")
      throw invalidArgument(`a ${this.displayName} is set from a client or a server`);
    const caps = capsOf(segment) as BuildCaps | null;
    if (caps === null)
      throw invalidState("a capability can only be put into the params or results of a call");
    clearPointer(segment, at);
    writeCapPointer(segment, at, caps.add(hookOfServer(this, value!, caps.scheduler)));
  }
}

/**
 * Describes a generated interface class.
 * @param type gives the class: as a function, since a bundler may take the call out of the class it stands in.
 * @param id the interface's id, 16 hex digits. @param load makes the tables.
 */
export function interfaceInfo<C extends Client>(
  type: Given<InterfaceType<C>>,
  displayName: string,
  id: string,
  load: Load,
  annotations?: () => Annotation[],
): InterfaceInfo<C> {
  return new InterfaceInfo(type, displayName, id, load, [], annotations);
}

/** The class of a client of a generic interface, with the types it was bound to. */
export function typeOf<C extends Client>(client: C): InterfaceType<C> {
  return client.constructor as unknown as InterfaceType<C>;
}

/** The type bound to parameter `index` of a generic interface; AnyPointer when none is. */
export function boundIn<T>(client: Client, index: number): PointerType<T> {
  return (typeOf(client)._capnp.bindings[index] ?? AnyPointer) as PointerType<T>;
}

/** The type of any capability: `Capability` in a schema. */
export const Capability: PointerType<Client> = { _capnp: /* @__PURE__ */ capabilityInfo() };

function capabilityInfo(): PointerInfo<Client> {
  return new InterfaceInfo<Client>(
    () => Client as unknown as InterfaceType<Client>,
    "Capability",
    "0000000000000000",
    () => ({ methods: [], supers: [] }),
    [],
    undefined,
  );
}
