// The null capability in a message that is built. C++ reads a pointer to a table entry of kind `none` as an error ("Message
// contains invalid capability pointer"), so a null client that was passed on broke its reader.

import { expect, it } from "vitest";
import { AnyPointer } from "../../src/cap/typed/runtime/any.js";
import { openBuilder } from "../../src/cap/typed/runtime/builder.js";
import { Client } from "../../src/cap/typed/runtime/client.js";
import { copyPointer } from "../../src/cap/typed/runtime/copy.js";
import { PromiseHook, Scheduler } from "../../src/index.js";
import { nullHook } from "../../src/hook/results.js";

const scheduler = new Scheduler();

it("is a null pointer, and takes no entry of the table", () => {
  for (const giving of [false, true]) {
    const promise = new PromiseHook(scheduler);
    promise.resolve(nullHook(scheduler));
    for (const hook of [nullHook(scheduler), promise]) {
      const client = new Client(hook);
      const builder = openBuilder(scheduler, giving);
      AnyPointer._capnp.write(builder.segment, 0, client);
      expect(AnyPointer._capnp.read(builder.segment, 0).isNull).toBe(true);
      expect(builder.payload().caps).toEqual([]);
      builder.close();
      client[Symbol.dispose]();
      expect(hook.refCount).toBe(0);
    }
  }
});

it("stays one when it is copied from message to message", () => {
  const from = openBuilder(scheduler, false);
  const target = new PromiseHook(scheduler);
  const client = new Client(target);
  AnyPointer._capnp.write(from.segment, 0, client);
  target.resolve(nullHook(scheduler)); // null only after it was put there
  const to = openBuilder(scheduler, false);
  copyPointer(from.segment, 0, to.segment, 0);
  expect(AnyPointer._capnp.read(to.segment, 0).isNull).toBe(true);
  expect(to.payload().caps).toEqual([]);
  to.close();
  from.close();
  client[Symbol.dispose]();
  expect(target.refCount).toBe(0);
});
