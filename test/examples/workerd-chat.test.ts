// The chat between workerd and a Capstan host: its demo as a program, and its page in Chromium.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";
import { describe, expect, it } from "vitest";
import type * as Start from "../../examples/workerd-chat/start.js";
import { missingWorkerd } from "../runtimes/workerd.js";
import { findTool, missingTool } from "../support/tools.js";

const root = path.join(import.meta.dirname, "../..");
const built = path.join(root, "build/programs/examples/workerd-chat");

// skip: where npm has no workerd; missingWorkerd prints the reason
describe.skipIf(missingWorkerd() !== null)("the chat of workerd and a host", () => {
  it("tells the whole story, and ends", () => {
    const run = spawnSync(process.execPath, [path.join(built, "main.js"), "--demo"], {
      encoding: "utf8",
      timeout: 100_000,
    });
    expect(run.status, run.stderr).toBe(0);
    const before = "Ada: Hello, Bob. | Ada: <b>Are you there?</b>";
    expect(run.stdout.trimEnd().split("\n")).toEqual([
      "the Worker serves the page",
      `Bob reads: ${before}`,
      "the process of the room was killed",
      `Bob reads: ${before} | Bob: Here I am.`,
      "whoever comes later reads the same",
      "the program that watches was called: 3 messages in the lobby",
    ]);
  }, 120_000);

  async function started(body: (running: Start.Running) => Promise<void>): Promise<void> {
    const { start } = (await import(path.join(built, "start.js"))) as typeof Start;
    fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
    const data = fs.mkdtempSync(path.join(root, ".tmp", "workerd-chat-"));
    const running = await start(data, 0);
    try {
      await body(running);
    } finally {
      await running.stop();
      fs.rmSync(data, { recursive: true, force: true });
    }
  }

  it("refuses what is no message, and pages from elsewhere", async () => {
    await started(async ({ url }) => {
      const say = async (body: unknown, headers: Record<string, string> = {}): Promise<string> => {
        const init = { method: "POST", body: JSON.stringify(body), headers };
        const response = await fetch(`${url}rooms/lobby`, init);
        return `${response.status} ${(await response.text()).trim()}`;
      };
      expect(await say({ name: "Ada", text: "hello" })).toBe('200 {"id":1}');
      for (const wrong of [{ name: "Ada", text: " " }, { name: {}, text: "a" }, 7, null])
        expect(await say(wrong)).toBe("400 A message is a name and a text.");
      const elsewhere = { origin: "http://elsewhere.test" };
      expect(await say({ name: "Mal", text: "hello" }, elsewhere)).toContain("403");
      expect((await fetch(`${url}rooms/a%2Fb`)).status).toBe(404);
      expect((await fetch(`${url}nothing`)).status).toBe(404);
    });
  }, 120_000);

  // skip: where there is no Chromium; missingTool prints the reason
  it.skipIf(missingTool("chromium") !== null)(
    "shows names and messages as text, whatever is in them",
    async () => {
      const browser = await chromium.launch({
        executablePath: findTool("chromium")!,
        // It refuses to run as root otherwise, as in a container; it sees no page but our own.
        args: [
          "--no-sandbox",
          "--disable-background-networking",
          "--disable-gpu",
          "--no-first-run",
        ],
        timeout: 100_000,
      });
      try {
        await started(async ({ url }) => {
          const page = await browser.newPage();
          page.setDefaultTimeout(60_000);
          const errors: Error[] = [];
          page.on("pageerror", (error) => errors.push(error));
          await page.goto(`${url}#lobby`);
          await page.getByRole("status").getByText("Connected").waitFor();
          const name = `<b>Mal</b>"'&amp;`;
          const text = `<img src=x onerror="document.title='hacked'">`;
          await page.getByLabel("Your name").fill(name);
          await page.getByLabel("Message").fill(text);
          await page.getByRole("button", { name: "Say" }).click();
          const item = page.getByRole("log").locator("li");
          await item.waitFor();
          expect(await item.allTextContents()).toEqual([`${name}: ${text}`]);
          expect(await page.locator("[role=log] img, [role=log] b").count()).toBe(0);
          expect(await page.title()).toBe("lobby");
          expect(errors).toEqual([]);
        });
      } finally {
        await browser.close();
      }
    },
    120_000,
  );
});
