// A Worker that asks the questions of probes.js over Workers RPC, of an entrypoint of its own.

import { RpcTarget, WorkerEntrypoint } from "cloudflare:workers";
import { answers, apiOf, fates } from "./probes.js";

const Api = apiOf(RpcTarget);

export class Served extends WorkerEntrypoint {
  api() {
    return new Api();
  }
}

export default {
  async fetch(_request, env) {
    const api = await env.SERVED.api();
    const found = {
      values: await fates((value) => api.echo(value)),
      rules: await answers(() => env.SERVED.api()),
    };
    return Response.json(found);
  },
};
