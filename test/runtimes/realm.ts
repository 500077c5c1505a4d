// Role: two threads of one program, joined by ordinary messages: one serves, the other runs the scenarios, over a
// MessageChannel a session.
// State: none. Must not know: which kind of worker it is.

import { type MessagePortLike, MessagePortTransport, Session } from "../../src/index.js";
import { Host } from "./server.js";
import { type Outcome, runAll } from "./suite/index.js";

/** The other thread. */
export interface Realm {
  post(message: Message, transfer: MessagePort[]): void;
  listen(listener: (message: Message) => void): void;
}

/** What the threads say to each other outside any session. */
export type Message =
  | { readonly say: "ready" }
  | { readonly say: "run"; readonly http: string }
  | { readonly say: "serve"; readonly port: MessagePort }
  | { readonly say: "outcomes"; readonly outcomes: Outcome[] };

const session = (port: MessagePort, options?: ConstructorParameters<typeof Session>[1]): Session =>
  new Session(new MessagePortTransport("port", port as unknown as MessagePortLike), options);

/** Serves each port that comes, and runs the scenarios against the other thread when it says so. */
export function takePart(realm: Realm): void {
  const host = new Host();
  realm.listen((message) => {
    if (message.say === "serve") host.of(session(message.port, host.options));
    else if (message.say === "run")
      void runOver(realm, message.http).then((outcomes) =>
        realm.post({ say: "outcomes", outcomes }, []),
      );
  });
  realm.post({ say: "ready" }, []);
}

/** Runs the scenarios against the other thread. */
export function runOver(realm: Realm, http: string): Promise<Outcome[]> {
  return runAll(async () => {
    const { port1, port2 } = new MessageChannel();
    realm.post({ say: "serve", port: port2 }, [port2]);
    return session(port1);
  }, http);
}

/** Starts with the other thread, and gives what it says when it is asked to run. */
export function together(
  realm: Realm,
  http: string,
): { ready: Promise<void>; theirs: () => Promise<Outcome[]> } {
  let isReady!: () => void;
  let done!: (outcomes: Outcome[]) => void;
  const ready = new Promise<void>((resolve) => (isReady = resolve));
  const outcomes = new Promise<Outcome[]>((resolve) => (done = resolve));
  const host = new Host();
  realm.listen((message) => {
    if (message.say === "ready") isReady();
    else if (message.say === "outcomes") done(message.outcomes);
    else if (message.say === "serve") host.of(session(message.port, host.options));
  });
  return {
    ready,
    theirs: () => {
      realm.post({ say: "run", http }, []);
      return outcomes;
    },
  };
}
