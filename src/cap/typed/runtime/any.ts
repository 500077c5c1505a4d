// Role: AnyPointer: a pointer whose type the schema leaves open.
// State: its location. Must not know: schemas.

import { Pointer } from "capnp-ts";
import { readData, readText, writeData, writeText } from "./blobs.js";
import { HOLD, type Holder, holderOf } from "../../../hook/holder.js";
import { capsOf, copyPointer, forget, writeHook } from "./copy.js";
import { invalidArgument, invalidState } from "./errors.js";
import { PointerInfo, type PointerType } from "./info.js";
import { List } from "./list.js";
import { clearPointer, isNull, LIST, resolve, STRUCT } from "./pointer.js";
import type { Segment } from "./segment.js";
import { Struct } from "./struct.js";
import type { BuildCaps } from "./caps.js";

/** What an AnyPointer can be set to. A string is Text, bytes are Data; structs and lists are copied. */
export type AnyInit =
  | AnyPointer
  | Struct
  | List<unknown>
  | Holder
  | string
  | Uint8Array
  | TypedValue
  | null;

/** A value with the type it is to be written as; see {@link any}. */
export class TypedValue {
  readonly type: PointerType<unknown>;
  readonly value: unknown;

  constructor(type: PointerType<unknown>, value: unknown) {
    this.type = type;
    this.value = value;
  }
}

/**
 * A value for an AnyPointer field or an unbound type parameter, written as `type`.
 * @example store.put({ value: any(Person, { name: "Ada" }) })
 */
export function any(type: PointerType<unknown>, value: object | string): TypedValue {
  return new TypedValue(type, value);
}

class AnyInfo extends PointerInfo<AnyPointer> {
  readonly displayName = "AnyPointer";

  read(segment: Segment, at: number): AnyPointer {
    return new AnyPointer(segment, at);
  }

  write(segment: Segment, at: number, value: unknown): void {
    if (value === null) clearPointer(segment, at);
    else if (typeof value === "string") writeText(segment, at, value);
    else if (value instanceof Uint8Array) writeData(segment, at, value);
    else if (value instanceof TypedValue) value.type._capnp.write(segment, at, value.value);
    else if (value instanceof Struct)
      (value.constructor as unknown as PointerType<unknown>)._capnp.write(segment, at, value);
    else if (value instanceof AnyPointer || value instanceof List)
      copyPointer(value.segment, value.byteOffset, segment, at);
    else {
      const holder = holderOf(value);
      if (holder !== undefined) return writeClient(segment, at, holder);
      throw invalidArgument(
        "an AnyPointer is set from a struct, list, client, string, bytes or any(type, value)",
      );
    }
  }
}

/** A pointer of a message whose type is not told by the schema. */
export class AnyPointer extends Pointer {
  static override readonly _capnp: PointerInfo<AnyPointer> = /* @__PURE__ */ new AnyInfo();

  /** What the pointer leads to. */
  get kind(): "null" | "struct" | "list" | "capability" {
    const kind = resolve(this.segment, this.byteOffset);
    return kind < 0 ? "null" : kind === STRUCT ? "struct" : kind === LIST ? "list" : "capability";
  }

  get isNull(): boolean {
    return isNull(this.segment, this.byteOffset);
  }

  /**
   * Reads the pointer as `type`.
   * @throws RpcError invalid-payload when it leads to something of another kind.
   * @example const person = holder.value.as(Person);
   */
  as<T>(type: PointerType<T>): T {
    return type._capnp.read(this.segment, this.byteOffset);
  }

  /** Reads the pointer as Text. */
  get text(): string {
    return readText(this.segment, this.byteOffset);
  }

  /** Reads the pointer as Data. */
  get data(): Uint8Array {
    return readData(this.segment, this.byteOffset);
  }

  /** Sets the pointer, in a message that is being built. */
  set(value: AnyInit): void {
    forget(this.segment, this.byteOffset);
    AnyPointer._capnp.write(this.segment, this.byteOffset, value);
  }

  override toString(): string {
    return `AnyPointer(${this.kind})`;
  }
}

/** Writes a capability pointer, and the hook of a client or a stub into the table of the message. */
export function writeClient(segment: Segment, at: number, client: Holder): void {
  const caps = capsOf(segment) as BuildCaps | null;
  if (caps === null)
    throw invalidState("a capability can only be put into the params or results of a call");
  clearPointer(segment, at); // throws when the message was sent already, before a reference is taken
  writeHook(segment, at, caps, client[HOLD](caps.giving));
}
