// Comparison of values that forgives nothing. Runs on every runtime, so it imports nothing.

/**
 * Where two values differ; null when they are the same: -0 is not 0, a hole is not undefined, prototypes, names and their
 * order count, and so does which parts are one object.
 */
export function difference(a: unknown, b: unknown): string | null {
  const there = new Map<object, object>();
  const back = new Map<object, object>();
  const compare = (a: unknown, b: unknown, path: string): string | null => {
    if (!isObject(a) || !isObject(b))
      return Object.is(a, b) ? null : `${path}: ${show(a)} is not ${show(b)}`;
    if (there.has(a) || back.has(b))
      return there.get(a) === b && back.get(b) === a ? null : `${path}: shared otherwise`;
    there.set(a, b);
    back.set(b, a);
    if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `${path}: other prototype`;
    const [slotsA, slotsB] = [slots(a), slots(b)];
    if (slotsA.length !== slotsB.length)
      return `${path}: ${slotsA.length} or ${slotsB.length} slots`;
    for (let i = 0; i < slotsA.length; i++) {
      const found = compare(slotsA[i], slotsB[i], `${path}<${i}>`);
      if (found !== null) return found;
    }
    const [namesA, namesB] = [names(a), names(b)];
    if (namesA.join("\0") !== namesB.join("\0"))
      return `${path}: has ${namesA.join()} and not ${namesB.join()}`;
    for (const name of namesA) {
      const [x, y] = [a, b].map((o) => Object.getOwnPropertyDescriptor(o, name)!);
      const found = compare(x!.value, y!.value, `${path}.${name}`);
      if (found !== null) return found;
      if (x!.get !== undefined || y!.get !== undefined) return `${path}.${name}: has a getter`;
      if (x!.enumerable !== y!.enumerable) return `${path}.${name}: listed or not`;
    }
    return null;
  };
  return compare(a, b, "value");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function show(value: unknown): string {
  return Object.is(value, -0) ? "-0" : `${typeof value} ${String(value)}`;
}

function names(value: object): string[] {
  if (ArrayBuffer.isView(value) || Object.prototype.toString.call(value) === "[object String]")
    return [];
  return Object.getOwnPropertyNames(value).filter((name) => name !== "stack");
}

/** What is in an object beside its properties. */
function slots(value: object): unknown[] {
  if (value instanceof Date) return [value.getTime()];
  if (value instanceof RegExp) return [value.source, value.flags];
  if (value instanceof Map) return [...value].flat(1);
  if (value instanceof Set) return [...value];
  if (value instanceof ArrayBuffer) {
    const { resizable, maxByteLength } = value as { resizable?: boolean; maxByteLength?: number };
    return [...new Uint8Array(value), resizable, maxByteLength];
  }
  if (ArrayBuffer.isView(value)) {
    const { length } = value as unknown as { length?: number };
    return [value.buffer, value.byteOffset, value.byteLength, length];
  }
  for (const type of [Number, String, Boolean, BigInt] as const)
    if (value instanceof (type as unknown as NumberConstructor)) return [value.valueOf()];
  if (value instanceof URL) return [value.href];
  return [];
}
