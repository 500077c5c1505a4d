// Role: which headers go along with a message, and which belong to the connection it came over.
// State: none. Must not know: how headers are encoded.

import type { HeaderList } from "./messages.js";

/** What says something of one connection, and nothing to whoever is behind it (RFC 9110, 7.6.1). */
const HOP_BY_HOP: ReadonlySet<string> = /* @__PURE__ */ new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** A request's own headers, once those of its connection are gone; `content-length` too, since the size goes beside them. */
export function requestHeaders(headers: HeaderList, upgrades: boolean): HeaderList {
  const kept = endToEnd(headers).filter(([name]) => name.toLowerCase() !== "content-length");
  // The one thing of a connection that is asked of the service: RFC 6455's handshake is otherwise this side's.
  return upgrades ? [...kept, ["Upgrade", "websocket"]] : kept;
}

/** @param hasBody then its size goes beside them; otherwise `content-length` tells of the body that another method gets. */
export function responseHeaders(headers: HeaderList, hasBody: boolean): HeaderList {
  const kept = endToEnd(headers);
  return hasBody ? kept.filter(([name]) => name.toLowerCase() !== "content-length") : kept;
}

/** Without those of one connection, and those that `Connection` names as such. */
export function endToEnd(headers: HeaderList): HeaderList {
  const named = new Set<string>();
  for (const [name, value] of headers)
    if (name.toLowerCase() === "connection")
      for (const option of value.split(",")) named.add(option.trim().toLowerCase());
  return headers.filter(([name]) => {
    const lower = name.toLowerCase();
    return !HOP_BY_HOP.has(lower) && !named.has(lower);
  });
}

/** Whether a request asks for a WebSocket. */
export function asksForWebSocket(method: string, headers: HeaderList): boolean {
  return (
    method === "GET" &&
    headers.some(
      ([name, value]) =>
        name.toLowerCase() === "upgrade" && value.trim().toLowerCase() === "websocket",
    )
  );
}

/** Each cookie by itself. */
export function listOf(headers: Headers): HeaderList {
  const list: [string, string][] = [];
  headers.forEach((value, name) => {
    if (name !== "set-cookie") list.push([name, value]);
  });
  for (const cookie of headers.getSetCookie()) list.push(["set-cookie", cookie]);
  return list;
}

export function headersOf(list: HeaderList): Headers {
  const headers = new Headers();
  for (const [name, value] of list) headers.append(name, value);
  return headers;
}
