// The classes of fetch as values: nobody loads them who has none, and what the platform makes is known whatever a program has
// put in their place.

import { afterEach, describe, expect, it, vi } from "vitest";
import { encodeValue } from "../../../src/cap/dynamic/values/index.js";
import { NO_REFS, roundTrip } from "./help.js";

const NAMES = ["Headers", "Request", "Response"] as const;
const before = NAMES.map((name) => Object.getOwnPropertyDescriptor(globalThis, name)!);

afterEach(() => {
  NAMES.forEach((name, i) => Object.defineProperty(globalThis, name, before[i]!));
});

describe("the classes of fetch", () => {
  it("are not loaded with the library, which in Node would take over a megabyte, but by the first that is sent", async () => {
    const headers = new Headers({ a: "b" });
    const touched = new Set<string>();
    const classes = NAMES.map((name) => globalThis[name]);
    NAMES.forEach((name, i) =>
      Object.defineProperty(globalThis, name, {
        configurable: true,
        get() {
          touched.add(name);
          return classes[i];
        },
      }),
    );
    vi.resetModules();
    const fresh = await import("../../../src/node.js");
    const values = await import("../../../src/cap/dynamic/values/index.js");
    expect(fresh.RpcStub).toBeTypeOf("function");
    values.encodeValue([new Date(), new Map(), new URL("http://x/"), new Uint8Array(3)], NO_REFS);
    expect([...touched]).toEqual([]);
    values.encodeValue([headers], NO_REFS);
    expect([...touched]).toEqual(["Headers"]);
  });

  it("are known by what the platform made of them when a program has others on top of them in their place", () => {
    const platform = new Response(null, { status: 204 });
    class Extended extends Response {}
    Object.defineProperty(globalThis, "Response", { configurable: true, value: Extended });
    expect((roundTrip(platform) as Response).status).toBe(204);
  });

  it("are not what only has the tag of one", () => {
    class Forged {
      get [Symbol.toStringTag](): string {
        return "Response";
      }
      readonly status = 200;
    }
    for (const tag of ["constructor", "Response", 3]) {
      Object.defineProperty(Forged.prototype, Symbol.toStringTag, {
        configurable: true,
        value: tag,
      });
      expect(() => encodeValue([new Forged()], NO_REFS)).toThrow(/instance of Forged/);
    }
  });
});
