// Role: a read message as text in the notation of the golden vectors (fields with their default left out).

import { ERROR_TYPES, type RpcError } from "../../src/base/errors.js";
import { DescriptorKind, MessageTag, TargetKind } from "../../src/wire/descriptors.js";
import type { MessageReader } from "../../src/wire/message-reader.js";

const tagNames = Object.fromEntries(Object.entries(MessageTag).map(([name, tag]) => [tag, name]));
const kindNames = Object.fromEntries(
  Object.entries(DescriptorKind).map(([name, kind]) => [kind, name]),
);

export function describeMessage(m: MessageReader): string {
  return `${tagNames[m.tag] ?? `tag${m.tag}`}=(${body(m)})`;
}

function body(m: MessageReader): string {
  switch (m.tag) {
    case MessageTag.unimplemented: {
      const inner = m.inner();
      return inner === null ? "" : describeMessage(inner);
    }
    case MessageTag.abort:
      return exception(m.takeException());
    case MessageTag.bootstrap:
      return `questionId=${m.questionId}`;
    case MessageTag.call:
      return join(
        `questionId=${m.questionId}`,
        target(m),
        `interfaceId=${interfaceId(m)}`,
        `methodId=${m.methodId}`,
        m.allowThirdPartyTailCall && "allowThirdPartyTailCall=true",
        m.noPromisePipelining && "noPromisePipelining=true",
        m.onlyPromisePipeline && "onlyPromisePipeline=true",
        `params=(${capTable(m)})`,
        m.sendResultsTo === 1 && "sendResultsTo=(yourself=void)",
      );
    case MessageTag.return:
      return join(
        `answerId=${m.questionId}`,
        !m.releaseParamCaps && "releaseParamCaps=false",
        m.noFinishNeeded && "noFinishNeeded=true",
        result(m),
      );
    case MessageTag.finish:
      // The golden vectors spell a field out when any of the two differs from its default.
      return m.releaseResultCaps && m.requireEarlyCancellationWorkaround
        ? `questionId=${m.questionId}`
        : `questionId=${m.questionId},releaseResultCaps=${m.releaseResultCaps},requireEarlyCancellationWorkaround=${m.requireEarlyCancellationWorkaround}`;
    case MessageTag.resolve:
      return join(
        `promiseId=${m.id}`,
        m.resolveTag === 0
          ? `cap=${descriptor(m, 0)}`
          : `exception=(${exception(m.takeException())})`,
      );
    case MessageTag.release:
      return `id=${m.id},referenceCount=${m.referenceCount}`;
    case MessageTag.disembargo:
      return `${target(m)},context=(${context(m)})`;
    case MessageTag.provide:
    case MessageTag.join:
      return `questionId=${m.questionId},${target(m)}`;
    case MessageTag.accept: {
      const embargo = m.takeEmbargo();
      return join(`questionId=${m.questionId}`, embargo !== null && `embargo=${data(embargo)}`);
    }
    case MessageTag.thirdPartyAnswer:
      return `answerId=${m.questionId}`;
    default:
      return "";
  }
}

function join(...parts: (string | false)[]): string {
  return parts.filter((part) => part !== false).join(",");
}

function interfaceId(m: MessageReader): string {
  const id = (BigInt(m.interfaceHi) << 32n) | BigInt(m.interfaceLo);
  return m.interfaceHi === 0 ? String(id) : `0x${id.toString(16)}`;
}

function target(m: MessageReader): string {
  if (m.targetKind === TargetKind.importedCap) return `target=(importedCap=${m.targetId})`;
  return `target=(promisedAnswer=${answer(m.targetId, m.path)})`;
}

function answer(questionId: number, path: readonly number[]): string {
  const steps = path.map((step) => `(getPointerField=${step})`).join(",");
  return `(questionId=${questionId},transform=[${steps}])`;
}

function capTable(m: MessageReader): string {
  if (m.capCount === 0) return "";
  const all = Array.from({ length: m.capCount }, (_, i) => descriptor(m, i));
  return `capTable=[${all.join(",")}]`;
}

function descriptor(m: MessageReader, i: number): string {
  const kind = m.capKind(i);
  const name = kindNames[kind] ?? `kind${kind}`;
  if (kind === DescriptorKind.none) return `(${name}=void)`;
  if (kind === DescriptorKind.receiverAnswer)
    return `(${name}=${answer(m.capId(i), m.capPath(i))})`;
  if (kind === DescriptorKind.thirdPartyHosted) return `(${name}=(vineId=${m.capId(i)}))`;
  return `(${name}=${m.capId(i)})`;
}

function result(m: MessageReader): string {
  switch (m.returnTag) {
    case 0:
      return `results=(${capTable(m)})`;
    case 1:
      return `exception=(${exception(m.takeException())})`;
    case 2:
      return "canceled=void";
    case 3:
      return "resultsSentElsewhere=void";
    case 4:
      return `takeFromOtherQuestion=${m.takeFromOtherQuestion}`;
    default:
      return `tag${m.returnTag}`;
  }
}

function exception(e: RpcError): string {
  return `reason=${JSON.stringify(e.message)},type=${ERROR_TYPES[e.wireType]}`;
}

function context(m: MessageReader): string {
  if (m.contextTag === 0) return `senderLoopback=${m.embargoId}`;
  if (m.contextTag === 1) return `receiverLoopback=${m.embargoId}`;
  return `accept=${data(m.takeEmbargo() ?? new Uint8Array(0))}`;
}

function data(bytes: Uint8Array): string {
  return `0x"${Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("")}"`;
}
