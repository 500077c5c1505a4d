// Role: the first tail call to a peer that may not know them, and the way back when it does not (C-TAI-13).
// State: the request, kept until the peer has shown what it makes of it; calls pipelined meanwhile.
// Must not know: who asked.
//
// A peer without `sendResultsTo.yourself` says so by echoing the Call. Had we answered with takeFromOtherQuestion by
// then, the results would be lost: so that Return waits for the first success, and calls pipelined on it wait here, since
// the peer could not tell what they belong to. After an echo the call is made again as an ordinary one, whose results we
// pass on. Order is kept among the pipelined calls; a call made on the target in between has overtaken the retried one.

import type { RpcError } from "../base/errors.js";
import { CallRequest } from "../hook/hook.js";
import { canceledError, LocalResults } from "../hook/promise.js";
import type { Question } from "./question.js";
import type { RemoteTarget } from "./remote.js";

/** What the Answer behind a tail call gets from a peer that has yet to show that it knows them. */
export class TailTrial extends LocalResults {
  protected readonly returnTo: object;
  private readonly target: RemoteTarget;
  private readonly question: Question;
  /** For another try: the same params, with references of their own. */
  private spare: CallRequest | null;

  /** @param spare a second request like the one sent, taken over. */
  constructor(target: RemoteTarget, question: Question, spare: CallRequest) {
    super(target.scheduler);
    this.returnTo = target.state;
    this.target = target.addRef();
    this.question = question;
    this.spare = spare;
    question.trial = this;
  }

  /** The peer ran the call and keeps the results: it knows tail calls. */
  proven(): void {
    this.end();
    if (this.settled) return;
    for (const field of this.takeFields()) this.question.adoptField(field);
    this.settleRedirected(this.question);
  }

  /** The peer does not know tail calls: the call is made once more, as an ordinary one. */
  echoed(): void {
    const { spare, target } = this;
    this.spare = null;
    if (spare !== null && !this.settled) this.forward(target.call(spare));
    else spare?.params.release();
    target.release();
  }

  /** The peer failed the call, or it is lost with the connection. */
  failed(error: RpcError): void {
    this.end();
    this.settle(null, error);
  }

  protected abandonedBeforeForward(): void {
    this.question.cancel();
    this.settle(null, canceledError());
  }

  private end(): void {
    if (this.spare === null) return;
    this.spare.params.release();
    this.spare = null;
    this.target.release();
  }
}

/** A request like `request`, with references of its own, that asks for its results. */
export function secondTry(request: CallRequest): CallRequest {
  const { interfaceHi, interfaceLo, methodId, params, flags, origin } = request;
  const again = new CallRequest(interfaceHi, interfaceLo, methodId, params.own().share(), flags);
  again.origin = origin;
  return again;
}
