// Role: Standard Schemas of methods: arguments before user code sees them, results before they are sent.
// State: which function has which schemas. Must not know: how calls arrive.

import { invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";
import type { RpcTarget } from "./target.js";

/** What Standard Schema (standardschema.dev, version 1) asks of a schema; those of Zod, Valibot and ArkType have it. */
export interface StandardSchema<Output = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => Validated<Output> | Promise<Validated<Output>>;
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined;
  };
}

type Validated<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly Issue[] };

interface Issue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The schemas of one method. */
export interface MethodSchemas {
  /** Of the list of arguments: a tuple. What it gives is what the method gets. */
  readonly params?: StandardSchema<readonly unknown[]> | undefined;
  /** Of what the method returns, or its promise gives. */
  readonly result?: StandardSchema | undefined;
}

type MethodNames<T> = {
  [K in keyof T]: T[K] extends (...args: never[]) => unknown ? K : never;
}[keyof T];

const known = /* @__PURE__ */ new WeakMap<object, MethodSchemas>();

/**
 * Has calls from afar of these methods validated: arguments before the method runs, results before they are sent. What
 * does not pass fails the call as `validation-failed`, with the path and without the value. A method of a subclass that
 * takes the place of one of these is another method.
 *
 * @param type a class that extends RpcTarget. @param methods schemas by the names of its own methods.
 * @throws RpcError invalid-argument when the class itself has no such method.
 * @example validateMethods(Api, { rename: { params: z.tuple([z.string().max(40)]), result: z.boolean() } });
 */
export function validateMethods<T extends RpcTarget>(
  type: abstract new (...args: never[]) => T,
  methods: { readonly [K in MethodNames<T>]?: MethodSchemas },
): void {
  for (const [name, schemas] of Object.entries(methods) as [string, MethodSchemas][]) {
    const method: unknown = Object.getOwnPropertyDescriptor(type.prototype, name)?.value;
    if (typeof method !== "function") {
      const message = `${type.name} has no method ${name} of its own to validate`;
      throw invalidArgument(message);
    }
    known.set(method, schemas);
  }
}

/**
 * The same for a function that is passed by reference.
 * @returns `call` itself.
 * @example api.subscribe(validateFunction((n: number) => show(n), { params: z.tuple([z.number()]) }));
 */
export function validateFunction<F extends (...args: never[]) => unknown>(
  call: F,
  schemas: MethodSchemas,
): F {
  known.set(call, schemas);
  return call;
}

export function schemasOf(method: object): MethodSchemas | undefined {
  return known.get(method);
}

/**
 * What `schema` makes of `value`, now or later.
 * @throws RpcError validation-failed; also what the promise rejects with. @param what the value is, for the message.
 */
export function validate(schema: StandardSchema, value: unknown, what: string): unknown {
  const outcome = schema["~standard"].validate(value);
  return outcome instanceof Promise
    ? outcome.then((one) => passed(one, what))
    : passed(outcome, what);
}

function passed(outcome: Validated<unknown>, what: string): unknown {
  if (outcome.issues === undefined) return outcome.value;
  const paths = outcome.issues
    .slice(0, 10)
    .map(({ path }) => what + (path ?? []).map(step).join(""));
  // Not what the schema says of it: that may show the value, which may be nobody's business.
  const message = `validation failed at ${[...new Set(paths)].join(", ")}`;
  throw new RpcError("failed", "validation-failed", message);
}

function step(part: PropertyKey | { readonly key: PropertyKey }): string {
  const key = typeof part === "object" ? part.key : part;
  return typeof key === "number" || /^\d+$/.test(String(key))
    ? `[${String(key)}]`
    : `.${String(key)}`;
}
