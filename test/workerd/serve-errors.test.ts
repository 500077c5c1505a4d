// What callers over the bridge are told of errors, and of arguments that do not pass.

import { describe, expect, it } from "vitest";
import {
  captureErrorStacks,
  RpcError,
  RpcStub,
  RpcTarget,
  validateMethods,
} from "../../src/node.js";
import { connectWorker, serveWorkerd, type ServeWorkerdOptions } from "../../src/workerd.node.js";
import { cleaningUp } from "../support/residue.js";

class SqlError extends Error {
  override readonly name = "SqlError";
  readonly query = "select secret from table";
  readonly public = "yes";
}

class Api extends RpcTarget {
  rename(name: string): string {
    return `renamed to ${name}`;
  }
  count(): number {
    return "no number" as unknown as number;
  }
  fails(): never {
    throw new SqlError("secret message", { cause: new TypeError("secret cause") });
  }
  throwsObject(): never {
    // oxlint-disable-next-line no-throw-literal -- it is allowed, so it happens
    throw { secret: true };
  }
  returnsError(): Error {
    return new SqlError("secret value");
  }
  async throughStub(): Promise<void> {
    using stub = new RpcStub(this);
    await stub.fails();
  }
  failsAfterCall(): never {
    const details = [{ id: 1n, data: Uint8Array.of(1) }];
    throw new RpcError("overloaded", "queue-full", "busy", { details, method: "secret.method" });
  }
}

validateMethods(Api, {
  rename: {
    params: schema(
      (args) => Array.isArray(args) && args.length === 1 && typeof args[0] === "string",
    ),
  },
  count: { result: schema((value) => typeof value === "number") },
});

function schema<T>(passes: (value: unknown) => boolean): never {
  return {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: T) => (passes(value) ? { value } : { issues: [{ message: "no" }] }),
    },
  } as never;
}

describe("over the bridge", () => {
  const cleanUp = cleaningUp();

  async function begin(options: Partial<ServeWorkerdOptions> = {}): Promise<RpcStub<Api>> {
    const listener = await serveWorkerd("tcp://:0", { entrypoint: new Api(), ...options });
    cleanUp(() => listener.close());
    const socket = await connectWorker<Api>(listener.url, "rpc.test");
    cleanUp(() => socket.close());
    return socket.entrypoint;
  }

  async function failure(promise: PromiseLike<unknown>): Promise<RpcError> {
    const error = await promise.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    if (error instanceof RpcError) return error;
    throw new Error(`it did not fail, or with ${String(error)}`);
  }

  /** All that can be seen of an error. */
  const seen = (error: RpcError): string =>
    JSON.stringify([error.message, error.trace, all(error.cause)]) +
    error.details.map(({ data }) => Buffer.from(data).toString("latin1")).join();

  function all(value: unknown): unknown {
    if (!(value instanceof Error)) return value;
    const { name, message, stack, cause, ...own } = value;
    return { name, message, stack, cause: all(cause), own };
  }

  it("arguments and results are validated", async () => {
    const api = await begin();
    expect(await api.rename("a")).toBe("renamed to a");
    for (const bad of [5, null, { secret: 1 }])
      expect(await failure(api.rename(bad as unknown as string))).toMatchObject({
        message: "validation failed at args",
      });
    expect(await failure(api.count())).toMatchObject({ message: "validation failed at result" });
  });

  it("errors are told with their class, message, properties and cause, and without stacks", async () => {
    captureErrorStacks(true);
    cleanUp(() => captureErrorStacks(false));
    const api = await begin();
    for (const error of [await failure(api.fails()), await failure(api.throughStub())]) {
      expect(error.message).toBe("secret message");
      expect(error.cause).toMatchObject({
        name: "SqlError",
        query: "select secret from table",
        cause: { name: "TypeError", message: "secret cause" },
      });
      expect(seen(error)).not.toMatch(/\.ts|node:/);
    }
    const busy = await failure(api.failsAfterCall());
    expect(busy).toMatchObject({ type: "overloaded", message: "busy" });
    expect(Object.keys(busy.cause as object).sort()).toEqual(["code", "type"]);
    expect(await api.returnsError()).toMatchObject({ name: "SqlError", message: "secret value" });
  });

  it("errors are told with their stacks to whom that is meant for", async () => {
    const api = await begin({ sendTrace: true });
    expect((await failure(api.fails())).cause).toMatchObject({
      stack: expect.stringMatching(/serve-errors\.test/),
    });
  });

  it("errors are told as the redactor has it, everything that is in them", async () => {
    const api = await begin({
      redactError: ({ cause, code }) => {
        if (code === "method-unimplemented") return {};
        if (cause instanceof SqlError) return { message: "a query failed", properties: ["public"] };
        return null;
      },
    });
    for (const call of [api.fails(), api.throughStub()]) {
      const error = await failure(call);
      expect(error.message).toBe("a query failed");
      expect(error.cause).toMatchObject({
        name: "SqlError",
        message: "a query failed",
        public: "yes",
      });
      expect(seen(error)).not.toMatch(/secret/);
    }
    const object = await failure(api.throwsObject());
    expect(object.message).toBe("the reason is not for this peer");
    expect(seen(object)).not.toMatch(/secret/);
    const value = await api.returnsError();
    expect(value).toMatchObject({ message: "a query failed", public: "yes" });
    expect(value).not.toHaveProperty("query");
    // What the bridge itself says is asked for, too.
    expect(
      await failure((api as unknown as { missing(): Promise<never> }).missing()),
    ).toMatchObject({ message: /missing/ });
  });
});
