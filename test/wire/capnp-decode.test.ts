// Role: the capnp tool reads every kind of message we write, and means what we mean. It is the C++ decoder.

import { describe, expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors, EMPTY_PATH, NO_DESCRIPTORS } from "../../src/wire/descriptors.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { ContentBuilder, type StructBuilder } from "../../src/wire/struct.js";
import { capnp, schemaPath } from "../schema/capnp-tool.js";
import { missingTool } from "../support/tools.js";
import { concat, frameOf, struct, words, written } from "./help.js";

const schema = schemaPath("rpc.capnp");
const squeeze = (text: string): string => text.replace(/\s+/g, "");
const decode = (bytes: Uint8Array): string =>
  squeeze(capnp(["decode", schema, "Message", "--short"], bytes));

/** Fields the tool always prints, by message, so that the expectations below stay short. */
function said(write: (w: IntroductionWriter) => void): string {
  return decode(written(write));
}

const P = EMPTY_PATH;

function caps(): Descriptors {
  const table = new Descriptors();
  table.add(1, 7, P);
  table.add(4, 9, [3, 1]);
  table.add(0, 0, P);
  table.add(5, 11, P);
  table.add(4, 10, P);
  table.add(2, 4294967295, P);
  table.add(3, 5, P);
  return table;
}
const capsText =
  "[(senderHosted=7,attachedFd=255),(receiverAnswer=(questionId=9,transform=[(getPointerField=3),(getPointerField=1)]),attachedFd=255)," +
  "(none=void,attachedFd=255),(thirdPartyHosted=(vineId=11),attachedFd=255),(receiverAnswer=(questionId=10),attachedFd=255)," +
  "(senderPromise=4294967295,attachedFd=255),(receiverHosted=5,attachedFd=255)]";

// A VatId-like struct as some AnyPointer; the tool prints those as opaque.
const any = new Content(words(struct(0, 1, 0), [1, 0]));

describe.skipIf(missingTool("capnp"))("capnp decode of what we write", () => {
  it("bootstrap, finish, release", () => {
    expect(said((w) => w.bootstrap(5))).toBe("(bootstrap=(questionId=5))");
    expect(said((w) => w.finish(4294967295, false, true))).toBe(
      "(finish=(questionId=4294967295,releaseResultCaps=false,requireEarlyCancellationWorkaround=true))",
    );
    expect(said((w) => w.release(3, 2))).toBe("(release=(id=3,referenceCount=2))");
  });

  it("call, to an import and to a promised answer, with a full table", () => {
    expect(said((w) => w.call(1, 0, 2, P, 0x81234567, 0x89abcdef, 65535, 7, 1, any, caps()))).toBe(
      "(call=(questionId=1,target=(importedCap=2),interfaceId=9305357566071262703,methodId=65535," +
        `params=(content=<opaquepointer>,capTable=${capsText}),sendResultsTo=(yourself=void),` +
        "allowThirdPartyTailCall=true,noPromisePipelining=true,onlyPromisePipeline=true))",
    );
    expect(said((w) => w.call(1, 1, 2, [0, 65535], 0, 1, 0, 0, 0, any, NO_DESCRIPTORS))).toBe(
      "(call=(questionId=1,target=(promisedAnswer=(questionId=2,transform=[(getPointerField=0),(getPointerField=65535)]))," +
        "interfaceId=1,methodId=0,params=(content=<opaquepointer>),sendResultsTo=(caller=void)," +
        "allowThirdPartyTailCall=false,noPromisePipelining=false,onlyPromisePipeline=false))",
    );
  });

  it("return, in each of its forms", () => {
    expect(said((w) => w.returnResults(1, false, true, any, caps()))).toBe(
      `(return=(answerId=1,releaseParamCaps=false,results=(content=<opaquepointer>,capTable=${capsText}),noFinishNeeded=true))`,
    );
    const error = new RpcError("overloaded", "method-failed", "täglich", {
      trace: "at home",
      details: [
        { id: 0xfedcba9876543210n, data: new Uint8Array([65, 66, 67]) },
        { id: 1n, data: new Uint8Array(0) },
      ],
    });
    expect(said((w) => w.returnException(1, true, false, error))).toBe(
      '(return=(answerId=1,releaseParamCaps=true,exception=(reason="täglich",obsoleteIsCallersFault=false,obsoleteDurability=0,' +
        'type=overloaded,trace="athome",details=[(detailId=18364758544493064720,data="ABC"),(detailId=1,data="")]),noFinishNeeded=false))',
    );
    const other = (tag: number, id = 0): string =>
      said((w) => w.returnOther(1, tag, true, false, id, tag === 5 ? any : Content.NULL));
    const head = "(return=(answerId=1,releaseParamCaps=true,";
    expect(other(2)).toBe(`${head}canceled=void,noFinishNeeded=false))`);
    expect(other(3)).toBe(`${head}resultsSentElsewhere=void,noFinishNeeded=false))`);
    expect(other(4, 8)).toBe(`${head}takeFromOtherQuestion=8,noFinishNeeded=false))`);
    expect(other(5)).toBe(`${head}awaitFromThirdParty=<opaquepointer>,noFinishNeeded=false))`);
  });

  it("resolve, disembargo, abort", () => {
    expect(said((w) => w.resolveCap(3, 4, 8, [1]))).toBe(
      "(resolve=(promiseId=3,cap=(receiverAnswer=(questionId=8,transform=[(getPointerField=1)]),attachedFd=255)))",
    );
    const error = new RpcError("disconnected", "connection-lost", "gone");
    const text =
      '(reason="gone",obsoleteIsCallersFault=false,obsoleteDurability=0,type=disconnected)';
    expect(said((w) => w.resolveException(3, error))).toBe(
      `(resolve=(promiseId=3,exception=${text}))`,
    );
    expect(said((w) => w.abort(error))).toBe(`(abort=${text})`);
    expect(said((w) => w.disembargo(1, 2, [4], 0, 6))).toBe(
      "(disembargo=(target=(promisedAnswer=(questionId=2,transform=[(getPointerField=4)])),context=(senderLoopback=6)))",
    );
    expect(said((w) => w.disembargo(0, 2, P, 2, 0, new Uint8Array([0x41])))).toBe(
      '(disembargo=(target=(importedCap=2),context=(accept="A")))',
    );
  });

  it("provide, accept, thirdPartyAnswer, join", () => {
    expect(said((w) => w.provide(1, 1, 2, P, any))).toBe(
      "(provide=(questionId=1,target=(promisedAnswer=(questionId=2)),recipient=<opaquepointer>))",
    );
    expect(said((w) => w.accept(1, any, new Uint8Array([0x41, 0x42])))).toBe(
      '(accept=(questionId=1,provision=<opaquepointer>,embargo="AB"))',
    );
    expect(said((w) => w.thirdPartyAnswer(1073741824, any))).toBe(
      "(thirdPartyAnswer=(completion=<opaquepointer>,answerId=1073741824))",
    );
    expect(said((w) => w.join(1, 0, 2, P, any))).toBe(
      "(join=(questionId=1,target=(importedCap=2),keyPart=<opaquepointer>))",
    );
  });

  it("unimplemented, of a message of many segments too", () => {
    const frame = frameOf(written((w) => w.resolveCap(3, 4, 8, [1])));
    expect(said((w) => w.unimplemented(frame))).toBe(
      "(unimplemented=(resolve=(promiseId=3,cap=(receiverAnswer=(questionId=8,transform=[(getPointerField=1)]),attachedFd=255))))",
    );
    const big = new Content(concat([words(struct(0, 2048, 0)), new Uint8Array(16384).fill(1)]));
    const far = frameOf(written((w) => w.call(1, 0, 2, P, 0, 1, 0, 0, 0, big, NO_DESCRIPTORS)));
    expect(far.segments).toBe(2);
    expect(said((w) => w.unimplemented(far))).toContain(
      "(unimplemented=(call=(questionId=1,target=(importedCap=2),interfaceId=1,methodId=0,params=(content=<opaquepointer>)",
    );
  });

  it("contents of every layout: inline, borrowed, by reference, with a tail", () => {
    const typed = new URL("typed-call.capnp", import.meta.url).pathname;
    const long = "x".repeat(20_000);
    for (const text of ["short", long]) {
      for (const layout of ["borrowed", "owned", "tail", "owned tail"]) {
        const builder = new ContentBuilder(64);
        const root = params(builder, text);
        if (layout.includes("tail")) root.dataByReference(1, new TextEncoder().encode(text));
        else root.data(1, new TextEncoder().encode(text));
        const built = builder.finish();
        const content =
          layout === "borrowed" || layout === "tail"
            ? built
            : new Content(built.bytes.slice(), built.tail);
        const bytes = written((w) => w.call(1, 0, 2, P, 0, 1, 0, 0, 0, content, caps()));
        expect(squeeze(capnp(["decode", typed, "Message", "--short"], bytes)), layout).toContain(
          `content=(n=8,t="${text}",d="${text}",on=false,big=-2,items=[(id=1,name="one"),(id=2,name="two")],` +
            `names=["a",""],any=<opaquepointer>,real=1.5,small=65535)`,
        );
      }
    }
  });
});

function params(builder: ContentBuilder, text: string): StructBuilder {
  const root = builder.root(4, 5);
  root.u32(0, 8, 7);
  root.bool(32, false, true);
  root.u16(6, 65535);
  root.u64(8, -2n);
  root.f64(16, 1.5);
  root.text(0, text);
  const items = root.structs(2, 2, 1, 1);
  items.forEach((item, i) => {
    item.u16(0, i + 1);
    item.text(0, ["one", "two"][i]!);
  });
  root.texts(3, ["a", ""]);
  root.any(4, any, null);
  return root;
}
