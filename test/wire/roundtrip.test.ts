// Role: decode(encode(m)) = m, for every kind of message with fields of every value.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import type { MessageReader } from "../../src/wire/message-reader.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { ContentBuilder, StructReader } from "../../src/wire/struct.js";
import { frameOf, readBack, toHex, written } from "./help.js";

const id32 = fc.integer({ min: 0, max: 0xffffffff });
const id16 = fc.integer({ min: 0, max: 0xffff });
const path = fc.array(id16, { maxLength: 4 });
const targets = fc.record({ kind: fc.constantFrom(0, 1), id: id32, path });
const tables = fc.array(fc.record({ kind: fc.integer({ min: 0, max: 5 }), id: id32, path }), {
  maxLength: 6,
});
const contents = fc.record({ n: id32, text: fc.string(), data: fc.nat(20_000), own: fc.boolean() });
const errors = fc.record({
  type: fc.constantFrom("failed", "overloaded", "disconnected", "unimplemented"),
  wireType: fc.option(id16, { nil: undefined }),
  reason: fc.string({ maxLength: 200 }),
  trace: fc.string({ maxLength: 50 }),
  details: fc.array(
    fc.record({ id: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), data: fc.uint8Array() }),
    { maxLength: 4 },
  ),
});
type ErrorParts = typeof errors extends fc.Arbitrary<infer T> ? T : never;
type Table = typeof tables extends fc.Arbitrary<infer T> ? T : never;

const builder = new ContentBuilder();
function content({
  n,
  text,
  data,
  own,
}: {
  n: number;
  text: string;
  data: number;
  own: boolean;
}): Content {
  const w = builder.root(1, 3);
  w.u32(0, n);
  w.text(0, text);
  if (n & 1) w.dataByReference(1, new Uint8Array(data).fill(7));
  else w.data(1, new Uint8Array(data).fill(7));
  w.capability(2, 3);
  const built = builder.finish();
  return own ? new Content(built.bytes.slice(), built.tail) : built;
}

function descriptors(table: Table): Descriptors {
  const caps = new Descriptors();
  for (const { kind, id, path: steps } of table) caps.add(kind, id, steps);
  return caps;
}

function expectTable(m: MessageReader, table: Table): void {
  expect(m.capCount).toBe(table.length);
  table.forEach(({ kind, id, path: steps }, i) => {
    expect([m.capKind(i), m.capId(i), m.capPath(i), m.capPathUnknownOp(i)]).toEqual([
      kind,
      kind === 0 ? 0 : id,
      kind === 4 ? steps : [],
      false,
    ]);
  });
}

function rpcError(e: ErrorParts): RpcError {
  const { trace, details } = e;
  const options = e.wireType === undefined ? {} : { wireType: e.wireType };
  return new RpcError(e.type as "failed", "method-failed", e.reason, {
    trace,
    details,
    ...options,
  });
}

function expectError(got: RpcError, e: ErrorParts): void {
  const utf8 = (s: string): string =>
    new TextDecoder("utf-8", { ignoreBOM: true }).decode(new TextEncoder().encode(s));
  expect([got.message, got.trace]).toEqual([utf8(e.reason), utf8(e.trace)]);
  expect(got.wireType).toBe(rpcError(e).wireType);
  expect(got.code).toBe("remote-exception");
  expect(got.details).toEqual(e.details);
}

describe("decode(encode(m)) = m", () => {
  const runs = { seed: 4, numRuns: 100 };

  it("call", () => {
    fc.assert(
      fc.property(
        id32,
        targets,
        id32,
        id32,
        id16,
        fc.nat(7),
        fc.nat(1),
        contents,
        tables,
        (q, t, hi, lo, method, flags, to, c, table) => {
          const m = readBack(
            written((w) =>
              w.call(
                q,
                t.kind,
                t.id,
                t.path,
                hi,
                lo,
                method,
                flags,
                to,
                content(c),
                descriptors(table),
              ),
            ),
          );
          expect([
            m.tag,
            m.questionId,
            m.targetKind,
            m.targetId,
            m.interfaceHi,
            m.interfaceLo,
          ]).toEqual([2, q, t.kind, t.id, hi, lo]);
          expect(m.path).toEqual(t.kind === 1 ? t.path : []);
          expect([m.methodId, m.sendResultsTo, m.pathUnknownOp]).toEqual([method, to, false]);
          expect([m.allowThirdPartyTailCall, m.noPromisePipelining, m.onlyPromisePipeline]).toEqual(
            [!!(flags & 1), !!(flags & 2), !!(flags & 4)],
          );
          expectTable(m, table);
          const taken = m.takeContent();
          expect(toHex(taken.bytes)).toBe(toHex(content(c).flat().bytes));
          expect(taken.bytes.buffer.byteLength).toBe(taken.bytes.length);
          expect(m.payloadBytes).toBeGreaterThanOrEqual(taken.byteLength);
          expect(StructReader.of(taken).capability(2)).toBe(3);
        },
      ),
      runs,
    );
  });

  it("return", () => {
    fc.assert(
      fc.property(
        id32,
        fc.boolean(),
        fc.boolean(),
        contents,
        tables,
        errors,
        id32,
        (a, rel, fin, c, table, e, q) => {
          const results = readBack(
            written((w) => w.returnResults(a, rel, fin, content(c), descriptors(table))),
          );
          expect([
            results.tag,
            results.questionId,
            results.returnTag,
            results.releaseParamCaps,
            results.noFinishNeeded,
          ]).toEqual([3, a, 0, rel, fin]);
          expectTable(results, table);
          expect(toHex(results.takeContent().bytes)).toBe(toHex(content(c).flat().bytes));
          const failed = readBack(written((w) => w.returnException(a, rel, fin, rpcError(e))));
          expect([
            failed.questionId,
            failed.returnTag,
            failed.releaseParamCaps,
            failed.noFinishNeeded,
          ]).toEqual([a, 1, rel, fin]);
          expectError(failed.takeException(), e);
          for (const tag of [2, 3, 4, 5]) {
            const other = readBack(
              written((w) =>
                w.returnOther(a, tag, rel, fin, q, tag === 5 ? content(c) : Content.NULL),
              ),
            );
            expect([
              other.questionId,
              other.returnTag,
              other.releaseParamCaps,
              other.noFinishNeeded,
              other.takeFromOtherQuestion,
            ]).toEqual([a, tag, rel, fin, q]);
            expect(toHex(other.takeContent().bytes)).toBe(
              tag === 5 ? toHex(content(c).flat().bytes) : "00".repeat(8),
            );
          }
        },
      ),
      runs,
    );
  });

  it("all others", () => {
    fc.assert(
      fc.property(
        id32,
        id32,
        targets,
        fc.boolean(),
        fc.boolean(),
        errors,
        tables,
        contents,
        fc.uint8Array(),
        (a, b, t, x, y, e, table, c, embargo) => {
          const back = (write: (w: IntroductionWriter) => void): MessageReader =>
            readBack(written(write));
          expect(back((w) => w.bootstrap(a)).questionId).toBe(a);
          const finish = back((w) => w.finish(a, x, y));
          expect([
            finish.questionId,
            finish.releaseResultCaps,
            finish.requireEarlyCancellationWorkaround,
          ]).toEqual([a, x, y]);
          const release = back((w) => w.release(a, b));
          expect([release.id, release.referenceCount]).toEqual([a, b]);
          for (const { kind, id, path: steps } of table) {
            const resolve = back((w) => w.resolveCap(a, kind, id, steps));
            expect([resolve.tag, resolve.id, resolve.resolveTag]).toEqual([5, a, 0]);
            expectTable(resolve, [{ kind, id, path: steps }]);
          }
          const broken = back((w) => w.resolveException(a, rpcError(e)));
          expect([broken.id, broken.resolveTag, broken.capCount]).toEqual([a, 1, 0]);
          expectError(broken.takeException(), e);
          expectError(back((w) => w.abort(rpcError(e))).takeException(), e);
          for (const tag of [0, 1, 2]) {
            const m = back((w) =>
              w.disembargo(t.kind, t.id, t.path, tag, b, tag === 2 ? embargo : null),
            );
            expect([m.tag, m.targetKind, m.targetId, m.contextTag, m.embargoId]).toEqual([
              13,
              t.kind,
              t.id,
              tag,
              b,
            ]);
            expect(m.path).toEqual(t.kind === 1 ? t.path : []);
            expect(m.takeEmbargo()).toEqual(tag === 2 ? embargo : null);
          }
          const same = (m: MessageReader): void =>
            expect(toHex(m.takeContent().bytes)).toBe(toHex(content(c).flat().bytes));
          for (const m of [
            back((w) => w.provide(a, t.kind, t.id, t.path, content(c))),
            back((w) => w.join(a, t.kind, t.id, t.path, content(c))),
          ]) {
            expect([m.questionId, m.targetKind, m.targetId]).toEqual([a, t.kind, t.id]);
            same(m);
          }
          const accept = back((w) => w.accept(a, content(c), embargo));
          expect([accept.tag, accept.questionId, accept.takeEmbargo()]).toEqual([11, a, embargo]);
          same(accept);
          const answer = back((w) => w.thirdPartyAnswer(a, content(c)));
          expect([answer.tag, answer.questionId]).toEqual([14, a]);
          same(answer);
          const call = written((w) =>
            w.call(a, t.kind, t.id, t.path, 1, 2, 3, 0, 0, content(c), descriptors(table)),
          );
          const echo = back((w) => w.unimplemented(frameOf(call)));
          const inner = echo.inner()!;
          expect([echo.tag, inner.tag, inner.questionId, inner.targetId]).toEqual([0, 2, a, t.id]);
          expectTable(inner, table);
          same(inner);
        },
      ),
      runs,
    );
  });
});
