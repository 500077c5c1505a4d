// Role: what users hold of a Restorer: gives references back for saved ones.
// State: one reference to a hook. Must not know: realms, stores.

import { wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { CallOptions } from "../cap/call-options.js";
import type { TermsOptions } from "../cap/dynamic/terms.js";
import { makeCalls } from "../cap/dynamic/turn.js";
import { Client, hookOf } from "../cap/typed/runtime/client.js";
import { CallRequest, type Hook } from "../hook/hook.js";
import { HOLD, type Holder, holderOf } from "../hook/holder.js";
import { Payload } from "../hook/payload.js";
import { ask } from "./ask.js";
import type { KeyPair } from "./keys.js";
import {
  CAP_PATH,
  identifyParams,
  METHOD_IDENTIFY,
  METHOD_PROVE,
  METHOD_RESTORE,
  PROOF_HI,
  PROOF_LO,
  proveParams,
  readChallenge,
  readIdentifyResults,
  RESTORER_HI,
  RESTORER_LO,
  restoreParams,
} from "./protocol.js";
import type { SturdyRef } from "./sturdy-ref.js";

/** Longer than any challenge: what is longer is not even opened. */
const MOST_CHALLENGE_BYTES = 256;

/**
 * Redeems saved references at the realm that made them. It is a capability like others: the bootstrap object of a session,
 * the result of a method, or passed on. Holds one reference until it is disposed.
 *
 * @example
 * using restorer = session.bootstrap(Restorer);
 * using room = restorer.restore(ref, RpcStub<Room>);
 * await room.post("I am back"); // one round trip in all
 * Source: schema/restorer.capnp; C-PER-06.
 */
export class Restorer extends Client {
  private readonly terms: TermsOptions | undefined;

  /** @param hook one reference, taken over. @param terms what stubs that it gives are made with. */
  constructor(hook: Hook, terms?: TermsOptions) {
    super(hook);
    this.terms = terms;
  }

  /**
   * A restorer of its own for what a stub, a client, or a promise of one stands for.
   * @throws RpcError capability-disposed; invalid-argument for anything else.
   */
  static of(holder: Holder, terms?: TermsOptions): Restorer {
    const known = holderOf(holder);
    if (known !== undefined) return new Restorer(known[HOLD](false), terms);
    throw wrongArgument("Restorer.of takes a stub or a client", holder);
  }

  override dup(): this {
    return new Restorer(hookOf(this).addRef(), this.terms) as this;
  }

  /**
   * What `ref` stands for, usable at once: calls on it travel with the question for it. It is live and on its own: neither who
   * saved the reference nor the connection that it was saved on are needed any more.
   *
   * @param type `RpcStub<T>`, or a client class.
   * @returns to be disposed. When the reference is not accepted every call on it fails, with one error for whatever reason.
   * @throws RpcError capability-disposed; invalid-argument for what is no SturdyRef, such as its text, and for no type.
   * Source: C-PER-05, C-PER-10, C-PER-12.
   */
  restore<C>(ref: SturdyRef, type: new (hook: Hook, terms?: TermsOptions) => C): C {
    if (typeof type !== "function")
      throw wrongArgument("restore takes what to make of it: RpcStub, or a client class", type);
    const hook = hookOf(this);
    const params = new Payload(restoreParams(ref));
    makeCalls();
    const results = hook.call(new CallRequest(RESTORER_HI, RESTORER_LO, METHOD_RESTORE, params));
    const restored = results.pipeline(CAP_PATH);
    results.cancel();
    return new type(restored, this.terms);
  }

  /**
   * A restorer that also restores what was saved for the owner of `keys`. The owner shows that it has the secret key by opening
   * a box; the key itself goes nowhere.
   *
   * @param realm the public key of the realm, from whoever is trusted to know it. The restorer has to prove to be that
   *   realm's first, so that it cannot pass the proof on to be the owner elsewhere.
   * @returns to be disposed.
   * @throws RpcError identity-refused when either side cannot prove itself.
   */
  async identify(keys: KeyPair, realm: Uint8Array, options?: CallOptions): Promise<Restorer> {
    const params = identifyParams(keys.publicKey);
    const asked = await ask(
      hookOf(this),
      RESTORER_HI,
      RESTORER_LO,
      METHOD_IDENTIFY,
      params,
      options,
    );
    try {
      const { challenge, proof } = readIdentifyResults(asked.content);
      const hook = asked.caps[proof];
      const opened = challenge.length > MOST_CHALLENGE_BYTES ? null : keys.open(challenge, realm);
      const answer = opened && readChallenge(opened);
      if (answer === null || hook === undefined || hook === null) {
        const message = "the restorer does not prove to be of the realm that was expected";
        throw new RpcError("failed", "identity-refused", message);
      }
      const given = await ask(hook, PROOF_HI, PROOF_LO, METHOD_PROVE, proveParams(answer), options);
      return new Restorer(capOf(given), this.terms);
    } finally {
      asked.release();
    }
  }
}

/** The only capability of results that are one, taken out of them. */
function capOf(payload: Payload): Hook {
  const hook = payload.caps[0]?.addRef();
  payload.release();
  if (hook !== undefined) return hook;
  throw new RpcError("failed", "invalid-payload", "the results hold no capability");
}
