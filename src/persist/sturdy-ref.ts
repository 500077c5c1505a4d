// Role: a saved reference as users hold it: bytes that some realm made and only that realm understands.
// State: those bytes. Must not know: what is in them.

import { wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { limitsWith } from "../base/limits.js";
import { Content } from "../wire/content.js";
import { PayloadCopier } from "../wire/validate.js";

/** The largest reference that is taken from anyone. Ours are 48 bytes. */
export const MOST_BYTES = 64 * 1024;

const copier = /* @__PURE__ */ new PayloadCopier(
  /* @__PURE__ */ limitsWith({ traversalWords: MOST_BYTES / 8 }),
);

/**
 * A saved reference. It is a secret: who has it has the object, unless it was saved for an owner. Nothing shows what is in
 * it but {@link toBytes} and {@link toText}.
 *
 * @example
 * const ref = await save(room);
 * await disk.write(ref.toBytes()); // later: SturdyRef.fromBytes(bytes)
 * Source: C-PER-03: realms define what is in it, and it is passed on as it came.
 */
export class SturdyRef {
  readonly #content: Content;

  private constructor(content: Content) {
    this.#content = content;
  }

  /** Of a pointer as it came; copied, without the capabilities that it names. @throws RpcError invalid-payload. */
  static of(content: Content): SturdyRef {
    const copy = copier.renumber(content, null);
    if (copy.byteLength === 8 && copy.bytes.every((byte) => byte === 0))
      throw notARef("it is null");
    return new SturdyRef(copy);
  }

  /** @throws RpcError invalid-argument for what is no Uint8Array; invalid-payload for what {@link toBytes} cannot have given. */
  static fromBytes(bytes: Uint8Array): SturdyRef {
    if (!(bytes instanceof Uint8Array))
      throw wrongArgument("the bytes of a saved reference must be a Uint8Array", bytes);
    if (bytes.length === 0 || bytes.length % 8 !== 0) throw notARef("its bytes are cut off");
    return SturdyRef.of(new Content(bytes));
  }

  /** @throws RpcError invalid-argument for what is no string; invalid-payload for what {@link toText} cannot have given. */
  static fromText(text: string): SturdyRef {
    if (typeof text !== "string")
      throw wrongArgument("the text of a saved reference must be a string", text);
    const cut = text.length > MOST_BYTES * 2 || !/^[\w-]*$/.test(text) || text.length % 4 === 1;
    if (cut) throw notARef("its text is not base64url, or too long");
    const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    const ref = SturdyRef.fromBytes(Uint8Array.from(binary, (char) => char.charCodeAt(0)));
    if (ref.toText() !== text) throw notARef("its text is not the one that was given");
    return ref;
  }

  /** One segment, a pointer first; a copy. To be stored, and kept secret. */
  toBytes(): Uint8Array {
    return this.#content.bytes.slice();
  }

  /** The same as base64url, of letters, digits, `-` and `_`. To be stored, and kept secret. */
  toText(): string {
    let binary = "";
    for (const byte of this.#content.bytes) binary += String.fromCharCode(byte);
    return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  }

  /** What goes into a message: not to be changed. */
  get content(): Content {
    return this.#content;
  }

  toString(): string {
    return "[SturdyRef]";
  }

  toJSON(): string {
    return "[SturdyRef]";
  }
}

/** What goes into a message for `ref`. @throws RpcError invalid-argument for what is no SturdyRef. */
export function contentOf(ref: SturdyRef): Content {
  if (ref instanceof SturdyRef) return ref.content;
  const wanted =
    "a saved reference must be a SturdyRef (SturdyRef.fromText and SturdyRef.fromBytes make one of what was stored)";
  throw wrongArgument(wanted, ref);
}

function notARef(why: string): RpcError {
  return new RpcError("failed", "invalid-payload", `this is not a saved reference: ${why}`);
}
