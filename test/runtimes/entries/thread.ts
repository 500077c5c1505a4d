// Role: a worker thread of Node. State: none. Must not know: scenarios.

import { parentPort } from "node:worker_threads";
import { type Message, takePart } from "../realm.js";

takePart({
  post: (message, transfer) => parentPort!.postMessage(message, transfer as never),
  listen: (listener) => void parentPort!.on("message", (message: Message) => listener(message)),
});
