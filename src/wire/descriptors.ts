// Role: the numbers of rpc.capnp's unions, and Descriptors, the reused scratch for one capability table.
// State: the scratch. Must not know: hooks, exports or imports.

/** Tags of the union `Message`. */
export const MessageTag = {
  unimplemented: 0,
  abort: 1,
  call: 2,
  return: 3,
  finish: 4,
  resolve: 5,
  release: 6,
  obsoleteSave: 7,
  bootstrap: 8,
  obsoleteDelete: 9,
  provide: 10,
  accept: 11,
  join: 12,
  disembargo: 13,
  thirdPartyAnswer: 14,
} as const;

/** Tags of the union `CapDescriptor`. */
export const DescriptorKind = {
  none: 0,
  senderHosted: 1,
  senderPromise: 2,
  receiverHosted: 3,
  receiverAnswer: 4,
  thirdPartyHosted: 5,
} as const;

/** Tags of the union `MessageTarget`. */
export const TargetKind = { importedCap: 0, promisedAnswer: 1 } as const;

/** Tags of the union in `Return`. */
export const ReturnTag = {
  results: 0,
  exception: 1,
  canceled: 2,
  resultsSentElsewhere: 3,
  takeFromOtherQuestion: 4,
  awaitFromThirdParty: 5,
} as const;

/** Tags of the union in `Resolve`. */
export const ResolveTag = { cap: 0, exception: 1 } as const;

/** Tags of `Disembargo.context`. */
export const ContextTag = { senderLoopback: 0, receiverLoopback: 1, accept: 2 } as const;

/** Tags of `Call.sendResultsTo`. */
export const SendResultsTo = { caller: 0, yourself: 1, thirdParty: 2 } as const;

/** Bits of the `flags` argument of {@link MessageWriter.call}: the three booleans of `Call`. */
export const CallFlag = {
  allowThirdPartyTailCall: 1,
  noPromisePipelining: 2,
  onlyPromisePipeline: 4,
} as const;

/** The one path without steps, shared so that it can be compared by identity. */
export const EMPTY_PATH: readonly number[] = Object.freeze([]);

/**
 * A capability table being built or read: three parallel arrays, filled again for every message.
 *
 * @example descriptors.reset(); descriptors.add(DescriptorKind.senderHosted, exportId, EMPTY_PATH);
 *
 * Source: rpc.capnp `CapDescriptor`.
 */
export class Descriptors {
  count = 0;
  /** The raw tag; see {@link DescriptorKind}. */
  readonly kind: number[] = [];
  /** The id of kinds 1 to 3, the question id of receiverAnswer, the vine id of thirdPartyHosted. */
  readonly id: number[] = [];
  /** Of receiverAnswer: pointer indexes from the answer's root to the capability. */
  readonly path: (readonly number[])[] = [];
  /** What is said of the capability beside, between vats that trust each other; see hook/identities.ts. Most say nothing. */
  readonly identity: (Uint8Array | null)[] = [];
  /** Whether anything is said of any. */
  identified = false;

  reset(): void {
    this.count = 0;
    this.identified = false;
  }

  add(kind: number, id: number, path: readonly number[], identity: Uint8Array | null = null): void {
    const i = this.count++;
    this.kind[i] = kind;
    this.id[i] = id;
    this.path[i] = path;
    this.identity[i] = identity;
    if (identity !== null) this.identified = true;
  }
}

/** No capabilities. Never add to it. */
export const NO_DESCRIPTORS: Descriptors = new Descriptors();
