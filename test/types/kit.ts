// What type tests are written with. Never run: a case holds when tsc accepts it, or, behind @ts-expect-error, does not.

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/**
 * One accepted case: `value` has the type `Expected`, and no other.
 *
 * @example is<number>()(await api.add(1));
 */
export declare function is<Expected>(): <Actual>(
  value: Actual,
  ...wrong: Same<Actual, Expected> extends true ? [] : [expected: Expected, not: Actual]
) => void;

/** One accepted case: `value` may be used as an `Expected`. */
export declare function fits<Expected>(value: Expected): void;
