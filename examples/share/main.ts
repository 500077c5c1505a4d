// A share that can be taken back: what is handed over stands behind a membrane, and so does all that is got through it.
// node build/programs/examples/share/main.js

import {
  connect,
  listen,
  Membrane,
  processScheduler,
  RpcError,
  RpcStub,
  RpcTarget,
  serve,
} from "capstan/node";

class File extends RpcTarget {
  #text: string;
  constructor(text: string) {
    super();
    this.#text = text;
  }
  read(): string {
    return this.#text;
  }
  async watch(tell: RpcStub<(text: string) => void>): Promise<string> {
    await tell(this.#text);
    return new Promise(() => {}); // for as long as the caller stays
  }
}

class Folder extends RpcTarget {
  readonly #files = new Map([["plan", new File("World peace.")]]);
  open(name: string): File {
    const file = this.#files.get(name);
    if (file === undefined) throw new Error(`there is no ${name}`);
    return file;
  }
}

const folder = new Folder();

/** What everyone can reach: it knows who may share what. Here: one folder, by a share that its owner can end. */
class Shares extends RpcTarget {
  #membrane: Membrane | null = null;
  share(): RpcStub<Folder> {
    let calls = 0;
    this.#membrane = new Membrane(
      {
        // Sees every call that crosses, in either direction, and may refuse it.
        call: (direction) =>
          direction === "inward" && ++calls > 100
            ? new RpcError("overloaded", "limit-exceeded", "this share was used up")
            : undefined,
      },
      processScheduler(),
    );
    const hook = serve(folder);
    const behind = this.#membrane.wrap(hook);
    hook.release(); // the membrane holds one of its own
    return new RpcStub<Folder>(behind); // given: the caller's from now on
  }
  revoke(): void {
    this.#membrane?.revoke(new RpcError("failed", "capability-revoked", "Ada took it back"));
  }
}

const shares = new Shares();
await using listener = await listen("tcp://:0", { bootstrap: serve(shares) });
await using session = await connect(listener.url);
using stub = session.bootstrap(RpcStub<Shares>);

using shared = await stub.share();
using plan = await shared.open("plan");
console.log(`the guest reads: ${await plan.read()}`);
const watching = plan.watch((text) => console.log(`the guest is told: ${text}`));
const watched = watching.catch((error: Error) => console.log(`the watch ended: ${error.message}`));
await plan.read(); // by now the watch has told

shares.revoke();
await watched;

// The folder, and the file that was got through it long before.
for (const [what, call] of [
  ["the folder", () => shared.open("plan").read()],
  ["the file", () => plan.read()],
] as const)
  await call().catch((error: Error) => console.log(`${what}: ${error.message}`));

// Its owner has the folder as before.
console.log(`the owner reads: ${folder.open("plan").read()}`);
