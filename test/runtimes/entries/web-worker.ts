// Role: a Web Worker. State: none. Must not know: scenarios.

import { type Message, takePart } from "../realm.js";

takePart({
  post: (message, transfer) => self.postMessage(message, { transfer }),
  listen: (listener) =>
    self.addEventListener("message", (event: MessageEvent<Message>) => listener(event.data)),
});
