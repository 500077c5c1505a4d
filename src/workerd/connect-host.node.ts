// Role: the way through HTTP to a Worker's entry point: CONNECT, and then Cap'n Proto on the same socket.
// State: the head of the answer, until it is there. Must not know: what is said after that.

import net from "node:net";
import { invalidArgument } from "../base/checks.js";
import { notMade } from "../transport/connect-error.js";
import { attempt, type AttemptOptions } from "../transport/attempt.js";
import { hintFor } from "../transport/connect-hints.js";
import { socketTransport } from "../transport/socket.node.js";
import {
  type Transport,
  transportSettings,
  type TransportOptions,
} from "../transport/transport.js";
import { isConnectHost, workerdAddress } from "./address.js";

/** Bytes of the head of an answer; workerd's is 19 long. */
const MOST_HEAD = 16_384;

/**
 * Connects to a socket of workerd that has `capnpConnectHost`.
 *
 * @param url `unix:/path` or `tcp://host:port`. @param host exactly as it is configured there.
 * @throws RpcError invalid-argument for what is no address, or no host; connect-failed; http-refused when the answer is not 200: the host is another, or there is none.
 */
export async function connectThrough(
  url: string,
  host: string,
  options: TransportOptions & AttemptOptions,
): Promise<Transport> {
  transportSettings(options);
  if (!isConnectHost(host)) throw invalidArgument("capnpConnectHost is a name without spaces");
  const where = workerdAddress(url);
  const outcome = await attempt<net.Socket | string>(url, options, (done, failed) => {
    const socket = net.connect(where);
    let head = Buffer.alloc(0);
    const stop = (): void => {
      socket.off("error", onError);
      socket.off("end", onEnd);
      socket.off("data", onData);
      socket.pause();
    };
    const refuse = (why: string): void => {
      stop();
      socket.destroy();
      done(why);
    };
    const onError = (cause: Error): void => failed(cause, hintFor(cause));
    const onEnd = (): void => refuse("it closed the connection");
    const onData = (chunk: Buffer): void => {
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) {
        if (head.length > MOST_HEAD) refuse("its answer has no end");
        return;
      }
      const [line = ""] = head.toString("latin1", 0, end).split("\r\n");
      if (!/^HTTP\/1\.[01] 200(?: |$)/.test(line)) return refuse(`its answer is ${line}`);
      stop();
      if (head.length > end + 4) socket.unshift(head.subarray(end + 4));
      done(socket);
    };
    socket.on("error", onError);
    socket.on("end", onEnd);
    socket.on("data", onData);
    socket.write(`CONNECT ${host} HTTP/1.1\r\n\r\n`);
    return () => socket.destroy();
  });
  if (typeof outcome !== "string") return socketTransport(url, outcome, options);
  const message = `${url} does not take CONNECT ${host}: ${outcome}; is that its capnpConnectHost?`;
  throw notMade("http-refused", message, outcome);
}
