// What goes by reference, and the classes that a user registered.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../../src/base/errors.js";
import { decodeValue, encodeValue, ValueTypes } from "../../../src/cap/dynamic/values/index.js";
import { Money, OutOfStock, TYPES } from "../classes.js";
import { difference, NO_REFS, roundTrip, Table } from "./help.js";

class Target {}

describe("references", () => {
  it("each object is asked for once, with its path, and arrives as one", () => {
    const table = new Table();
    const target = new Target();
    const call = (): number => 1;
    const value = {
      a: [target, call],
      b: new Map([[target, call]]),
      c: new Error("x", { cause: call }),
    };
    const arrived = table.roundTrip(value) as typeof value;
    expect(table.objects).toEqual([target, call]);
    expect(table.paths).toEqual(["value.a[0]", "value.a[1]"]);
    expect(arrived.a[0]).toBe(target);
    expect(arrived.b.get(target)).toBe(call);
    expect(arrived.c.cause).toBe(call);
  });

  it("a source that makes a new object is asked once for each", () => {
    const table = new Table();
    const target = new Target();
    const bytes = encodeValue([target, target, new Target()], table);
    let asked = 0;
    const value = decodeValue(bytes, {
      revive: (kind, index) => ({ asked: ++asked, kind, index }),
    });
    expect(asked).toBe(2);
    expect((value as unknown[])[0]).toBe((value as unknown[])[1]);
    expect((value as unknown[])[2]).toEqual({ asked: 2, kind: 3, index: 1 });
  });

  it("nothing of a function or instance is touched before the sink has it", () => {
    const touchy = new Proxy(function () {}, {
      get: () => {
        throw new Error("touched");
      },
      getPrototypeOf: () => {
        throw new Error("touched");
      },
    });
    const table = new Table();
    expect((table.roundTrip([touchy]) as unknown[])[0] === touchy).toBe(true);
  });

  it("streams, signals and Blobs go by reference", () => {
    const table = new Table();
    const objects = [
      new ReadableStream(),
      new WritableStream(),
      AbortSignal.abort(),
      new Blob(["x"]),
      Promise.resolve(1),
    ];
    expect(difference(table.roundTrip(objects), objects)).toBeNull();
    expect(table.objects).toEqual(objects);
  });

  it("an error of the source passes if it is an RpcError, and is a cause if not", () => {
    const bytes = encodeValue([new Target()], new Table());
    const own = new RpcError("failed", "invalid-capability", "no such slot");
    expect(() =>
      decodeValue(bytes, {
        revive: () => {
          throw own;
        },
      }),
    ).toThrow(own);
    expect(() => decodeValue(bytes, NO_REFS)).toThrow(
      expect.objectContaining({
        code: "invalid-payload",
        cause: new Error("nothing goes by reference here"),
      }),
    );
  });
});

describe("fetch", () => {
  it("URL and Headers", () => {
    const url = new URL("https://user@example.com:81/a?b#c");
    const headers = new Headers([
      ["x", "1"],
      ["set-cookie", "a=1"],
      ["set-cookie", "b=2"],
    ]);
    const arrived = roundTrip([url, headers, url]) as [URL, Headers, URL];
    expect(arrived[0]).toBeInstanceOf(URL);
    expect(arrived[0].href).toBe(url.href);
    expect(arrived[2]).toBe(arrived[0]);
    expect([...arrived[1]]).toEqual([...headers]);
    expect(arrived[1].getSetCookie()).toEqual(["a=1", "b=2"]);
  });

  it("Response, its body by reference", async () => {
    const table = new Table();
    const response = new Response("hello", { status: 404, statusText: "no", headers: { x: "1" } });
    const arrived = table.roundTrip({ response }) as { response: Response };
    expect(table.paths).toEqual(["value.response.body"]);
    expect(arrived.response).toMatchObject({ status: 404, statusText: "no" });
    expect(arrived.response.headers.get("x")).toBe("1");
    expect(await arrived.response.text()).toBe("hello");
    const empty = roundTrip(new Response(null, { status: 204 })) as Response;
    expect([empty.status, empty.body]).toEqual([204, null]);
  });

  it("Request, its body by reference", async () => {
    const table = new Table();
    const request = new Request("https://example.com/a", {
      method: "PUT",
      body: "hello",
      headers: { x: "1" },
      redirect: "manual",
      cache: "no-store",
    });
    const arrived = table.roundTrip(request) as Request;
    expect(arrived).toMatchObject({
      url: request.url,
      method: "PUT",
      redirect: "manual",
      cache: "no-store",
    });
    expect(arrived.headers.get("x")).toBe("1");
    expect(await arrived.text()).toBe("hello");
    expect(roundTrip(new Request("https://example.com/"))).toMatchObject({
      method: "GET",
      body: null,
    });
  });
});

describe("registered classes", () => {
  it("objects with a codec arrive as such, shared ones as one", () => {
    const money = new Money(3n);
    const arrived = roundTrip({ a: money, b: [money] }, { types: TYPES }) as {
      a: Money;
      b: [Money];
    };
    expect(arrived.a).toBeInstanceOf(Money);
    expect(arrived.a.cents).toBe(3n);
    expect(arrived.b[0]).toBe(arrived.a);
    class Gold extends Money {}
    expect(() => roundTrip(new Gold(1n), { types: TYPES })).toThrow("instance of Gold");
  });

  it("errors of a registered class arrive as such, elsewhere as the standard one below", () => {
    const arrived = roundTrip(new OutOfStock("tea"), { types: TYPES }) as OutOfStock;
    expect(arrived).toBeInstanceOf(OutOfStock);
    expect(arrived).toMatchObject({ message: "no tea left", item: "tea" });
    const bytes = encodeValue(new OutOfStock("tea"), NO_REFS, { types: TYPES });
    const stranger = decodeValue(bytes, NO_REFS) as RangeError & { item: string };
    expect(Object.getPrototypeOf(stranger)).toBe(RangeError.prototype);
    expect(stranger.item).toBe("tea");
  });

  it("a name that nobody registered, and a codec that throws", () => {
    const bytes = encodeValue(new Money(3n), NO_REFS, { types: TYPES });
    expect(() => decodeValue(bytes, NO_REFS)).toThrow('no codec is registered here for "Money"');
    const cause = new TypeError("no");
    const picky = new ValueTypes({
      codecs: [
        {
          name: "Money",
          class: Money,
          encode: () => 1,
          decode: () => {
            throw cause;
          },
        },
      ],
    });
    expect(() => decodeValue(bytes, NO_REFS, undefined, { types: picky })).toThrow(
      expect.objectContaining({ code: "invalid-payload", cause }),
    );
  });
});
