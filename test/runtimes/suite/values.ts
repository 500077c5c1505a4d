// Values that go there and come back the same. Every kind is tested in test/dynamic/values; here, that each runtime's own
// classes are read and made.

import { equal, ok, scenario } from "../harness.js";

const it = scenario("values");

const VALUES: Record<string, () => unknown> = {
  "numbers, to the last bit": () => [0, -0, 1, -1, 2 ** 31, 2 ** 53, 0.1, 5e-324, NaN, -Infinity],
  bigints: () => [0n, -1n, 2n ** 63n, -(2n ** 64n), 3n ** 999n],
  "strings, lone surrogates too": () => ["", "é日本😀\0", "\ud800", "x".repeat(70_000)],
  "undefined and null, anywhere": () => [undefined, null, { a: undefined }],
  holes: () => Object.assign(new Array<unknown>(4), { 2: 1 }),
  dates: () => [new Date(1234567890123), new Date(NaN)],
  "regular expressions": () => [/a[/]b\n/giu, /x/],
  "maps and sets": () => new Map<unknown, unknown>([[{ a: 1 }, new Set([1, "1", NaN])]]),
  "typed arrays and views on one buffer": () => {
    const { buffer } = Uint8Array.from({ length: 64 }, (_, i) => i);
    return [
      new Uint8Array(buffer, 2),
      new Int16Array(buffer, 2, 4),
      new Float64Array(buffer, 8, 2),
      new BigUint64Array(buffer),
      new DataView(buffer, 3, 5),
      buffer,
    ];
  },
  errors: () => [
    new Error("a", { cause: { why: 1 } }),
    new RangeError("b"),
    new AggregateError([new TypeError("c")], "d"),
  ],
  "names of prototypes": () =>
    JSON.parse('{"__proto__":{"x":1},"constructor":2,"then":3}') as object,
  "shared and cyclic parts": () => {
    const shared = { a: 1 };
    const all: unknown[] = [shared, { shared }];
    all.push(all);
    return all;
  },
  "deep nesting": () => {
    let value: unknown = 1;
    for (let i = 0; i < 60; i++) value = { value };
    return value;
  },
};

for (const [name, make] of Object.entries(VALUES))
  it(name, async ({ api }) => {
    equal(await api.echo(make()), make());
    equal(await api.echo([{ deep: make() }]), [{ deep: make() }]);
  });

it("URL", async ({ api }) => {
  const url = (await api.echo(new URL("https://example.org/a?b#c"))) as URL;
  ok(url instanceof URL, "it is a URL");
  equal(url.href, "https://example.org/a?b#c");
});

it("Headers, Request and Response without bodies", async ({ api }) => {
  const headers = new Headers([["x-a", "1"]]);
  const request = new Request("https://example.org/x", { method: "POST", headers });
  const response = new Response(null, { status: 204, headers });
  const back = (await api.echo([headers, request, response])) as [Headers, Request, Response];
  ok(back[0] instanceof Headers && back[1] instanceof Request, "they are what they were");
  ok(back[2] instanceof Response, "it is a Response");
  equal(back[0].get("x-a"), "1");
  equal([back[1].url, back[1].method], ["https://example.org/x", "POST"]);
  equal(back[1].headers.get("x-a"), "1");
  equal([back[2].status, back[2].headers.get("x-a")], [204, "1"]);
});

it("DOMException", async ({ api }) => {
  const back = (await api.echo(new DOMException("stop", "AbortError"))) as DOMException;
  ok(back instanceof DOMException, "it is a DOMException");
  equal([back.message, back.name, back.code], ["stop", "AbortError", 20]);
});
