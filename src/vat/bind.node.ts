// Role: puts a server at an address.
// State: none. Must not know: what is served.

import type net from "node:net";
import { listenFailed } from "../transport/connect-hints.js";
import { type Address, formatAddress } from "./address.js";
import { listenAtPath } from "./unix-path.node.js";

/** An address that names no host means this machine: to be reached from elsewhere is asked for by name. */
export function withHost(address: Address): Address {
  if (address.scheme === "unix" || address.host !== "") return address;
  return { ...address, host: "127.0.0.1" };
}

/** What errors call the peer behind `socket`. @param url where it was accepted. */
export function peerName(url: string, socket: net.Socket): string {
  const { remoteAddress, remotePort } = socket;
  return remoteAddress === undefined ? `${url} peer` : `${url} peer ${remoteAddress}:${remotePort}`;
}

/**
 * Begins to listen.
 *
 * @returns the address it came to be, and how to remove what it leaves in the file system. @throws RpcError listen-failed (as a rejection).
 */
export async function bind(
  server: net.Server,
  url: string,
  address: Address,
): Promise<{ bound: string; release: () => void }> {
  try {
    if (address.scheme === "unix") {
      const release = await listenAtPath(server, address.path);
      return { bound: formatAddress(address), release };
    }
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: address.host, port: address.port }, () => {
        server.off("error", reject);
        resolve();
      });
    });
    const { port } = server.address() as net.AddressInfo;
    return { bound: formatAddress({ ...address, port }), release: () => {} };
  } catch (cause) {
    throw listenFailed(url, cause);
  }
}
