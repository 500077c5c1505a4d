// What the benchmark of the bridge calls. Runs inside workerd.

import { DurableObject, RpcTarget } from "cloudflare:workers";

class Sum extends RpcTarget {
  add(a, b) {
    return a + b;
  }
}

export class Bench extends DurableObject {
  add(a, b) {
    return a + b;
  }

  sum() {
    return new Sum();
  }
}

export default {
  fetch() {
    return new Response("use the debug port", { status: 404 });
  },
};
