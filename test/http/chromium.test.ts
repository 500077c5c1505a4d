// HTTP by capability in a browser does what it does in Node.

import path from "node:path";
import { describe, expect, it } from "vitest";
import { chromium } from "playwright-core";
import { bundle } from "../../scripts/bundle.js";
import { findTool, missingTool } from "../support/tools.js";
import { report } from "./page.js";

const root = path.join(import.meta.dirname, "../..");

const EXPECTED = {
  echo: [200, "1", "a t\u20acxt"],
  stream: [300_000, true],
  none: [204, null],
  error: "not today",
  aborted: "enough",
  close: [1000, true],
  messages: ["hello", 3],
};

it("does in Node what is expected of all", async () => {
  expect(await report()).toEqual(EXPECTED);
});

describe.skipIf(missingTool("chromium") !== null)("Chromium", () => {
  it("does the same", async () => {
    const { code, imports } = await bundle(root, `export * from "./test/http/page.ts";`);
    expect(imports).toEqual([]);
    const browser = await chromium.launch({
      executablePath: findTool("chromium")!,
      // It refuses to run as root otherwise, as in a container; it sees no page but our own.
      args: ["--no-sandbox", "--disable-background-networking", "--disable-gpu", "--no-first-run"],
      timeout: 100_000,
    });
    try {
      const page = await browser.newPage();
      const errors: Error[] = [];
      page.on("pageerror", (error) => errors.push(error));
      await page.addScriptTag({ type: "module", content: code });
      await page.waitForFunction(() => "report" in globalThis, null, { timeout: 100_000 });
      const found = await page.evaluate(() =>
        (globalThis as unknown as { report: typeof report }).report(),
      );
      expect(found).toEqual(EXPECTED);
      expect(errors).toEqual([]);
    } finally {
      await browser.close();
    }
  });
});
