// The object that the smoke test calls. Runs inside workerd.

import { DurableObject } from "cloudflare:workers";

export class Room extends DurableObject {
  add(a, b) {
    return a + b;
  }

  /** The number of bytes in a stream. */
  async size(stream) {
    let size = 0;
    for await (const chunk of stream) size += chunk.length;
    return size;
  }

  /** A stream of 200,000 bytes. */
  give() {
    const { readable, writable } = new IdentityTransformStream();
    const writer = writable.getWriter();
    this.ctx.waitUntil(writer.write(new Uint8Array(200_000).fill(7)).then(() => writer.close()));
    return readable;
  }

  /** Writes three chunks. */
  async fill(into) {
    const writer = into.getWriter();
    for (let i = 1; i <= 3; i++) await writer.write(new Uint8Array(1000).fill(i));
    await writer.close();
  }

  /** Pipes the one into the other: workerd gets out of the way of the bytes. */
  async copy(from, into) {
    await from.pipeTo(into);
  }
}

export default {
  fetch() {
    return new Response("use the debug port", { status: 404 });
  },
};
