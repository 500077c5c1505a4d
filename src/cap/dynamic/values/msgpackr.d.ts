// Role: the types of the part of msgpackr that pack.ts uses.
// State: none. Must not know: anything else of msgpackr.
//
// msgpackr's own types for this path import a module that is not there, so `paths` in tsconfig.json leads the compiler here.
// Bundlers that read tsconfig.json must be given dist/, not src/, or they follow it too.

export class Packr {
  constructor(options: {
    useRecords: false;
    mapsAsObjects: true;
    variableMapSize: true;
    moreTypes: false;
    useToJSON: false;
    copyBuffers: true;
  });
  /** Memory of msgpackr's, which holds the packed bytes from `start` to `end` until anyone packs again. */
  pack(value: unknown, mode: number): Uint8Array & { readonly start: number; readonly end: number };
  /** @param end where the item ends, if not with the bytes. */
  unpack(bytes: Uint8Array, end?: number): unknown;
}

export const REUSE_BUFFER_MODE: number;
export const RESET_BUFFER_MODE: number;
