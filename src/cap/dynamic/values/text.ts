// Role: whether a string is well-formed Unicode, and so has a UTF-8 form.
// State: none. Must not know: the format.

const LONE_SURROGATE = /\p{Surrogate}/u;
const text = String.prototype as { isWellFormed?: () => boolean };
const native = text.isWellFormed;

/** Whether no surrogate stands alone. Older browsers lack the method of this name. */
export const isWellFormed: (value: string) => boolean =
  native === undefined ? (value) => !LONE_SURROGATE.test(value) : (value) => native.call(value);
