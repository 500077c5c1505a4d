// Role: the envelope: structs of every age, far pointers, unknown tags, limits, malformed messages.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { DEFAULT_LIMITS, limitsWith } from "../../src/base/limits.js";
import { Content } from "../../src/wire/content.js";
import { EMPTY_PATH, MessageTag, NO_DESCRIPTORS } from "../../src/wire/descriptors.js";
import { Framer } from "../../src/wire/framer.js";
import { MessageReader } from "../../src/wire/message-reader.js";
import { MessageWriter } from "../../src/wire/message-writer.js";
import { Outbox } from "../../src/wire/outbox.js";
import { StructReader } from "../../src/wire/struct.js";
import { describeMessage } from "./describe.js";
import {
  capability,
  concat,
  errorOf,
  far,
  frameOf,
  framed,
  list,
  readBack,
  struct,
  toHex,
  words,
  written,
} from "./help.js";

type Word = readonly [number, number];
const read = (...segments: readonly (readonly Word[])[]): MessageReader =>
  readBack(framed(...segments.map((segment) => words(...segment))));
const malformed = (run: () => unknown): string => {
  const error = errorOf(run);
  expect(error.code).toBe("malformed-message");
  return error.message;
};

describe("structs of every age", () => {
  it("C-FRM-09: a null root, and a Message without data, are an empty unimplemented", () => {
    for (const m of [read([[0, 0]]), read([struct(-1, 0, 0)]), read([struct(0, 0, 1), [0, 0]])]) {
      expect(m.tag).toBe(MessageTag.unimplemented);
      expect(m.inner()).toBeNull();
    }
  });

  it("C-FRM-10: missing fields read as their defaults, extra ones are ignored", () => {
    const finish = read([struct(0, 1, 1), [4, 0], struct(-1, 0, 0)]);
    expect([
      finish.questionId,
      finish.releaseResultCaps,
      finish.requireEarlyCancellationWorkaround,
    ]).toEqual([0, true, true]);
    const ret = read([struct(0, 1, 1), [3, 0], struct(0, 1, 1), [9, 1], [0, 0]]);
    expect([ret.questionId, ret.releaseParamCaps, ret.takeFromOtherQuestion]).toEqual([
      9,
      false,
      0,
    ]);
    const empty = read([struct(0, 1, 1), [3, 0], [0, 0]]);
    expect([empty.questionId, empty.returnTag, empty.releaseParamCaps, empty.capCount]).toEqual([
      0,
      0,
      true,
      0,
    ]);
    expect(empty.takeContent()).toBe(Content.NULL);
    // Message of 2 words and 2 pointers, Release of 3 words.
    const wide = read([
      struct(0, 2, 2),
      [6, 0],
      [9, 9],
      struct(1, 3, 0),
      [9, 9],
      [3, 2],
      [9, 9],
      [9, 9],
    ]);
    expect([wide.tag, wide.id, wide.referenceCount]).toEqual([6, 3, 2]);
  });

  it("C-IOP-14: exceptions of one, two and four pointers", () => {
    for (const pointers of [1, 2, 4]) {
      const nulls = Array.from({ length: pointers - 1 }, (): Word => [0, 0]);
      const m = read([
        struct(0, 1, 1),
        [1, 0],
        struct(0, 1, pointers),
        [0, 2],
        list(pointers - 1, 2, 2),
        ...nulls,
        [0x78, 0],
      ]);
      const error = m.takeException();
      expect([error.message, error.type, error.trace, error.details.length]).toEqual([
        "x",
        "disconnected",
        "",
        0,
      ]);
    }
  });

  it("C-IOP-03: an empty transform and a null one are the same", () => {
    const m = read([
      struct(0, 1, 1),
      [13, 0],
      struct(0, 1, 2),
      [6, 0],
      struct(1, 1, 1),
      [0, 0],
      [0, 1],
      struct(0, 1, 1),
      [9, 0],
      list(0, 7, 0),
      struct(0, 1, 0),
    ]);
    expect([m.targetKind, m.targetId]).toEqual([1, 9]);
    expect(m.path).toBe(EMPTY_PATH);
  });

  it("C-VAL-18: a transform and a table sent as primitive lists are upgraded", () => {
    // Op as UInt32: tag 1, index 3.
    const m = read([
      struct(0, 1, 1),
      [13, 0],
      struct(0, 1, 2),
      [6, 0],
      struct(1, 1, 1),
      [0, 0],
      [0, 1],
      struct(0, 1, 1),
      [9, 0],
      list(0, 4, 2),
      [0x00030001, 0x00050001],
    ]);
    expect(m.path).toEqual([3, 5]);
    // CapDescriptor as UInt64: senderHosted 7; as pointers: none, all default.
    const caps = read([
      struct(0, 1, 1),
      [3, 0],
      struct(0, 2, 1),
      [1, 0],
      [0, 0],
      struct(0, 0, 2),
      [0, 0],
      list(0, 5, 2),
      [1, 7],
      [2, 8],
    ]);
    expect([caps.capCount, caps.capKind(0), caps.capId(0), caps.capKind(1), caps.capId(1)]).toEqual(
      [2, 1, 7, 2, 8],
    );
    const none = read([
      struct(0, 1, 1),
      [3, 0],
      struct(0, 2, 1),
      [1, 0],
      [0, 0],
      struct(0, 0, 2),
      [0, 0],
      list(0, 6, 1),
      [0, 0],
    ]);
    expect([none.capCount, none.capKind(0), none.capId(0)]).toEqual([1, 0, 0]);
    malformed(() =>
      read([
        struct(0, 1, 1),
        [3, 0],
        struct(0, 2, 1),
        [1, 0],
        [0, 0],
        struct(0, 0, 2),
        [0, 0],
        list(0, 1, 1),
        [0, 0],
      ]),
    );
  });
});

describe("unknown tags", () => {
  it("C-FRM-11: an unknown message keeps its tag and is echoed whole", () => {
    const bytes = framed(
      words(struct(0, 1, 2), [15, 77], struct(1, 1, 0), list(1, 2, 3), [5, 6], [0x616263, 0]),
    );
    const m = readBack(bytes);
    expect(m.tag).toBe(15);
    const echo = written((w) => w.unimplemented(frameOf(bytes)));
    expect(toHex(echo)).toBe(
      toHex(
        framed(
          words(
            struct(0, 1, 1),
            [0, 0],
            struct(0, 1, 2),
            [15, 77],
            struct(1, 1, 0),
            list(1, 2, 3),
            [5, 6],
            [0x616263, 0],
          ),
        ),
      ),
    );
    expect(readBack(echo).inner()!.tag).toBe(15);
    expect(read([struct(0, 1, 1), [0xffff, 0], [0, 0]]).tag).toBe(65535);
  });

  it("C-UNI-12: an echo of an echo has no inner message", () => {
    const once = written((w) => w.unimplemented(frameOf(written((x) => x.release(1, 2)))));
    expect(readBack(once).inner()!.referenceCount).toBe(2);
    const twice = written((w) => w.unimplemented(frameOf(once)));
    expect(readBack(twice).inner()).toBeNull();
  });

  it("C-VAL-21: unknown tags of targets, results, returns and descriptors are given raw", () => {
    const call = read([
      struct(0, 1, 1),
      [2, 0],
      struct(0, 3, 3),
      [1, 0xffff0000 | 0],
      [0, 0],
      [0, 0],
      struct(2, 1, 1),
      [0, 0],
      [0, 0],
      [5, 9],
      [0, 0],
    ]);
    expect([call.sendResultsTo, call.targetKind, call.targetId]).toEqual([65535, 9, 0]);
    expect(
      read([struct(0, 1, 1), [3, 0], struct(0, 2, 1), [1, 77 << 16], [0, 0], [0, 0]]).returnTag,
    ).toBe(77);
    expect(read([struct(0, 1, 1), [5, 0], struct(0, 1, 1), [1, 8], [0, 0]]).resolveTag).toBe(8);
    expect(
      read([struct(0, 1, 1), [13, 0], struct(0, 1, 2), [1, 3], [0, 0], [0, 0]]).contextTag,
    ).toBe(3);
    const cap = read([
      struct(0, 1, 1),
      [5, 0],
      struct(0, 1, 1),
      [1, 0],
      struct(0, 1, 1),
      [6, 42],
      [0, 0],
    ]);
    expect([cap.capKind(0), cap.capId(0)]).toEqual([6, 42]);
  });

  it("C-PIP-06: an unknown operation in a transform is told, noops are dropped", () => {
    const m = (...ops: number[]): MessageReader =>
      read([
        struct(0, 1, 1),
        [13, 0],
        struct(0, 1, 2),
        [6, 0],
        struct(1, 1, 1),
        [0, 0],
        [0, 1],
        struct(0, 1, 1),
        [9, 0],
        list(0, 7, ops.length),
        struct(ops.length, 1, 0),
        ...ops.map((op): Word => [op, 0]),
      ]);
    expect([m(0, 0x40001, 0, 0x20001).path, m(0, 1).pathUnknownOp]).toEqual([[4, 2], false]);
    expect(m(0, 0).path).toBe(EMPTY_PATH);
    expect([m(0x40001, 2).pathUnknownOp, m(7).pathUnknownOp]).toEqual([true, true]);
    const cap = read([
      struct(0, 1, 1),
      [5, 0],
      struct(0, 1, 1),
      [1, 0],
      struct(0, 1, 1),
      [4, 0],
      struct(0, 1, 1),
      [8, 0],
      list(0, 7, 1),
      struct(1, 1, 0),
      [3, 0],
    ]);
    expect([cap.capId(0), cap.capPathUnknownOp(0)]).toEqual([8, true]);
  });

  it("C-DIS-10: an unknown exception type is failed, its number kept and sent on", () => {
    const error = readBack(
      written((w) => w.abort(new RpcError("failed", "method-failed", "x", { wireType: 9 }))),
    ).takeException();
    expect([error.type, error.wireType]).toEqual(["failed", 9]);
  });
});

describe("many segments", () => {
  it("C-FRM-14: everything of a Call may be behind far pointers", () => {
    const m = read(
      [far(1, 0)],
      [struct(0, 1, 1), [2, 0], far(2, 0, true)],
      [far(3, 1), struct(0, 3, 3)],
      [[9, 9], [1, 3], [0x89abcdef | 0, 0x81234567 | 0], [0, 0], far(4, 0), far(5, 0), [0, 0]],
      [struct(1, 1, 1), [9, 9], [0, 1], far(6, 0)],
      [struct(0, 0, 2), far(8, 0), far(7, 0, true)],
      [struct(0, 1, 1), [9, 0], far(9, 0)],
      [far(10, 0), list(0, 7, 4)],
      [struct(0, 1, 0), [42, 0]],
      [list(0, 7, 1), struct(1, 1, 0), [0x00020001, 0]],
      [struct(2, 1, 1), [1, 7], [0, 0], [4, 0], far(11, 0)],
      [struct(0, 1, 1), [3, 0], far(9, 0)],
    );
    expect(describeMessage(m)).toBe(
      "call=(questionId=1,target=(promisedAnswer=(questionId=9,transform=[(getPointerField=2)])),interfaceId=0x8123456789abcdef,methodId=3," +
        "params=(capTable=[(senderHosted=7),(receiverAnswer=(questionId=3,transform=[(getPointerField=2)]))]))",
    );
    expect(StructReader.of(m.takeContent()).u32(0)).toBe(42);
  });

  it("C-FRM-14: our own large content is in segment 1, and reads back", () => {
    const large = new Content(concat([words(struct(0, 2049, 0)), new Uint8Array(2049 * 8)]));
    const frame = frameOf(written((w) => w.returnResults(1, true, false, large, NO_DESCRIPTORS)));
    expect([frame.segments, frame.segEnd[1]! - frame.segStart[1]!]).toEqual([2, large.byteLength]);
    const reader = new MessageReader(DEFAULT_LIMITS);
    reader.read(frame);
    expect(reader.takeContent().bytes).toEqual(large.bytes);
  });
});

describe("malformed messages", () => {
  const call = (target: Word, payload: Word, ...rest: Word[]): Word[] => [
    struct(0, 1, 1),
    [2, 0],
    struct(0, 3, 3),
    [1, 3],
    [0, 0],
    [0, 0],
    target,
    payload,
    [0, 0],
    ...rest,
  ];

  it("C-VAL-23: a bad envelope is a malformed message, a bad content only an invalid payload", () => {
    malformed(() => read(call(struct(99, 1, 1), [0, 0])));
    malformed(() => read(call([0, 0], struct(99, 0, 2))));
    malformed(() => read([struct(5, 1, 1)]));
    malformed(() => read([struct(0, 1, 1), [2, 0], struct(9, 3, 3)]));
    const m = read(call([0, 0], struct(1, 0, 2), struct(99, 1, 1), [0, 0]));
    expect(m.questionId).toBe(1);
    expect(errorOf(() => m.takeContent()).code).toBe("invalid-payload");
    expect(m.methodId).toBe(3);
  });

  it("C-VAL-09: pointers of the wrong kind are malformed", () => {
    malformed(() => read([list(0, 2, 8), [2, 0]]));
    malformed(() => read([capability(0)]));
    malformed(() => read(call(capability(0), [0, 0])));
    malformed(() => read(call([0, 0], list(0, 2, 0))));
    malformed(() => read(call([0, 0], struct(1, 0, 2), [0, 0], struct(0, 1, 0), [0, 0])));
    malformed(() =>
      read([
        struct(0, 1, 1),
        [1, 0],
        struct(0, 1, 1),
        [0, 0],
        list(0, 3, 1),
        [0, 0],
      ]).takeException(),
    );
    malformed(() =>
      read([
        struct(0, 1, 1),
        [1, 0],
        struct(0, 1, 1),
        [0, 0],
        list(0, 2, 2),
        [0x6261, 0],
      ]).takeException(),
    );
  });

  it("C-VAL-07: an envelope that points at itself ends", () => {
    expect(read([struct(-1, 1, 0)]).tag).toBe(0xfffc);
    malformed(() => read([far(0, 0)]));
    const inner = read([struct(0, 1, 1), [0, 0], struct(-2, 1, 1)]).inner();
    expect(inner).toBeNull();
  });

  it("C-VAL-11: a table or transform is bounded before anything is made per entry", () => {
    const huge = (n: number): Word[] =>
      call([0, 0], struct(1, 0, 2), [0, 0], list(0, 7, 0), struct(n, 0, 0));
    expect(read(huge(65_536)).capCount).toBe(65_536);
    expect(malformed(() => read(huge(65_537)))).toContain("over the limit of 65536");
    expect(malformed(() => read(huge(2 ** 29 - 1)))).toContain("over the limit");
    const few = limitsWith({ capTable: 2 });
    const frame = written((w) => w.resolveCap(1, 4, 1, [1, 2, 3]));
    expect(malformed(() => readBack(frame, few))).toContain("over the limit of 2");
  });

  it("C-HOS-13: paths shared by many descriptors are charged each time", () => {
    // 1000 descriptors, all receiverAnswer, whose one PromisedAnswer has 1000 operations.
    const n = 1000;
    const caps: Word[] = [];
    for (let i = 0; i < n; i++) caps.push([4, 0], struct(2 * (n - 1 - i), 1, 1));
    const ops = Array.from({ length: n }, (): Word => [1, 0]);
    const message = call(
      [0, 0],
      struct(1, 0, 2),
      [0, 0],
      list(0, 7, 2 * n),
      struct(n, 1, 1),
      ...caps,
      [1, 0],
      list(0, 7, n),
      struct(n, 1, 0),
      ...ops,
    );
    expect(malformed(() => read(message))).toContain("over the limit");
  });

  it("C-VAL-30: details that share their bytes do not multiply them", () => {
    const n = 100;
    const details: Word[] = [];
    for (let i = 0; i < n; i++) details.push([i, 0], list(2 * (n - 1 - i), 2, 800));
    const message: Word[] = [
      struct(0, 1, 1),
      [1, 0],
      struct(0, 1, 3),
      [0, 0],
      [0, 0],
      [0, 0],
      list(0, 7, 2 * n),
      struct(n, 1, 1),
      ...details,
      ...Array.from({ length: 100 }, (): Word => [1, 1]),
    ];
    expect(malformed(() => read(message).takeException())).toContain("overlap");
  });

  it("C-HOS-16: a giant reason is cut", () => {
    const limits = limitsWith({ reasonLength: 10 });
    const of = (reason: string): string =>
      readBack(
        written((w) => w.abort(new RpcError("failed", "method-failed", reason))),
        limits,
      ).takeException().message;
    expect(of("0123456789")).toBe("0123456789");
    expect(of("0123456789a")).toBe("0123456789…");
    expect(of("€".repeat(1000))).toBe(`${"€".repeat(10)}…`);
  });

  it("C-DIS-11: a null, an empty and a broken reason are texts", () => {
    expect(read([struct(0, 1, 1), [1, 0], [0, 0]]).takeException().message).toBe("");
    expect(
      read([struct(0, 1, 1), [1, 0], struct(0, 1, 1), [0, 0], list(0, 2, 0)]).takeException()
        .message,
    ).toBe("");
    expect(
      read([
        struct(0, 1, 1),
        [1, 0],
        struct(0, 1, 1),
        [0, 0],
        list(0, 2, 2),
        [0xff, 0],
      ]).takeException().message,
    ).toBe("\ufffd");
  });
});

describe("the size of what we send", () => {
  const limits = limitsWith({ messageWords: 40 });
  const sized = (n: number): Content => {
    const bytes = new Uint8Array(8 + n * 8);
    bytes.set(words(struct(0, n, 0)));
    return new Content(bytes);
  };

  it("C-FRM-15: a call over the limit throws and leaves nothing behind", () => {
    const outbox = new Outbox();
    const writer = new MessageWriter(outbox, limits);
    const call = (c: Content): void =>
      writer.call(1, 0, 2, EMPTY_PATH, 0, 1, 0, 0, 0, c, NO_DESCRIPTORS);
    writer.finish(7, true, true);
    const before = outbox.bytes;
    // 3 of the envelope, 6 of Call, 2 of the target, 2 of Payload.
    for (const c of [sized(28), new Content(words(list(0, 2, 8 * 28)), new Uint8Array(8 * 28))]) {
      const error = errorOf(() => call(c));
      expect([error.type, error.code]).toEqual(["failed", "message-too-large"]);
      expect(error.message).toContain("limit of 40");
      expect([outbox.bytes, outbox.count]).toEqual([before, 1]);
    }
    call(sized(27));
    call(new Content(words(list(0, 2, 8 * 26)), new Uint8Array(8 * 26)));
    const seen: number[] = [];
    const framer = new Framer(limits);
    for (const chunk of outbox.take()!.chunks)
      framer.push(chunk, (frame) => seen.push(frame.length));
    expect(seen).toEqual([40, 8 * 41, 8 * 42]);
  });

  it("C-FRM-16: so does a return, and an exception takes its place", () => {
    const outbox = new Outbox();
    const writer = new MessageWriter(outbox, limits);
    expect(errorOf(() => writer.returnResults(1, true, true, sized(33), NO_DESCRIPTORS)).code).toBe(
      "message-too-large",
    );
    expect(outbox.take()).toBeNull();
    writer.returnException(1, true, true, new RpcError("failed", "message-too-large", "too large"));
    expect(outbox.count).toBe(1);
  });

  it("C-DIS-17: an exception that is too large is cut to fit, between characters", () => {
    const error = new RpcError("overloaded", "method-failed", "€".repeat(1000), {
      trace: "t".repeat(100),
      details: [{ id: 1n, data: new Uint8Array(100) }],
    });
    for (const write of [
      (w: MessageWriter) => w.returnException(1, true, true, error),
      (w: MessageWriter) => w.resolveException(1, error),
      (w: MessageWriter) => w.abort(error),
    ]) {
      const got = readBack(written(write, limits), limits).takeException();
      expect([got.type, got.trace, got.details.length]).toEqual(["overloaded", "", 0]);
      expect(got.message).toMatch(/^€{79,87}$/);
    }
  });
});

it("C-HOS-17: a content survives the reuse of the bytes it came in", () => {
  const bytes = written((w) =>
    w.call(
      1,
      0,
      2,
      EMPTY_PATH,
      0,
      1,
      0,
      0,
      0,
      new Content(words(struct(0, 1, 0), [42, 0])),
      NO_DESCRIPTORS,
    ),
  );
  const taken = readBack(bytes).takeContent();
  bytes.fill(0);
  expect(StructReader.of(taken).u32(0)).toBe(42);
});
