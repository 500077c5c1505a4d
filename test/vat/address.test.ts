// Addresses: what is understood, and that all else is refused with the reason.

import { describe, expect, it } from "vitest";
import { formatAddress, isLoopback, parseAddress } from "../../src/vat/address.js";

describe("addresses", () => {
  it.each([
    ["tcp://127.0.0.1:4000", { scheme: "tcp", host: "127.0.0.1", port: 4000 }],
    ["tcp://[::1]:4000/", { scheme: "tcp", host: "::1", port: 4000 }],
    ["TCP://example.org:1", { scheme: "tcp", host: "example.org", port: 1 }],
    ["tcp://:0", { scheme: "tcp", host: "", port: 0 }],
    ["unix:/run/a b.sock", { scheme: "unix", path: "/run/a b.sock" }],
    ["unix:///run/x", { scheme: "unix", path: "/run/x" }],
    ["unix:here", { scheme: "unix", path: "here" }],
    ["ws://localhost", { scheme: "ws", host: "localhost", port: 80, path: "/" }],
    ["wss://h/rpc?a=1", { scheme: "wss", host: "h", port: 443, path: "/rpc?a=1" }],
    ["ws://[fe80::1]:81/x", { scheme: "ws", host: "fe80::1", port: 81, path: "/x" }],
    ["ws://:0?q", { scheme: "ws", host: "", port: 0, path: "/?q" }],
    ["http://h/rpc", { scheme: "http", host: "h", port: 80, path: "/rpc" }],
    ["https://h", { scheme: "https", host: "h", port: 443, path: "/" }],
  ])("understands %s", (text, address) => {
    expect(parseAddress(text)).toEqual(address);
    expect(parseAddress(formatAddress(parseAddress(text)))).toEqual(address);
  });

  it.each([
    ["", "names no scheme"],
    ["/run/x", "names no scheme"],
    ["localhost:4000", "has the scheme localhost"],
    ["ftp://localhost", "has the scheme ftp"],
    ["tcp:localhost:4000", "does not look like //host:port"],
    ["tcp://localhost", "names no port"],
    ["tcp://localhost:70000", "has a port over 65535"],
    ["tcp://localhost:x", "does not look like"],
    ["tcp://localhost:1/path", "has a path"],
    ["tcp://::1:4000", "does not look like"],
    ["tcp://user:secret@h:1", "has a user name"],
    ["ws://h/x#y", "has a fragment"],
    ["ws://h/a b", "does not look like"],
    ["unix:", "names no file"],
    ["unix:/run/", "names no file"],
    ["unix://run/x", "names a host"],
    ["unix:/a\0b", "has a zero byte"],
    [`unix:/${"x".repeat(103)}`, "has a path of 104 bytes"],
    [`unix:/${"ü".repeat(60)}`, "has a path of 121 bytes"],
    [undefined as unknown as string, "is no string"],
  ])("refuses %s", (text, why) => {
    let thrown: unknown;
    try {
      parseAddress(text);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toMatchObject({ type: "failed", code: "invalid-argument" });
    const { message } = thrown as Error;
    expect(message).toContain(why);
    expect(message).toContain("understood are tcp://host:port, unix:/path");
    expect(message.length).toBeLessThan(500);
  });

  it("knows what reaches this machine only", () => {
    for (const host of ["localhost", "127.0.0.1", "127.8.9.1", "::1"])
      expect(isLoopback(host), host).toBe(true);
    for (const host of ["0.0.0.0", "::", "127.0.0.1.example.org", "10.0.0.1", ""])
      expect(isLoopback(host), host).toBe(false);
  });
});
