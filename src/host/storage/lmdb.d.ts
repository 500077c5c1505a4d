// What this project uses of lmdb, whose own types do not compile for an ES module. `paths` in tsconfig.json leads here.

export interface DatabaseRange {
  readonly start: Uint8Array;
  readonly end: Uint8Array;
  readonly reverse?: boolean;
  readonly limit?: number;
  readonly exclusiveStart?: boolean;
  readonly inclusiveEnd?: boolean;
}

export interface Database {
  get(key: Uint8Array): Uint8Array | undefined;
  getRange(options: DatabaseRange): Iterable<{ key: Uint8Array; value: Uint8Array }>;
  getKeys(options: DatabaseRange): Iterable<Uint8Array>;
  put(key: Uint8Array, value: Uint8Array): Promise<boolean>;
  remove(key: Uint8Array): Promise<boolean>;
  batch(action: () => void): Promise<boolean>;
  transaction(action: () => void): Promise<void>;
  /** The next read begins another view of what there is. */
  resetReadTxn(): void;
  readonly committed: PromiseLike<unknown>;
  readonly flushed: PromiseLike<unknown>;
  close(): Promise<void>;
}

export function open(options: {
  readonly path: string;
  readonly pageSize: number;
  readonly noSubdir: boolean;
  readonly encoding: "binary";
  readonly keyEncoding: "binary";
  readonly cache: boolean;
  readonly eventTurnBatching: boolean;
  readonly permissionsMode: number;
}): Database;
