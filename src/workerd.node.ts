/// <reference types="node" preserve="true" />
// Role: the entry `capstan/workerd`: the bridge to Cloudflare's open-source runtime.
// State: none. Must not know: anything of its own.

export {
  connectWorker,
  connectWorkerd,
  Workerd,
  type WorkerdOptions,
  WorkerSocket,
} from "./workerd/connect.node.js";
export type { Entrypoint, EntrypointMaker, WorkerdEvent } from "./workerd/entrypoint.js";
export { serveWorkerd, type ServeWorkerdOptions } from "./workerd/listen.node.js";
export { objectIdText, type WorkerdObjectId } from "./workerd/object-id.node.js";
export { Listener } from "./vat/listen.node.js";
export { ServiceToken } from "./workerd/token.js";
