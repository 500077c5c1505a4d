// Role: a stub of a service or a durable object that workerd sent as a value: bytes that only workerd understands.
// State: those. Must not know: what is in them.

let bytesIn: (token: ServiceToken) => Uint8Array;

/**
 * A stub of a service or a durable object, as workerd sends it in a value: a token that it alone understands, and not for long.
 * It can be given back to workerd, where it arrives as the stub. To call what it stands for, call it through the promise of
 * the result that it comes in.
 */
export class ServiceToken {
  readonly #bytes: Uint8Array;

  static {
    bytesIn = (token) => token.#bytes;
  }

  /** @internal */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
}

export function tokenOf(token: ServiceToken): Uint8Array {
  return bytesIn(token);
}
