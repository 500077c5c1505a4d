// Role: the message that is answered without the object, and its answer.
// State: both. Must not know: sockets.

import { invalidArgument } from "../../base/checks.js";
import { RpcError } from "../../base/errors.js";

/** Characters that either may have. */
const MOST_CHARACTERS = 2048;

/**
 * A message and what is answered to it, for `ctx.setWebSocketAutoResponse`.
 *
 * @throws RpcError invalid-argument for what is no text; limit-exceeded for one of more than 2048 characters.
 * @example ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
 * Source: the class of Workers.
 */
export class WebSocketRequestResponsePair {
  readonly #request: string;
  readonly #response: string;

  constructor(request: string, response: string) {
    for (const text of [request, response]) {
      if (typeof text !== "string") throw invalidArgument("request and response are texts");
      if (text.length <= MOST_CHARACTERS) continue;
      const message = `request and response have at most ${MOST_CHARACTERS} characters each`;
      throw new RpcError("overloaded", "limit-exceeded", message);
    }
    this.#request = request;
    this.#response = response;
  }

  get request(): string {
    return this.#request;
  }

  get response(): string {
    return this.#response;
  }
}
