// Role: the one user of msgpackr: trees of plain values to MessagePack and back.
// State: a codec, a slab for what is written, a scratch for what is read. Must not know: what the trees mean.
//
// msgpackr keeps its extensions, its buffers and its position in variables of the module, shared by everyone who imports it. So
// that nobody can disturb us, we give it only what it asks no extension about (numbers, strings, booleans, null, bigints of 64
// bits, arrays, and objects whose constructor is Object), we let it read only bytes that scan.ts found free of
// extensions, and its output, which another user may overwrite, is copied at once. We register nothing, so we disturb nobody.
// The path "msgpackr/pack" is the same code without Node's native addition, which would only be another parser for strangers' bytes.

import { Packr, RESET_BUFFER_MODE, REUSE_BUFFER_MODE } from "msgpackr/pack";
import type { Span } from "./contract.js";

const packr = new Packr({
  useRecords: false,
  mapsAsObjects: true,
  variableMapSize: true,
  moreTypes: false,
  useToJSON: false,
  copyBuffers: true,
});

const SLAB = 64 * 1024;
let slab = new Uint8Array(SLAB);
let used = 0;

/** Room for `length` bytes that nobody else has, or will have. */
function room(length: number): Uint8Array {
  if (length > SLAB >> 3) return new Uint8Array(length);
  if (used + length > SLAB) {
    slab = new Uint8Array(SLAB);
    used = 0;
  }
  const at = used;
  used += length;
  return slab.subarray(at, used);
}

/** No window on its memory, and that memory free for the next, since what it holds is copied at once. */
const MODE = REUSE_BUFFER_MODE | RESET_BUFFER_MODE;

/** Below this, a loop is faster than a window and `set`. */
const SHORT = 64;

/** A tree as MessagePack: behind a byte `first`, if that is not negative, and before a tail. */
export function pack(
  first: number,
  tree: unknown,
  tail: readonly Uint8Array[],
  tailBytes: number,
): Uint8Array {
  const packed = packr.pack(tree, MODE);
  const { start, end } = packed;
  const ahead = first < 0 ? 0 : 1;
  const out = room(ahead + end - start + tailBytes);
  if (ahead === 1) out[0] = first;
  let at = ahead;
  if (end - start < SHORT) for (let i = start; i < end; i++) out[at++] = packed[i]!;
  else {
    out.set(packed.subarray(start, end), at);
    at += end - start;
  }
  for (const bytes of tail) {
    out.set(bytes, at);
    at += bytes.length;
  }
  return out;
}

/** A tree as MessagePack where msgpackr left it: to be copied at once, before anybody packs again. */
export function packBorrowed(tree: unknown): Span {
  const bytes = packr.pack(tree, MODE);
  return { bytes, from: bytes.start, to: bytes.end };
}

/** msgpackr leaves a DataView on the array it reads from: ours, made once, not one on each message. */
const SCRATCH = 4096;
const scratch = new Uint8Array(SCRATCH);

/** The tree in `bytes[start, end)`, which scan.ts found to be one item of core MessagePack. */
export function unpack(bytes: Uint8Array, start: number, end: number): unknown {
  const length = end - start;
  if (length > SCRATCH)
    return packr.unpack(new Uint8Array(bytes.buffer, bytes.byteOffset + start, length));
  if (length > SHORT) scratch.set(bytes.subarray(start, end));
  else for (let i = 0; i < length; i++) scratch[i] = bytes[start + i]!;
  return packr.unpack(scratch, length);
}
