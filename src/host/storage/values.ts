// Role: values of an object to the bytes that are stored, and back.
// State: none. Must not know: where they are stored.

import { type ErrorPolicy, RpcError } from "../../base/errors.js";
import {
  decodeValue,
  type EncodeOptions,
  encodeValue,
  type ReferenceSink,
  type ReferenceSource,
  type Refusal,
  type ValueTypes,
} from "../../cap/dynamic/values/index.js";
import { DEFAULT_VALUE_LIMITS, type ValueLimits } from "../../cap/dynamic/values/index.js";
import type { Bytes } from "./store.js";

/** The first byte of a stored value that has references beside it. No other value begins with it. */
export const WITH_REFERENCES = 0xc7;

/** The references of one value that is being stored. */
export interface Storing extends ReferenceSink {
  /** @param value as the value codec gave it. @returns what is stored: that, behind its references where it has any. */
  finish(value: Bytes): Bytes;
}

/**
 * What goes by reference in a stored value: who may keep it, and gives it back. By default nobody does, and it is refused
 * with its path.
 */
export interface StoredReferences {
  storing(): Storing;
  /** @param bytes that begin with {@link WITH_REFERENCES}. @throws RpcError storage-corrupt */
  reading(bytes: Bytes): { readonly value: Bytes; readonly source: ReferenceSource };
}

const NONE_HERE: ReferenceSource = {
  revive() {
    throw new RpcError(
      "failed",
      "storage-corrupt",
      "a stored value has references, and nobody knows them",
    );
  },
};
const NONE: Storing = { reference: () => undefined, finish: (value) => value };

export const NO_STORED_REFERENCES: StoredReferences = {
  storing: () => NONE,
  reading: (value) => ({ value, source: NONE_HERE }),
};

/** Nobody else reads them. */
const WHOLE_ERRORS: ErrorPolicy = { sendTrace: true, redact: null };

/** Of a value that is stored. */
const STORED: Refusal = {
  purpose: "stored",
  code: "unstorable-value",
  why: (value, name) =>
    typeof value === "function" || value instanceof Promise
      ? `it is a ${typeof value === "function" ? "function or a stub" : "promise"}, which lives only as long as this process`
      : `it is ${name}: register a codec for its class, or store a plain object with what is to be kept`,
};

/** How the values of one object are stored. */
export class ValueCodecs {
  private readonly types: ValueTypes | undefined;
  private readonly references: StoredReferences;
  private readonly limits: ValueLimits;

  /** @param bytes the most that one value may have. */
  constructor(
    types: ValueTypes | undefined,
    references: StoredReferences,
    bytes: number,
    limits: ValueLimits = { ...DEFAULT_VALUE_LIMITS, bytes },
  ) {
    this.types = types;
    this.references = references;
    this.limits = limits;
  }

  /**
   * @param root what the path of a refusal begins with.
   * @throws RpcError unstorable-value with the path of what cannot be stored; limit-exceeded.
   */
  encode(value: unknown, root: string): Bytes {
    const { types, limits } = this;
    const options: EncodeOptions = { root, refusal: STORED, limits, errors: WHOLE_ERRORS };
    const storing = this.references.storing();
    const bytes = encodeValue(
      value,
      storing,
      types === undefined ? options : { ...options, types },
    );
    const stored = storing.finish(bytes);
    if (stored === bytes || stored.length <= limits.bytes) return stored;
    const message = `${root} is over its limit with its references: bytes is ${limits.bytes}`;
    throw new RpcError("overloaded", "limit-exceeded", message);
  }

  /** The same for another object, whose references are other ones. */
  with(references: StoredReferences): ValueCodecs {
    return new ValueCodecs(this.types, references, this.limits.bytes, this.limits);
  }

  /** @throws RpcError storage-corrupt when the bytes are no value; what a codec of the user's throws. */
  decode(bytes: Bytes): unknown {
    const { types } = this;
    try {
      const options = types === undefined ? undefined : { types };
      if (bytes[0] !== WITH_REFERENCES) return decodeValue(bytes, NONE_HERE, this.limits, options);
      const { value, source } = this.references.reading(bytes);
      return decodeValue(value, source, this.limits, options);
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
