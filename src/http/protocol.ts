// Role: the ids, ordinals and enums of HTTP over capabilities, as schema/http.capnp has them.
// State: none. Must not know: the layouts of structs, who serves or asks.

/** HttpService of capnp/compat/http-over-capnp.capnp. */
export const SERVICE_HI = 0x92963bfd | 0;
export const SERVICE_LO = 0xad2beb6a | 0;
export const SERVICE_REQUEST = 1;
/** Where `requestBody` is in the results of request. */
export const REQUEST_BODY: readonly number[] = Object.freeze([0]);

/** ClientRequestContext of the same file. */
export const CONTEXT_HI = 0xea325670 | 0;
export const CONTEXT_LO = 0x5c0b63ba | 0;
export const CONTEXT_RESPONSE = 0;
export const CONTEXT_WEB_SOCKET = 1;
/** Where `body` is in the results of startResponse, and `downSocket` in those of startWebSocket. */
export const ANSWER_TO: readonly number[] = Object.freeze([0]);

/** WebSocket of the same file. */
export const SOCKET_HI = 0xb09c33a9 | 0;
export const SOCKET_LO = 0xf4caa823 | 0;
export const SOCKET_TEXT = 0;
export const SOCKET_DATA = 1;
export const SOCKET_CLOSE = 2;

/** Methods by their number. */
export const METHODS: readonly string[] = Object.freeze(
  (
    "GET HEAD POST PUT DELETE PATCH PURGE OPTIONS TRACE COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH UNLOCK ACL REPORT " +
    "MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE UNSUBSCRIBE QUERY BAN"
  ).split(" "),
);

/** Names of headers that have a number; there is none of number 0. */
export const COMMON_NAMES: readonly string[] = Object.freeze(
  (
    " Accept-Charset Accept-Encoding Accept-Language Accept-Ranges Accept Access-Control-Allow-Origin Age Allow Authorization " +
    "Cache-Control Content-Disposition Content-Encoding Content-Language Content-Length Content-Location Content-Range " +
    "Content-Type Cookie Date ETag Expect Expires From Host If-Match If-Modified-Since If-None-Match If-Range " +
    "If-Unmodified-Since Last-Modified Link Location Max-Forwards Proxy-Authenticate Proxy-Authorization Range Referer Refresh " +
    "Retry-After Server Set-Cookie Strict-Transport-Security Transfer-Encoding User-Agent Vary Via WWW-Authenticate"
  ).split(" "),
);

/** Values of headers that have a number; there is none of number 0. */
export const COMMON_VALUES: readonly string[] = Object.freeze(["", "gzip, deflate"]);

/** Statuses whose responses have no body. */
const BODILESS: ReadonlySet<number> = /* @__PURE__ */ new Set([101, 204, 205, 304]);

/** Whether a response of this status to a request of this method has a body at all. */
export function mayHaveBody(method: string, status: number): boolean {
  return method !== "HEAD" && !BODILESS.has(status);
}
