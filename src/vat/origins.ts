// Role: which pages of browsers may use a server. State: none. Must not know: what they would use it for.

import { invalidArgument } from "../base/checks.js";
import { isLoopback } from "./address.js";

/** Which pages of browsers may connect. */
export type Origins = readonly string[] | "any" | ((origin: string) => boolean);

export interface OriginRules {
  readonly origins?: Origins | undefined;
  /** Whether the server can be reached from this machine only. */
  readonly loopback: () => boolean;
}

/** @throws RpcError invalid-argument for what is no list, no function and not "any". */
export function checkOrigins(origins: Origins | undefined): void {
  if (origins === undefined || origins === "any" || typeof origins === "function") return;
  if (!Array.isArray(origins))
    throw invalidArgument('origins must be a list of origins, a function or "any"');
}

/**
 * Whether a page may use the server. Without an Origin header no browser asks, and anybody may.
 *
 * @param origin the header, if any. @param host the header Host.
 */
export function originAllowed(
  origin: string | null | undefined,
  host: string,
  rules: OriginRules,
): boolean {
  if (origin === null || origin === undefined) return true;
  try {
    return isAllowed(origin, host, rules);
  } catch {
    // The application's own check failed: that is no yes.
    return false;
  }
}

/** Why the page was sent away. */
export function originRefusal(origin: string | null | undefined): string {
  return `the origin ${clip(origin ?? "")} is not among those allowed`;
}

/** A stranger's text, quoted and short. */
export function clip(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}...` : text);
}

function isAllowed(origin: string, host: string, { origins, loopback }: OriginRules): boolean {
  if (origins === "any") return true;
  if (typeof origins === "function") return origins(origin);
  if (origins !== undefined) return origins.includes(origin);
  const page = hostOf(origin);
  if (page === null || page.host !== host.toLowerCase()) return false;
  // A name that its owner points at 127.0.0.1 would pass for the same host: a local server believes local names only.
  return !loopback() || isLoopback(page.name);
}

function hostOf(origin: string): { host: string; name: string } | null {
  try {
    const url = new URL(origin);
    return { host: url.host, name: url.hostname.replace(/^\[|\]$/g, "") };
  } catch {
    return null;
  }
}
