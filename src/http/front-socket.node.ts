// Role: one end of a WebSocket joined to a connection of the `ws` package.
// State: why the connection broke. Must not know: requests, capabilities.

import type { WebSocket } from "ws";
import { RpcError } from "../base/errors.js";
import type { SocketEnd } from "./socket-end.js";

/** Joins them: what arrives at one goes out at the other, no faster than it is taken there. */
export function joinSocket(ws: WebSocket, end: SocketEnd): void {
  let error: RpcError | null = null;
  ws.binaryType = "nodebuffer";
  ws.on("message", (data: Buffer, isBinary: boolean) => {
    end.send(isBinary ? data : data.toString());
    if (!end.isFull) return;
    ws.pause();
    void end.drained().then(() => ws.resume());
  });
  ws.on("error", (cause) => {
    error = new RpcError(
      "disconnected",
      "connection-lost",
      `the WebSocket broke: ${cause.message}`,
    );
  });
  ws.on("close", (code, reason) => {
    if (code === 1006) end.lose(error);
    else end.close(code, reason.toString());
  });
  end.receive({
    message: (message) =>
      new Promise((resolve, reject) => {
        ws.send(message, { binary: typeof message !== "string" }, (cause) => {
          if (cause)
            reject(error ?? new RpcError("disconnected", "connection-lost", cause.message));
          else resolve();
        });
      }),
    closed(code, reason) {
      if (code === 1005) ws.close();
      else ws.close(code, Buffer.from(reason).subarray(0, 123));
    },
    // Without a close frame, as it was here.
    lost: () => ws.terminate(),
  });
}
