// Role: serves Restorer and Proof: redeems references, and lets an owner prove who it is.
// State: per Restorer, for whom it restores; per Proof, its one answer. Must not know: stores, records.

import nacl from "tweetnacl";
import { RpcError } from "../base/errors.js";
import type { Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import { Payload } from "../hook/payload.js";
import { type KeyPair, randomBytes } from "./keys.js";
import {
  ANSWER_BYTES,
  identifyResults,
  METHOD_IDENTIFY,
  METHOD_PROVE,
  METHOD_RESTORE,
  ONE_CAPABILITY,
  PROOF_HI,
  PROOF_LO,
  readIdentifyParams,
  readProveParams,
  RESTORER_HI,
  RESTORER_LO,
  tokenInRestore,
  writeChallenge,
} from "./protocol.js";

/** What a Restorer is a door to. */
export interface Redeemer {
  readonly keys: KeyPair;
  /** @param token anything. @param owner whose references it may be. The caller owns the hook. */
  redeem(token: Uint8Array, owner: Uint8Array | null, signal: AbortSignal): Promise<Hook>;
}

export class RestorerServer implements Server {
  private readonly realm: Redeemer;
  private readonly owner: Uint8Array | null;

  /** @param owner who has proved to be the one who asks; null: nobody has. */
  constructor(realm: Redeemer, owner: Uint8Array | null) {
    this.realm = realm;
    this.owner = owner;
  }

  dispatch(call: LocalCall): void {
    const { interfaceHi, interfaceLo, methodId } = call;
    if (interfaceHi === RESTORER_HI && interfaceLo === RESTORER_LO) {
      if (methodId === METHOD_RESTORE) return this.restore(call);
      if (methodId === METHOD_IDENTIFY) return this.identify(call);
    }
    call.fails(noMethod("a restorer"));
  }

  private restore(call: LocalCall): void {
    const controller = new AbortController();
    call.onCancel = (): void => controller.abort();
    const token = tokenInRestore(call.params.content);
    this.realm.redeem(token, this.owner, controller.signal).then(
      (hook) => call.returns(new Payload(ONE_CAPABILITY, [hook])),
      (error: unknown) => call.fails(RpcError.from(error)),
    );
  }

  private identify(call: LocalCall): void {
    const { realm } = this;
    const owner = readIdentifyParams(call.params.content);
    const answer = randomBytes(ANSWER_BYTES);
    const challenge = realm.keys.seal(writeChallenge(answer), owner);
    const proof = new LocalHook(new ProofServer(realm, owner, answer), call.scheduler);
    call.returns(new Payload(identifyResults(challenge), [proof]));
  }
}

class ProofServer implements Server {
  private readonly realm: Redeemer;
  private readonly owner: Uint8Array;
  private answer: Uint8Array | null;

  constructor(realm: Redeemer, owner: Uint8Array, answer: Uint8Array) {
    this.realm = realm;
    this.owner = owner;
    this.answer = answer;
  }

  dispatch(call: LocalCall): void {
    const { interfaceHi, interfaceLo, methodId } = call;
    if (interfaceHi !== PROOF_HI || interfaceLo !== PROOF_LO || methodId !== METHOD_PROVE)
      return call.fails(noMethod("a proof"));
    const { answer } = this;
    this.answer = null;
    if (answer === null || !nacl.verify(readProveParams(call.params.content), answer)) {
      const message = "the answer is not right, or is not the first; ask for another challenge";
      return call.fails(new RpcError("failed", "identity-refused", message));
    }
    const restorer = new LocalHook(new RestorerServer(this.realm, this.owner), call.scheduler);
    call.returns(new Payload(ONE_CAPABILITY, [restorer]));
  }
}

function noMethod(what: string): RpcError {
  return new RpcError("unimplemented", "method-unimplemented", `${what} has no such method`);
}
