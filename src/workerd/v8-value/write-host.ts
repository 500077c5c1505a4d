// Role: the host objects of workerd: externals, Blobs, fired signals, Headers, Requests, Responses.
// State: none. Must not know: how an external travels.
//
// What workerd would refuse to make again is refused here, where its path is known.

import { REQUEST_DEFAULTS } from "../../cap/dynamic/values/kinds.js";
import type { Part } from "../../cap/dynamic/values/parts.js";
import { commonHeader, HostTag, Tag, UNGUARDED } from "./tags.js";
import type { ValueWriter } from "./writer.js";

/** Of what differs from the default, what a Request of workerd may be made with. */
const REQUEST_CHOICES = new Map<string, readonly unknown[]>([
  ["redirect", ["manual"]],
  ["cache", ["no-store", "no-cache"]],
]);

/** What was found in the walk: an external, a Blob, or a signal that has fired. */
export function writeCollected(writer: ValueWriter, index: number): void {
  const { out } = writer;
  const found = writer.found[index]!;
  if ("blob" in found) {
    const { blob, path } = found;
    out.varint(HostTag.blob);
    out.utf8(blob.type);
    out.varint(blob.size);
    writer.blobs.push({ blob, path, at: out.zeros(blob.size) });
    return;
  }
  if ("reason" in found) {
    writeSignal(writer, true);
    writer.child(found.reason, "reason");
    return;
  }
  if (found.kind === "abortSignal") {
    writeSignal(writer, false);
    out.byte(Tag.undefined);
  } else out.varint(HostTag[found.kind]);
  writer.externals.push(found.index);
}

/** All but the reason. */
function writeSignal({ out }: ValueWriter, aborted: boolean): void {
  out.varint(HostTag.abortSignal);
  out.varint(aborted ? 1 : 0);
  out.varint(0);
}

export function writeHeaders(writer: ValueWriter, { parts }: Part): void {
  const { out } = writer;
  out.varint(HostTag.headers);
  out.varint(UNGUARDED);
  out.varint(parts.length / 2);
  for (let i = 0; i < parts.length; i += 2) {
    const name = parts[i] as string;
    const id = commonHeader(name);
    out.varint(id);
    if (id === 0) out.utf8(name);
    out.utf8(parts[i + 1] as string);
  }
}

export function writeRequest(writer: ValueWriter, { parts }: Part): void {
  const { out } = writer;
  const [url, method, headers, body, ...chosen] = parts;
  out.varint(HostTag.request);
  out.utf8(url as string);
  const init: unknown[] = ["method", method, "headers", headers, "body", body];
  for (let i = 0; i < chosen.length; i += 2) {
    const name = chosen[i] as string;
    const value = chosen[i + 1];
    if (!REQUEST_CHOICES.get(name)?.includes(value))
      throw writer.refuse(
        `a Request of workerd has no such ${name}: make it with ${JSON.stringify(REQUEST_DEFAULTS.get(name))}`,
        name,
      );
    init.push(name, value);
  }
  writeInit(writer, init);
}

export function writeResponse(writer: ValueWriter, { parts }: Part): void {
  const [status, statusText, headers, body] = parts;
  writer.out.varint(HostTag.response);
  writer.child(body, "body");
  const init: unknown[] = ["status", status];
  // Without one it is what the status is usually called.
  if (statusText !== "") init.push("statusText", statusText);
  writeInit(writer, [...init, "headers", headers]);
}

function writeInit(writer: ValueWriter, init: readonly unknown[]): void {
  writer.out.byte(Tag.object);
  writer.number();
  writer.properties(init, Tag.objectEnd);
}
