// Role: a page. Offers to whoever drives the browser what can be run in it.
// State: none. Must not know: scenarios.

import { connect } from "../../../src/index.js";
import { type Message, type Realm, runOver, together } from "../realm.js";
import { type Outcome, runAll } from "../suite/index.js";

export interface Page {
  /** This page calls a server. */
  webSocket(url: string, http: string): Promise<Outcome[]>;
  /** This page calls a Web Worker, then a Web Worker calls this page. */
  worker(direction: "to" | "from", http: string): Promise<Outcome[]>;
}

const page: Page = {
  webSocket: (url, http) => runAll(() => connect(url), http),
  async worker(direction, http) {
    const worker = new Worker("./web-worker.js", { type: "module" });
    const realm: Realm = {
      post: (message, transfer) => worker.postMessage(message, transfer),
      listen: (listener) =>
        worker.addEventListener("message", (event: MessageEvent<Message>) => listener(event.data)),
    };
    const { ready, theirs } = together(realm, http);
    try {
      await ready;
      return await (direction === "to" ? runOver(realm, http) : theirs());
    } finally {
      worker.terminate();
    }
  },
};

Object.assign(globalThis, { page });
