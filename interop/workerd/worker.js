// The object that the smoke test calls. Runs inside workerd.

import { DurableObject } from "cloudflare:workers";

export class Room extends DurableObject {
  add(a, b) {
    return a + b;
  }
}

export default {
  fetch() {
    return new Response("use the debug port", { status: 404 });
  },
};
