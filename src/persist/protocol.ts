// Role: Persistent of schema/persistent.capnp and Restorer of schema/restorer.capnp, on their bytes.
// State: none but scratch. Must not know: stores, keys, who may restore what.

import { RpcError } from "../base/errors.js";
import { Content } from "../wire/content.js";
import { ContentBuilder, StructReader } from "../wire/struct.js";
import { contentOf, SturdyRef } from "./sturdy-ref.js";

/** Persistent. */
export const PERSISTENT_ID = 0xc8cb212fcd9f5691n;
export const PERSISTENT_HI = 0xc8cb212f | 0;
export const PERSISTENT_LO = 0xcd9f5691 | 0;
export const METHOD_SAVE = 0;

/** Restorer. */
export const RESTORER_HI = 0xa116bab9 | 0;
export const RESTORER_LO = 0xfff2865e | 0;
export const METHOD_RESTORE = 0;
export const METHOD_IDENTIFY = 1;

/** Proof. */
export const PROOF_HI = 0x9c97ff13 | 0;
export const PROOF_LO = 0x99cf8ad2 | 0;
export const METHOD_PROVE = 0;

/** Where the capability is in the results of restore and of prove. */
export const CAP_PATH: readonly number[] = Object.freeze([0]);
/** A struct of one capability, number 0 of the table. */
export const ONE_CAPABILITY: Content = /* @__PURE__ */ new Content(
  new Uint8Array([0, 0, 0, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0]),
);

const builder = /* @__PURE__ */ new ContentBuilder(256);

/** A struct of one pointer, to whatever `content` holds; its capabilities do not come along. */
function onePointer(content: Content | null): Content {
  const root = builder.root(0, 1);
  if (content !== null) root.any(0, content, null);
  return builder.finish().own();
}

/** A struct of one Data, as a content: an Owner, a SturdyRef of ours, the params of prove. */
function oneData(bytes: Uint8Array): Content {
  builder.root(0, 1).data(0, bytes);
  return builder.finish().own();
}

/** Of a struct of one pointer: what it leads to. @throws RpcError invalid-payload. */
function readPointer(content: Content): Content {
  return StructReader.of(content).any(0);
}

/** Of a struct of one Data: a copy. @throws RpcError invalid-payload. */
function readData(content: Content): Uint8Array {
  return StructReader.of(content).data(0).slice();
}

/** @param sealFor an owner, as its realm defines that; null for everyone. */
export const saveParams = onePointer;

/** For whom to save; null for everyone, also where params of version 0.5 have no such field (C-PER-02). @throws RpcError invalid-payload. */
export function readSaveParams(content: Content): Content | null {
  const root = StructReader.of(content);
  return root.isNull(0) ? null : root.any(0);
}

export const saveResults = (ref: SturdyRef): Content => onePointer(contentOf(ref));

/** @throws RpcError invalid-payload when there is no reference in it. */
export function readSaveResults(content: Content): SturdyRef {
  return SturdyRef.of(readPointer(content));
}

export const ownerOf = oneData;
/** The public key in an Owner. @throws RpcError invalid-payload. */
export const readOwner = readData;

export const refOfToken = (token: Uint8Array): SturdyRef => SturdyRef.of(oneData(token));

/** The token in a reference of ours; empty in anything else. Reads no more of it than that. */
export function tokenIn(ref: Content): Uint8Array {
  return tokenOf(() => StructReader.of(ref));
}

export const restoreParams = (ref: SturdyRef): Content => onePointer(contentOf(ref));

/** The token in the params of restore; empty where there is none. */
export function tokenInRestore(content: Content): Uint8Array {
  return tokenOf(() => StructReader.of(content).struct(0));
}

function tokenOf(ref: () => StructReader): Uint8Array {
  try {
    return ref().data(0);
  } catch {
    return new Uint8Array(0);
  }
}

export function identifyParams(publicKey: Uint8Array): Content {
  builder.root(0, 1).struct(0, 0, 1).data(0, publicKey);
  return builder.finish().own();
}

/** The public key of who asks. @throws RpcError invalid-payload. */
export function readIdentifyParams(content: Content): Uint8Array {
  return StructReader.of(content).struct(0).data(0).slice();
}

/** The Proof is number 0 of the table. */
export function identifyResults(challenge: Uint8Array): Content {
  const root = builder.root(0, 2);
  root.data(0, challenge);
  root.capability(1, 0);
  return builder.finish().own();
}

/** @returns the challenge, and the index of the Proof in the table, or -1. @throws RpcError invalid-payload. */
export function readIdentifyResults(content: Content): { challenge: Uint8Array; proof: number } {
  const root = StructReader.of(content);
  return { challenge: root.data(0).slice(), proof: root.capability(1) };
}

export const proveParams = oneData;
/** @throws RpcError invalid-payload. */
export const readProveParams = readData;

const CHALLENGE = /* @__PURE__ */ new TextEncoder().encode("capstan restorer 1 ");
export const ANSWER_BYTES = 32;

/** What is sealed in a challenge. Its beginning keeps it apart from all else that a key may have sealed. */
export function writeChallenge(answer: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(CHALLENGE.length + ANSWER_BYTES);
  bytes.set(CHALLENGE);
  bytes.set(answer, CHALLENGE.length);
  return bytes;
}

/** The answer in it; null when it is no challenge. */
export function readChallenge(opened: Uint8Array): Uint8Array | null {
  const right =
    opened.length === CHALLENGE.length + ANSWER_BYTES &&
    CHALLENGE.every((byte, i) => opened[i] === byte);
  return right ? opened.slice(CHALLENGE.length) : null;
}

/** One error for every reference that is not restored (C-PER-05): what is wrong with it is nobody's business. */
export function refused(): RpcError {
  const message =
    "the saved reference is not accepted: it may be unknown, revoked, expired, damaged, or saved for another owner";
  return new RpcError("failed", "reference-refused", message);
}
