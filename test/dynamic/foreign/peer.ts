// Role: a peer of another make: the interface of schema/js.capnp as the schema compiler gives it, and values as
// docs/js-values.md says, written for this test alone. State: the objects it serves.
// Must not know: the dynamic layer. What it does not need of either text it leaves out.

import { RpcError, serve } from "../../../src/typed.js";
import * as js from "./js.capnp.js";

/** A reference in a value: its kind and its index. */
export class Ref {
  readonly kind: number;
  readonly index: number;
  constructor(kind: number, index: number) {
    this.kind = kind;
    this.index = index;
  }
}

/** Plain form: what MessagePack has. Extended form as soon as there is `undefined` or a reference. */
export function encode(value: unknown): Uint8Array {
  const extended = needsExtended(value);
  const out: number[] = extended ? [0xc1] : [];
  write(value, out, extended);
  return Uint8Array.from(out);
}

function needsExtended(value: unknown): boolean {
  if (value === undefined || value instanceof Ref || value instanceof Date) return true;
  return typeof value === "object" && value !== null && Object.values(value).some(needsExtended);
}

function write(value: unknown, out: number[], extended: boolean): void {
  if (value === null) out.push(0xc0);
  else if (typeof value === "boolean") out.push(value ? 0xc3 : 0xc2);
  else if (typeof value === "number") {
    if (Number.isInteger(value) && value >= 0 && value < 128) out.push(value);
    else {
      const bytes = new DataView(new ArrayBuffer(8));
      bytes.setFloat64(0, value);
      out.push(0xcb, ...new Uint8Array(bytes.buffer));
    }
  } else if (typeof value === "string") {
    const bytes = new TextEncoder().encode(value);
    out.push(0xd9, bytes.length, ...bytes);
  } else if (value === undefined) list([0], out, extended);
  else if (value instanceof Ref) list([8, value.kind, value.index], out, extended);
  else if (value instanceof Date) list([9, value.getTime()], out, extended);
  else if (Array.isArray(value)) list(extended ? [5, ...value] : value, out, extended);
  else if (extended) list([6, ...Object.entries(value as object).flat()], out, extended);
  else {
    const entries = Object.entries(value as object);
    out.push(0x80 | entries.length);
    for (const item of entries.flat()) write(item, out, extended);
  }
}

function list(items: readonly unknown[], out: number[], extended: boolean): void {
  out.push(0x90 | items.length);
  for (const item of items) write(item, out, extended);
}

/** The value in `bytes`; a reference is what `ref` makes of it. */
export function decode(bytes: Uint8Array, ref: (kind: number, index: number) => unknown): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const extended = bytes[0] === 0xc1;
  let at = extended ? 1 : 0;
  const take = (size: number): number => (at += size) - size;
  const text = (length: number): string =>
    new TextDecoder().decode(bytes.subarray(take(length), at));
  const items = (count: number): unknown[] => Array.from({ length: count }, read);
  function read(): unknown {
    const first = bytes[take(1)]!;
    if (first < 0x80) return first;
    if (first < 0x90)
      return Object.fromEntries(
        items(2 * (first & 15)).flatMap((_, i, all) => (i % 2 ? [] : [[all[i], all[i + 1]]])) as [
          string,
          unknown,
        ][],
      );
    if (first < 0xa0) return extended ? node(items(first & 15)) : items(first & 15);
    if (first < 0xc0) return text(first & 31);
    if (first >= 0xe0) return first - 256;
    if (first === 0xc0) return null;
    if (first === 0xc2 || first === 0xc3) return first === 0xc3;
    if (first === 0xcc) return bytes[take(1)]!;
    if (first === 0xcd) return view.getUint16(take(2));
    if (first === 0xcb) return view.getFloat64(take(8));
    if (first === 0xd9) return text(bytes[take(1)]!);
    throw new Error(`not read here: ${first.toString(16)}`);
  }
  const node = ([kind, ...rest]: unknown[]): unknown => {
    if (kind === 0) return undefined;
    if (kind === 5) return rest;
    if (kind === 6)
      return Object.fromEntries(
        rest.flatMap((_, i) => (i % 2 ? [] : [[rest[i], rest[i + 1]]])) as [string, unknown][],
      );
    if (kind === 8) return ref(rest[0] as number, rest[1] as number);
    if (kind === 9) return new Date(rest[0] as number);
    throw new Error(`not read here: kind ${String(kind)}`);
  };
  return read();
}

/** What a method of the peer's is called with: values, and clients of what came by reference. */
type Method = (...args: never[]) => unknown;

/** Members by name; a method that gives a {@link Peer} gives an object. */
export class Peer implements js.Object.Server {
  readonly members: Readonly<Record<string, unknown>>;
  /** Timeouts that calls came with. */
  readonly timeouts: number[] = [];

  constructor(members: Record<string, unknown>) {
    this.members = members;
  }

  async call(request: js.Request): Promise<js.Result.Init> {
    this.timeouts.push(request.timeout);
    const method = this.at([...request.path]);
    if (typeof method !== "function")
      throw new RpcError("unimplemented", "method-unimplemented", "no such method");
    if (!request.hasArguments()) return this.result(await (method as Method)(), request.want);
    // Lent: they end with the call.
    const lent = [...request.references].map(({ target }) => target.castAs(js.Object));
    try {
      const kinds = [...request.references].map(({ kind }) => kind);
      const args = await this.value(request.arguments, kinds, lent);
      return this.result(await (method as Method)(...(args as never[])), request.want);
    } finally {
      for (const client of lent) client[Symbol.dispose]();
    }
  }

  async get(request: js.Request): Promise<js.Result.Init> {
    if (request.path.length === 0) return this.result(this, request.want);
    return this.result(this.at([...request.path]), request.want);
  }

  map(): never {
    throw new RpcError("unimplemented", "method-unimplemented", "map is not known here");
  }

  private at(path: readonly string[]): unknown {
    let at: unknown = this.members;
    for (const name of path)
      at = Object.hasOwn(at as object, name) ? (at as Record<string, unknown>)[name] : undefined;
    return at;
  }

  /** References of kind `object` become clients, promises their values. */
  private async value(
    bytes: Uint8Array,
    kinds: readonly number[],
    clients: readonly js.Object[],
  ): Promise<unknown> {
    const known = await Promise.all(
      clients.map(async (client, i) => {
        if (kinds[i] !== js.Reference_Kind.promise) return client;
        using answer = await client.get({});
        return decode(answer.value, () => expect("no reference"));
      }),
    );
    return decode(bytes, (_kind, index) => known[index]);
  }

  private result(value: unknown, want: number): js.Result.Init {
    if (value instanceof Peer && want === js.Want.value) {
      const references = [{ kind: js.Reference_Kind.object, target: servePeer(value) }];
      return { value: encode(new Ref(0, 0)), hasValue: true, references };
    }
    if (value instanceof Peer) return { object: value, isObject: true, hasValue: true };
    const bytes = encode(value);
    if (want === js.Want.value) return { value: bytes, hasValue: true };
    return { object: new Value(value, bytes) };
  }
}

/** Stands for a result: its members are those of the value. */
class Value extends Peer {
  private readonly bytes: Uint8Array;
  constructor(value: unknown, bytes: Uint8Array) {
    super(typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {});
    this.bytes = bytes;
  }
  override async get(request: js.Request): Promise<js.Result.Init> {
    return request.path.length === 0 ? { value: this.bytes, hasValue: true } : super.get(request);
  }
}

function expect(message: string): never {
  throw new Error(message);
}

/** Calls `client`, an Object of whoever serves it, and reads what it gives. */
export async function callOn(
  client: js.Object,
  path: readonly string[],
  args: readonly unknown[],
  references: { kind: number; target: js.Object }[] = [],
): Promise<unknown> {
  using answer = await client.call({
    path: [...path],
    arguments: encode(args),
    references,
    want: js.Want.value,
  });
  const { value, hasValue } = answer;
  if (!hasValue) throw new Error("no value, though it is wanted");
  if (value.length === 0) return undefined;
  const given = [...answer.references].map(({ target }) => target.castAs(js.Object));
  return decode(value, (_kind, index) => given[index]);
}

export const servePeer = (peer: Peer): js.Object => serve(js.Object, peer);
