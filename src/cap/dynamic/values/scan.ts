// Role: looks over received MessagePack before anything is made of it.
// State: a stack of counts, used within one call. Must not know: what the items mean.
//
// msgpackr's reader recurses, trusts lengths, and calls whatever extension anyone in the process registered. After this
// scan it cannot go wrong: every item lies within the bytes, nesting and count are within budget, there is no extension
// type and no unused token, and every key of a map is a string other than `__proto__`, which msgpackr would rename.

import { invalidValue, overLimit } from "./failures.js";

/** Where the item ends, and how many items it is made of, after {@link scan}. */
export const scanned = { end: 0, nodes: 0 };

/** Items left at each level above: below zero, and less by one, for a map, of which keys and values are counted. */
let stack = new Float64Array(512);

const SHORT = "it ends too early";
const PROTO = [0x5f, 0x5f, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x5f, 0x5f];

/**
 * Scans one item from `start` on.
 *
 * @param end where the bytes end. @param maps whether maps and byte strings are there: not in the extended form.
 * @throws RpcError invalid-payload or limit-exceeded.
 */
export function scan(
  bytes: Uint8Array,
  start: number,
  end: number,
  maps: boolean,
  maxDepth: number,
  maxNodes: number,
): void {
  if (stack.length < maxDepth) stack = new Float64Array(maxDepth);
  let at = start;
  let depth = 0;
  let left = 1;
  let inMap = false;
  let nodes = 0;
  for (;;) {
    while (left === 0) {
      if (depth === 0) {
        scanned.end = at;
        scanned.nodes = nodes;
        return;
      }
      const above = stack[--depth]!;
      inMap = above < 0;
      left = inMap ? -above - 1 : above;
    }
    const isKey = inMap && (left & 1) === 0;
    left--;
    if (++nodes > maxNodes) throw overLimit("nodes", maxNodes, "the value");
    if (at >= end) throw invalidValue(SHORT);
    const token = bytes[at++]!;
    if (isKey && !isString(token)) throw invalidValue("the key of a map is no string");
    if (token < 0x80 || token >= 0xe0) continue;
    let count = -1;
    let isMap = false;
    let skip = 0;
    if (token >= 0xa0 && token < 0xc0) skip = token & 31;
    else if (token < 0x90) {
      count = token & 15;
      isMap = true;
    } else if (token < 0xa0) count = token & 15;
    else {
      switch (token) {
        case 0xc0:
        case 0xc2:
        case 0xc3:
          continue;
        case 0xc4:
        case 0xc5:
        case 0xc6: {
          if (!maps) throw invalidValue("a byte string stands in an extended value");
          const size = 1 << (token - 0xc4);
          skip = size + number(bytes, at, size, end);
          break;
        }
        case 0xca:
        case 0xce:
        case 0xd2:
          skip = 4;
          break;
        case 0xcb:
        case 0xcf:
        case 0xd3:
          skip = 8;
          break;
        case 0xcc:
        case 0xd0:
          skip = 1;
          break;
        case 0xcd:
        case 0xd1:
          skip = 2;
          break;
        case 0xd9:
        case 0xda:
        case 0xdb: {
          const size = 1 << (token - 0xd9);
          const length = number(bytes, at, size, end);
          at += size;
          skip = length;
          break;
        }
        case 0xdc:
        case 0xde:
          count = number(bytes, at, 2, end);
          at += 2;
          isMap = token === 0xde;
          break;
        case 0xdd:
        case 0xdf:
          count = number(bytes, at, 4, end);
          at += 4;
          isMap = token === 0xdf;
          break;
        default:
          throw invalidValue(`the token 0x${token.toString(16)} has no meaning here`);
      }
    }
    if (count < 0) {
      if (skip > end - at) throw invalidValue(SHORT);
      if (isKey && skip === PROTO.length && isProto(bytes, at))
        throw invalidValue("the key of a map is __proto__");
      at += skip;
      continue;
    }
    if (isMap && !maps) throw invalidValue("a map stands in an extended value");
    if (depth >= maxDepth) throw overLimit("depth", maxDepth, "the value");
    stack[depth++] = inMap ? -left - 1 : left;
    left = isMap ? 2 * count : count;
    inMap = isMap;
  }
}

function isString(token: number): boolean {
  return (token >= 0xa0 && token < 0xc0) || (token >= 0xd9 && token <= 0xdb);
}

function isProto(bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < PROTO.length; i++) if (bytes[at + i] !== PROTO[i]) return false;
  return true;
}

function number(bytes: Uint8Array, at: number, size: number, end: number): number {
  if (at + size > end) throw invalidValue(SHORT);
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i]!;
  return value;
}
