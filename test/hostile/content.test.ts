// Malformed params and results (C-VAL): the one call fails, on raw bytes; connection, vat and neighbours go on.

import { describe, expect, it } from "vitest";
import { limitsWith } from "../../src/base/limits.js";
import { callWith, cap, CONTENT, far, frame, list, NULL, struct, word } from "./assembler.js";
import { Victim } from "./victim.js";

const MOST = 2 ** 29 - 1;

/** [clause, what, pointer to the content, the words behind it, further segments] */
type Case = [string, string, bigint, bigint[]?, bigint[][]?];

const refused: Case[] = [
  ["C-VAL-01", "a struct that ends behind its segment", struct(1, 1, 1), [NULL]],
  ["C-VAL-01", "a struct that begins behind its segment", struct(1000, 1, 0)],
  ["C-VAL-02", "a list of bytes behind its segment", list(1, 2, 9), [NULL]],
  ["C-VAL-02", "a list of bits behind its segment", list(1, 1, 65), [NULL]],
  ["C-VAL-02", "a list of words behind its segment", list(1, 5, 2), [NULL]],
  ["C-VAL-02", "a list of pointers behind its segment", list(1, 6, 2), [NULL]],
  ["C-VAL-02", "a list of as many words as there can be", list(1, 5, MOST), [NULL]],
  ["C-VAL-02", "a composite list of as many words as there can be", list(1, 7, MOST), [NULL]],
  ["C-VAL-03", "a struct before its segment", struct(-100, 1, 0)],
  ["C-VAL-03", "a list before its segment", list(-(2 ** 29), 5, 1)],
  ["C-VAL-04", "a far pointer to a segment that is not there", far(7, 0)],
  ["C-VAL-04", "a far pointer to a segment of 2^32 - 1", far(0xffff_ffff, 0)],
  ["C-VAL-04", "a landing pad behind its segment", far(1, 5), [], [[NULL]]],
  ["C-VAL-05", "a landing pad that is a far pointer", far(1, 0), [], [[far(1, 1), NULL]]],
  ["C-VAL-06", "a double landing pad of one word", far(1, 0, true), [], [[far(0, 0)]]],
  [
    "C-VAL-06",
    "a double landing pad that begins with no far pointer",
    far(1, 0, true),
    [],
    [[struct(0, 1, 0), struct(0, 1, 0)]],
  ],
  [
    "C-VAL-06",
    "a double landing pad of double far pointers",
    far(1, 0, true),
    [],
    [[far(1, 0, true), struct(0, 1, 0)]],
  ],
  ["C-VAL-06", "a tag with an offset", far(1, 0, true), [], [[far(0, 0), struct(5, 1, 0)]]],
  [
    "C-VAL-06",
    "a double far pointer to content out of bounds",
    far(1, 0, true),
    [],
    [[far(0, 10_000), struct(0, 1, 0)]],
  ],
  ["C-VAL-07", "a far pointer to itself", far(0, CONTENT - 2)],
  ["C-VAL-07", "two far pointers to each other", far(0, CONTENT), [far(0, CONTENT - 2)]],
  ["C-VAL-08", "a pointer of no known kind", word(3 | 4, 0)],
  ["C-VAL-08", "one nested in a struct", struct(1, 0, 1), [word(0xffff_ffff, 1)]],
  ["C-VAL-10", "a composite list whose tag is a list", list(1, 7, 1), [list(1, 5, 1), NULL]],
  [
    "C-VAL-10",
    "a composite list of more elements than words",
    list(1, 7, 1),
    [struct(2, 1, 0), NULL],
  ],
  [
    "C-VAL-10",
    "one whose element size times count overflows 32 bits",
    list(1, 7, 1),
    [word(0x7fff_fffc, 0xffff_ffff), NULL],
  ],
  ["C-VAL-11", "a composite list of 2^29 elements of no size", list(1, 7, 0), [struct(MOST, 0, 0)]],
  ["C-VAL-12", "a list of 2^29 voids", list(1, 0, MOST)],
  ["C-VAL-14", "a struct that contains itself", struct(1, 0, 1), [struct(-1, 0, 1)]],
  ["C-VAL-14", "a list that contains itself", list(1, 6, 1), [list(-1, 6, 1)]],
  [
    "C-VAL-14",
    "two structs that contain each other",
    struct(1, 0, 1),
    [struct(0, 0, 1), struct(-2, 0, 1)],
  ],
  [
    "C-VAL-15",
    "65 structs inside each other",
    struct(1, 0, 1),
    Array.from({ length: 80 }, () => struct(0, 0, 1)),
  ],
  [
    "C-VAL-15",
    "65 lists inside each other",
    list(1, 6, 1),
    Array.from({ length: 80 }, () => list(0, 6, 1)),
  ],
];

describe("bad content fails its call and nothing else", () => {
  for (const [clause, what, pointer, content, segments] of refused)
    it(`${clause}, C-VAL-23: ${what}`, () => {
      const victim = new Victim();
      victim.send((w) => w.bootstrap(0));
      const lines = victim.push(callWith(1, pointer, content, ...(segments ?? [])));
      expect(lines).toHaveLength(1);
      expect(lines[0]).toMatch(/^return 1 exception failed "/);
      expect(victim.server.seen).toEqual([1]);
      expect(victim.push(callWith(2, NULL))).toEqual(["return 2 results noFinish"]);
      victim.unharmed();
    });

  it("C-VAL-13: a structure that unfolds beyond the traversal limit", () => {
    // 20 levels of two pointers to the next one: a million structs in 60 words.
    const levels: bigint[] = [];
    for (let i = 0; i < 20; i++) levels.push(struct(1, 0, 2), struct(0, 0, 2));
    levels.push(NULL, NULL);
    const victim = new Victim({ limits: limitsWith({ traversalWords: 10_000 }) });
    victim.send((w) => w.bootstrap(0));
    const before = performance.now();
    expect(victim.push(callWith(1, struct(1, 0, 2), levels))[0]).toMatch(
      /^return 1 exception failed "limit traversalWords/,
    );
    expect(performance.now() - before).toBeLessThan(1000);
    victim.unharmed();
  });

  const accepted: Case[] = [
    ["C-VAL-03", "the empty struct at offset -1", struct(-1, 0, 0)],
    ["C-VAL-08", "a capability pointer as the whole content", cap(0)],
    ["C-VAL-22", "a capability index that is in no table", struct(1, 0, 1), [cap(4_000_000_000)]],
    ["C-VAL-12", "a list of a thousand voids", list(1, 0, 1000)],
    [
      "C-VAL-13",
      "two pointers to one object",
      struct(1, 0, 2),
      [struct(1, 1, 0), struct(0, 1, 0), word(9)],
    ],
    [
      "C-VAL-06",
      "content in a segment of its own, by a double far pointer",
      far(1, 0, true),
      [],
      [[far(2, 0), struct(0, 1, 0)], [word(9)]],
    ],
    ["C-FRM-08", "an empty segment beside it", struct(-1, 0, 0), [], [[]]],
  ];
  for (const [clause, what, pointer, content, segments] of accepted)
    it(`${clause}: ${what} is legal`, () => {
      const victim = new Victim();
      victim.send((w) => w.bootstrap(0));
      expect(victim.push(callWith(1, pointer, content, ...(segments ?? [])))[0]).toMatch(
        /^return 1 results/,
      );
      victim.unharmed();
    });

  it("C-VAL-23: bad results fail the call that they answer", () => {
    for (const [, what, pointer, content, segments] of refused) {
      const victim = new Victim();
      const cap = victim.connection.bootstrap();
      const failures: string[] = [];
      cap
        .call({
          interfaceHi: 0,
          interfaceLo: 1,
          methodId: 0,
          flags: 0,
          returnTo: null,
          origin: null,
          params: noParams(),
        })
        .observe({
          immediate: false,
          resultsSettled(r) {
            failures.push(`${r.error?.code} ${r.error?.delivery}`);
            r.cancel();
          },
        });
      victim.mesh.drain();
      expect(victim.told()).toHaveLength(2);
      const body = callWith(0, pointer, content, ...(segments ?? []));
      // The same payload in a Return: words 3 to 8 are Return, 2d/1p, with padding where Call had more.
      const view = new DataView(body.buffer);
      const at =
        body.length - 8 * (CONTENT + (content ?? []).length + (segments ?? []).flat().length);
      const put = (i: number, w: bigint): void =>
        view.setBigUint64(at + 8 * i, BigInt.asUintN(64, w), true);
      put(1, word(3));
      put(2, struct(0, 2, 1));
      put(3, word(1, 1));
      put(4, NULL);
      put(5, struct(5, 0, 2));
      victim.push(body);
      expect(failures, what).toEqual(["invalid-payload started"]);
      expect(victim.connection.error).toBe(null);
      cap.release();
      victim.push(victim.encode((w) => w.returnException(0, false, true, boom)));
      victim.unharmed();
    }
  });
});

import { RpcError } from "../../src/base/errors.js";
import { emptyPayload } from "../../src/hook/payload.js";
const boom = new RpcError("failed", "method-failed", "x");
const noParams = emptyPayload;

/** Envelopes that cannot be understood: there is no telling what they were about, so the connection ends (C-VAL-23). */
const message = (...words: bigint[]): Uint8Array => frame(words);
const envelopes: [string, string, Uint8Array][] = [
  ["C-FRM-08", "an empty first segment", frame([], [NULL])],
  ["C-FRM-09", "a null root pointer", message(NULL)],
  ["C-FRM-09", "a root struct without data", message(struct(0, 0, 1), NULL)],
  ["C-VAL-23", "a root that is a list", message(list(0, 5, 1), NULL)],
  ["C-VAL-23", "a root that is a capability", message(cap(0))],
  ["C-VAL-23", "a root out of bounds", message(struct(10, 1, 1))],
  ["C-VAL-23", "a root that is a far pointer to nowhere", message(far(3, 0))],
  ["C-VAL-23", "a root that is a far pointer to itself", message(far(0, 0))],
  ["C-VAL-23", "a call out of bounds", message(struct(0, 1, 1), word(2), struct(9, 3, 3))],
  ["C-VAL-23", "a call that is a list", message(struct(0, 1, 1), word(2), list(0, 5, 1), NULL)],
  [
    "C-VAL-23",
    "a target out of bounds",
    message(
      struct(0, 1, 1),
      word(2),
      struct(0, 3, 3),
      word(1),
      NULL,
      NULL,
      struct(90, 1, 1),
      NULL,
      NULL,
    ),
  ],
  [
    "C-VAL-23",
    "params out of bounds",
    message(
      struct(0, 1, 1),
      word(2),
      struct(0, 3, 3),
      word(1),
      NULL,
      NULL,
      NULL,
      struct(90, 0, 2),
      NULL,
    ),
  ],
  [
    "C-VAL-23",
    "a capability table out of bounds",
    message(
      struct(0, 1, 1),
      word(2),
      struct(0, 3, 3),
      word(1),
      NULL,
      NULL,
      NULL,
      struct(1, 0, 2),
      NULL,
      NULL,
      list(0, 7, 100),
    ),
  ],
  [
    "C-VAL-10",
    "a capability table with more entries than words",
    message(
      struct(0, 1, 1),
      word(2),
      struct(0, 3, 3),
      word(1),
      NULL,
      NULL,
      NULL,
      struct(1, 0, 2),
      NULL,
      NULL,
      list(0, 7, 2),
      struct(100, 1, 1),
      NULL,
      NULL,
    ),
  ],
  [
    "C-VAL-11",
    "a capability table of 2^29 entries of no size",
    message(
      struct(0, 1, 1),
      word(2),
      struct(0, 3, 3),
      word(1),
      NULL,
      NULL,
      NULL,
      struct(1, 0, 2),
      NULL,
      NULL,
      list(0, 7, 0),
      struct(MOST, 0, 0),
    ),
  ],
  [
    "C-VAL-23",
    "a return whose exception is out of bounds",
    message(struct(0, 1, 1), word(3), struct(0, 2, 1), word(0, 1 << 16), NULL, struct(90, 1, 2)),
  ],
  [
    "C-VAL-16",
    "a reason without its final NUL",
    message(
      struct(0, 1, 1),
      word(1),
      struct(0, 1, 2),
      NULL,
      list(1, 2, 8),
      NULL,
      word(0x7878_7878, 0x7878_7878),
    ),
  ],
  [
    "C-VAL-02",
    "a reason out of bounds",
    message(struct(0, 1, 1), word(1), struct(0, 1, 2), NULL, list(1, 2, 800), NULL, NULL),
  ],
  [
    "C-VAL-17",
    "a reason that is a list of pointers",
    message(struct(0, 1, 1), word(1), struct(0, 1, 2), NULL, list(1, 6, 1), NULL, NULL),
  ],
  [
    "C-VAL-12",
    "a transform of 2^29 voids",
    message(
      struct(0, 1, 1),
      word(13),
      struct(0, 1, 2),
      NULL,
      struct(1, 1, 1),
      NULL,
      word(0, 1),
      struct(0, 1, 1),
      word(0),
      list(0, 0, MOST),
    ),
  ],
  [
    "C-VAL-23",
    "a resolve whose descriptor is out of bounds",
    message(struct(0, 1, 1), word(5), struct(0, 1, 1), NULL, struct(44, 1, 1)),
  ],
  [
    "C-UNI-12",
    "an unimplemented whose message is out of bounds",
    message(struct(0, 1, 1), word(0), struct(44, 1, 1)),
  ],
];

describe("a bad envelope ends its connection, by name, and no other", () => {
  for (const [clause, what, bytes] of envelopes)
    it(`${clause}, C-HOS-01: ${what}`, () => {
      const victim = new Victim();
      victim.send((w) => w.bootstrap(0));
      victim.aborted(victim.push(bytes), /^abort failed ".{10,}"$/);
    });

  it("C-FRM-10: a root or body shorter than known reads as defaults", () => {
    const victim = new Victim();
    // Bootstrap without a body is question 0; Finish without one is question 0 with its defaults.
    expect(victim.push(message(struct(0, 1, 0), word(8)))).toHaveLength(1);
    expect(victim.push(message(struct(0, 1, 1), word(4), NULL))).toEqual([]);
    expect(victim.connection.idle).toBe(true);
    victim.unharmed();
  });
});
