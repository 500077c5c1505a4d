// Shorthands for a round trip, and a comparison of values that forgives nothing.

import {
  decodeValue,
  DEFAULT_VALUE_LIMITS,
  encodeValue,
  type EncodeOptions,
  type ReferenceSink,
  type ReferenceSource,
  type ValueLimits,
  type ValueTypes,
} from "../../../src/cap/dynamic/values/index.js";

export { difference } from "../../support/difference.js";

export const NO_REFS: ReferenceSink & ReferenceSource = {
  reference: () => undefined,
  revive: () => {
    throw new Error("nothing goes by reference here");
  },
};

export function roundTrip(value: unknown, options?: EncodeOptions): unknown {
  const bytes = encodeValue(value, NO_REFS, options);
  const types = options?.types;
  return decodeValue(bytes, NO_REFS, options?.limits, types === undefined ? {} : { types });
}

export function limits(changes: Partial<ValueLimits>): ValueLimits {
  return { ...DEFAULT_VALUE_LIMITS, ...changes };
}

/** A sink that takes everything, and the source that gives the same objects back. */
export class Table implements ReferenceSink, ReferenceSource {
  readonly objects: object[] = [];
  readonly paths: string[] = [];
  reference(value: object, path: string): { kind: number; index: number } {
    this.paths.push(path);
    return { kind: 3, index: this.objects.push(value) - 1 };
  }
  revive(kind: number, index: number): unknown {
    if (kind !== 3) throw new Error("another kind");
    return this.objects[index];
  }
  roundTrip(value: unknown, types?: ValueTypes): unknown {
    const bytes = encodeValue(value, this, types === undefined ? {} : { types });
    return decodeValue(bytes, this, undefined, types === undefined ? {} : { types });
  }
}
