// Role: key pairs of realms and of owners, and boxes from one to the other: all that is done with X25519.
// State: a key pair. Must not know: what is put in a box.

import nacl from "tweetnacl";
import { invalidArgument } from "../base/checks.js";
import type { RpcError } from "../base/errors.js";

/** Bytes of a public and of a secret key. */
export const KEY_BYTES = 32;
const NONCE_BYTES = 24;

/** Bytes that nobody can guess. From the runtime itself: tweetnacl's own source is not found in every bundle. */
export function randomBytes(count: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(count));
}

/**
 * What everyone shares with a public key of low order, which belongs to nobody: any secret times such a point is zero. A box
 * for it could be opened by all.
 */
const SHARED_WITH_ALL = /* @__PURE__ */ nacl.box.before(
  /* @__PURE__ */ new Uint8Array(KEY_BYTES),
  /* @__PURE__ */ new Uint8Array(KEY_BYTES).fill(1),
);

/**
 * A key pair: who a realm is, or the owner for whom references are saved. The public key may be shown to all; the secret key
 * leaves this object only by {@link revealSecretKey}, and is in no text that a debugger or a log makes of it.
 *
 * @example
 * const me = KeyPair.generate();
 * await file.write(me.revealSecretKey()); // later: KeyPair.fromSecretKey(bytes)
 */
export class KeyPair {
  readonly #pair: nacl.BoxKeyPair;

  private constructor(pair: nacl.BoxKeyPair) {
    this.#pair = pair;
  }

  static generate(): KeyPair {
    return KeyPair.fromSecretKey(randomBytes(KEY_BYTES));
  }

  /** @param bytes 32, as {@link revealSecretKey} gave them; copied. @throws RpcError invalid-argument. */
  static fromSecretKey(bytes: Uint8Array): KeyPair {
    if (bytes.length !== KEY_BYTES) throw notAKey("a secret key");
    return new KeyPair(nacl.box.keyPair.fromSecretKey(bytes));
  }

  /** 32 bytes, a copy. */
  get publicKey(): Uint8Array {
    return this.#pair.publicKey.slice();
  }

  /** The secret key, 32 bytes, a copy: to be stored where nobody else reads. */
  revealSecretKey(): Uint8Array {
    return this.#pair.secretKey.slice();
  }

  /**
   * Encrypts and signs `message` for one reader. @returns nonce and box.
   * @throws RpcError invalid-argument for a public key that is none.
   */
  seal(message: Uint8Array, reader: Uint8Array): Uint8Array {
    const nonce = randomBytes(NONCE_BYTES);
    const box = nacl.box.after(message, nonce, this.shared(reader));
    const sealed = new Uint8Array(NONCE_BYTES + box.length);
    sealed.set(nonce);
    sealed.set(box, NONCE_BYTES);
    return sealed;
  }

  /** What `writer` sealed for this pair; null for anything else. @throws RpcError invalid-argument for a key that is none. */
  open(sealed: Uint8Array, writer: Uint8Array): Uint8Array | null {
    const shared = this.shared(writer);
    if (sealed.length < NONCE_BYTES) return null;
    return nacl.box.open.after(
      sealed.subarray(NONCE_BYTES),
      sealed.subarray(0, NONCE_BYTES),
      shared,
    );
  }

  /** The key that this pair and the holder of the other share. @throws RpcError invalid-argument. */
  private shared(publicKey: Uint8Array): Uint8Array {
    if (!(publicKey instanceof Uint8Array) || publicKey.length !== KEY_BYTES)
      throw notAKey("a public key");
    const shared = nacl.box.before(publicKey, this.#pair.secretKey);
    if (nacl.verify(shared, SHARED_WITH_ALL)) throw notAKey("a public key");
    return shared;
  }

  /** Checks that somebody can have the secret of `publicKey`. @throws RpcError invalid-argument. */
  check(publicKey: Uint8Array): void {
    this.shared(publicKey);
  }
}

function notAKey(what: string): RpcError {
  return invalidArgument(`this is not ${what}: a key of X25519 is ${KEY_BYTES} bytes, and not any`);
}

/** Bytes as a key of a table. */
export function hex(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += byte.toString(16).padStart(2, "0");
  return text;
}
