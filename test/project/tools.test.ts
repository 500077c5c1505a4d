// Tools that may be missing: a test that needs one skips with a reason, or fails where none may be missing.

import { afterEach, describe, expect, it, vi } from "vitest";
import { findTool, missingTool, requireTool } from "../support/tools.js";

afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

describe("tools", () => {
  it("finds a program on the PATH, and no folder or data file", () => {
    expect(findTool("node")).toMatch(/node$/);
    expect(requireTool("node")).toBe(findTool("node"));
    vi.stubEnv("PATH", import.meta.dirname);
    expect(findTool("tools.test.ts")).toBeNull();
    expect(findTool(".")).toBeNull();
  });

  it("prints why a test is skipped", () => {
    vi.stubEnv("CAPSTAN_REQUIRE_TOOLS", "");
    const warn = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    expect(missingTool("no-such-tool")).toMatch(/no-such-tool is not on the PATH/);
    expect(warn).toHaveBeenCalledOnce();
  });

  it("throws where no tool may be missing", () => {
    vi.stubEnv("CAPSTAN_REQUIRE_TOOLS", "1");
    // Not requireTool: should it skip here, nobody would see that it did not throw.
    expect(() => missingTool("no-such-tool")).toThrow(/not on the PATH/);
  });

  it("skips the test that asks", (context) => {
    vi.stubEnv("CAPSTAN_REQUIRE_TOOLS", "");
    vi.spyOn(console, "warn").mockImplementation(() => undefined);
    const skip = vi.spyOn(context, "skip").mockImplementation(() => {
      throw new Error("skipped");
    });
    expect(() => requireTool("no-such-tool")).toThrow("skipped");
    expect(skip).toHaveBeenCalledWith(expect.stringContaining("no-such-tool"));
  });
});
