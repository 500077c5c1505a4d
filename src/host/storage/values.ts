// Role: values of an object to the bytes that are stored, and back.
// State: none. Must not know: where they are stored.

import { type ErrorPolicy, RpcError } from "../../base/errors.js";
import {
  decodeValue,
  type EncodeOptions,
  encodeValue,
  type ReferenceSink,
  type ReferenceSource,
  type ValueTypes,
} from "../../cap/dynamic/values/index.js";
import { DEFAULT_VALUE_LIMITS, type ValueLimits } from "../../cap/dynamic/values/index.js";
import type { Bytes } from "./store.js";

/**
 * What goes by reference in a stored value: who may keep it, and gives it back. By default nobody does, and it is refused
 * with its path.
 */
export interface StoredReferences {
  /** Asked for each reference in a value that is to be stored. */
  readonly sink: ReferenceSink;
  /** Asked for each reference in a value that is read. */
  readonly source: ReferenceSource;
}

export const NO_STORED_REFERENCES: StoredReferences = {
  sink: { reference: () => undefined },
  source: {
    revive() {
      throw new RpcError(
        "failed",
        "storage-corrupt",
        "a stored value has references, and nobody knows them",
      );
    },
  },
};

/** Nobody else reads them. */
const WHOLE_ERRORS: ErrorPolicy = { sendTrace: true, redact: null };

/** How the values of one object are stored. */
export class ValueCodecs {
  private readonly types: ValueTypes | undefined;
  private readonly references: StoredReferences;
  private readonly limits: ValueLimits;

  /** @param bytes the most that one value may have. */
  constructor(types: ValueTypes | undefined, references: StoredReferences, bytes: number) {
    this.types = types;
    this.references = references;
    this.limits = { ...DEFAULT_VALUE_LIMITS, bytes };
  }

  /**
   * @param root what the path of a refusal begins with.
   * @throws RpcError unstorable-value with the path of what cannot be stored; limit-exceeded.
   */
  encode(value: unknown, root: string): Bytes {
    const { types, limits } = this;
    const options: EncodeOptions = { root, purpose: "stored", limits, errors: WHOLE_ERRORS };
    return encodeValue(
      value,
      this.references.sink,
      types === undefined ? options : { ...options, types },
    );
  }

  /** @throws RpcError storage-corrupt when the bytes are no value; what a codec of the user's throws. */
  decode(bytes: Bytes): unknown {
    const { types } = this;
    try {
      return decodeValue(
        bytes,
        this.references.source,
        this.limits,
        types === undefined ? undefined : { types },
      );
    } catch (thrown) {
      const error = RpcError.from(thrown);
      if (error.code !== "invalid-payload" || error.cause !== undefined) throw error;
      throw new RpcError(
        "failed",
        "storage-corrupt",
        `a stored value is damaged: ${error.message}`,
        {
          cause: error,
        },
      );
    }
  }
}
