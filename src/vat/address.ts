// Role: the addresses that `connect` and `listen` understand.
// State: none. Must not know: how any of them is reached.

import { invalidArgument } from "../base/checks.js";
import type { RpcError } from "../base/errors.js";

export type Address =
  /** `host` is empty when the address names none. An IPv6 host has no brackets. */
  | { readonly scheme: "tcp"; readonly host: string; readonly port: number }
  | { readonly scheme: "unix"; readonly path: string }
  | {
      readonly scheme: "ws" | "wss" | "http" | "https";
      readonly host: string;
      readonly port: number;
      /** With its query; at least "/". */
      readonly path: string;
    };

const FORMS =
  "tcp://host:port, unix:/path, ws://host:port/path, wss://host:port/path, http://host:port/path or https://host:port/path";

/** Bytes of a socket's path that every system takes: a longer one would be cut off without a word. */
const MAX_UNIX_PATH = 103;

/**
 * Reads an address.
 *
 * @throws RpcError invalid-argument, saying what is wrong and what is understood.
 * @example parseAddress("tcp://127.0.0.1:4000") // { scheme: "tcp", host: "127.0.0.1", port: 4000 }
 */
export function parseAddress(text: string): Address {
  if (typeof text !== "string") throw bad(String(text), "is no string");
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  const rest = scheme === undefined ? "" : text.slice(scheme.length + 1);
  switch (scheme) {
    case "unix":
      return { scheme, path: unixPath(text, rest) };
    case "tcp": {
      const { host, port, path } = authority(text, rest);
      if (path !== "") throw bad(text, "has a path, which means nothing in TCP");
      if (port === undefined) throw bad(text, "names no port");
      return { scheme, host, port };
    }
    case "ws":
    case "wss":
    case "http":
    case "https": {
      const { host, port, path } = authority(text, rest);
      if (path.includes("#")) throw bad(text, "has a fragment, which no server sees");
      return {
        scheme,
        host,
        port: port ?? (scheme === "ws" || scheme === "http" ? 80 : 443),
        path: path.startsWith("/") ? path : `/${path}`,
      };
    }
    case undefined:
      throw bad(text, "names no scheme");
    default:
      throw bad(text, `has the scheme ${scheme}`);
  }
}

/** What {@link parseAddress} takes, of a URL. It escapes what a path has beside ASCII, and the name of a socket has no escapes. */
export function addressText(of: string | URL): string {
  if (!(of instanceof URL)) return of;
  if (of.protocol !== "unix:") return of.href;
  try {
    return decodeURIComponent(of.href);
  } catch {
    throw bad(of.href, "has a % that escapes nothing");
  }
}

/** The address as text: what {@link parseAddress} reads. */
export function formatAddress(address: Address): string {
  if (address.scheme === "unix") return `unix:${address.path}`;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  const path = address.scheme === "tcp" ? "" : address.path;
  return `${address.scheme}://${host}:${address.port}${path}`;
}

/** Whether `host` reaches this machine only. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

function authority(
  text: string,
  rest: string,
): { host: string; port: number | undefined; path: string } {
  const match = /^\/\/(?:\[([0-9a-f:.]+)\]|([^/?#:[\]@\s]*))(?::(\d+))?([/?#]\S*)?$/i.exec(rest);
  if (match === null) {
    if (rest.includes("@")) throw bad(text, "has a user name, which is not supported");
    throw bad(text, "does not look like //host:port");
  }
  const [, v6, name, digits, path] = match;
  const port = digits === undefined ? undefined : Number(digits);
  if (port !== undefined && port > 65_535) throw bad(text, "has a port over 65535");
  return { host: v6 ?? name ?? "", port, path: path === "/" || path === undefined ? "" : path };
}

function unixPath(text: string, rest: string): string {
  // "unix:///path" as in a file's URL; with two slashes, what follows would be a host.
  if (/^\/\/[^/]/.test(rest)) throw bad(text, "names a host: write unix:/path or unix:///path");
  const path = rest.startsWith("///") ? rest.slice(2) : rest;
  if (path === "" || path.endsWith("/")) throw bad(text, "names no file");
  if (path.includes("\0")) throw bad(text, "has a zero byte in its path");
  const bytes = new TextEncoder().encode(path).length;
  if (bytes > MAX_UNIX_PATH)
    throw bad(text, `has a path of ${bytes} bytes, and a socket's may have ${MAX_UNIX_PATH}`);
  return path;
}

function bad(text: string, what: string): RpcError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}...` : text;
  const message = `the address ${JSON.stringify(shown)} ${what}; understood are ${FORMS}`;
  return invalidArgument(message);
}
