// A streaming upload with progress: a client sends a stream of bytes and a function; a slow server reads the one as fast as it
// can, and calls the other. Prints what was said, and how far the producer ever was ahead of the server.

import { createHash } from "node:crypto";
import { connect, listen, RpcStub, RpcTarget, serve } from "capstan/node";

type Progress = (received: number) => void;

class Store extends RpcTarget {
  /** What the server has read so far. */
  received = 0;

  /** Reads `body` to its end, and tells `progress` at each megabyte. */
  async upload(
    name: string,
    body: ReadableStream<Uint8Array>,
    progress: RpcStub<Progress>,
  ): Promise<{ name: string; bytes: number; sha256: string }> {
    const hash = createHash("sha256");
    this.received = 0;
    let told = 0;
    for await (const chunk of body) {
      hash.update(chunk);
      this.received += chunk.length;
      if (this.received - told < 1_000_000) continue;
      told = this.received;
      // Not awaited: calls on one stub arrive in order, and before the answer.
      void progress(told);
      // A disk that is slower than the network.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { name, bytes: this.received, sha256: hash.digest("hex") };
  }
}

const store = new Store();
await using listener = await listen("tcp://127.0.0.1:0", { bootstrap: serve(store) });
await using session = await connect(listener.url);
using remote = session.bootstrap(RpcStub<Store>);

// Eight megabytes, each chunk made when there is room for it.
const CHUNK = 32 * 1024;
const COUNT = 256;
const expected = createHash("sha256");
let made = 0;
let ahead = 0;
const body = new ReadableStream<Uint8Array>({
  pull(controller) {
    if (made === COUNT) return controller.close();
    const chunk = new Uint8Array(CHUNK).fill(made++);
    expected.update(chunk);
    ahead = Math.max(ahead, made * CHUNK - store.received);
    controller.enqueue(chunk);
  },
});

const done = await remote.upload("zeros.bin", body, (received) =>
  console.log(`${(received / 1e6).toFixed(1)} MB`),
);
console.log(
  `${done.name}: ${done.bytes} bytes, ${expected.digest("hex") === done.sha256 ? "intact" : "damaged"}`,
);
console.log(`at most ${Math.ceil(ahead / 1e6)} MB on their way`);

// A stream that fails is no short file: the method fails with the reason.
const broken = new ReadableStream<Uint8Array>({
  start(controller) {
    controller.enqueue(new Uint8Array(10));
  },
  pull(controller) {
    controller.error(new RangeError("the disk is gone"));
  },
});
await remote
  .upload("half.bin", broken, () => {})
  .then(
    () => console.log("half a file was taken for a whole one"),
    (error: Error) => console.log(`half.bin: ${error.message}`),
  );
