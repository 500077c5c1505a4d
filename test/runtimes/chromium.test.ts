// The scenarios in Chromium: a page that calls a server over WebSocket, a page and a Web Worker that call each other over
// MessagePort. The library is the bundle that scripts/bundle.js measures.

import fs from "node:fs";
import http from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { afterAll, beforeAll, describe } from "vitest";
import { type Browser, chromium, type Page as Tab } from "playwright-core";
import { batchHandler, listen } from "../../src/node.js";
import { findTool, missingTool } from "../support/tools.js";
import { buildEntries, LIBRARIES } from "./build.js";
import type { Page } from "./entries/page.js";
import { runtimeSuite } from "./report.js";
import { Host } from "./server.js";
import type { Outcome } from "./suite/index.js";

/** Without them it looks up hosts of its maker's at every start. */
const ARGUMENTS = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-gpu",
  "--disable-quic",
  "--disable-sync",
  "--no-first-run",
  // It refuses to run as root otherwise, as in a container; it sees no page but our own.
  "--no-sandbox",
];

/** No text is evaluated, no script is taken from elsewhere. */
const POLICY = "default-src 'none'; script-src 'self'; worker-src 'self'; connect-src ws: 'self'";

describe.skipIf(missingTool("chromium") !== null).each(LIBRARIES)("Chromium, %s", (library) => {
  let folder = "";
  let files: http.Server;
  let origin = "";
  let browser: Browser;

  beforeAll(async () => {
    folder = await buildEntries(["page", "web-worker"], library);
    const batches = batchHandler(new Host().options);
    files = http.createServer((request, response) => {
      if (request.url === "/batch") {
        batches(request, response);
        return;
      }
      const name = /^\/([\w-]+\.js)$/.exec(request.url ?? "")?.[1];
      const isPage = request.url === "/";
      response.setHeader("content-security-policy", POLICY);
      response.setHeader("content-type", isPage ? "text/html" : "text/javascript");
      if (isPage)
        response.end(
          `<!doctype html><title>Capstan</title><script type=module src=page.js></script>`,
        );
      else if (name !== undefined && fs.existsSync(path.join(folder, name)))
        response.end(fs.readFileSync(path.join(folder, name)));
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => {
      files.listen(0, "127.0.0.1", resolve);
    });
    origin = `http://127.0.0.1:${(files.address() as AddressInfo).port}`;
    browser = await chromium.launch({
      executablePath: findTool("chromium")!,
      args: ARGUMENTS,
      timeout: 100_000,
    });
    console.log(`runtimes: Chromium ${browser.version()}`);
  });

  afterAll(async () => {
    await browser?.close();
    files?.closeAllConnections();
    await new Promise((resolve) => files?.close(resolve));
    fs.rmSync(folder, { recursive: true, force: true });
  });

  async function inPage(run: (tab: Tab) => Promise<Outcome[]>): Promise<Outcome[]> {
    const tab = await browser.newPage();
    const errors: Error[] = [];
    tab.on("pageerror", (error) => errors.push(error));
    try {
      await tab.goto(origin);
      await tab.waitForFunction(() => "page" in globalThis, null, { timeout: 100_000 });
      const outcomes = await run(tab);
      // What no scenario awaits and nobody caught.
      if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join("\n"));
      return outcomes;
    } finally {
      await tab.close();
    }
  }

  runtimeSuite(`Chromium page, calls Node, WebSocket, ${library}`, () =>
    inPage(async (tab) => {
      const host = new Host();
      await using listener = await listen("ws://127.0.0.1:0/rpc", {
        ...host.options,
        origins: [origin],
        onSession: (session) => host.of(session),
      });
      return await tab.evaluate(
        ([url, batch]) => (globalThis as unknown as { page: Page }).page.webSocket(url!, batch!),
        [listener.url, `${origin}/batch`],
      );
    }),
  );
  runtimeSuite(`Chromium page, calls a Web Worker, MessagePort, ${library}`, () =>
    inPage((tab) =>
      tab.evaluate(
        (batch) => (globalThis as unknown as { page: Page }).page.worker("to", batch),
        `${origin}/batch`,
      ),
    ),
  );
  runtimeSuite(`Chromium Web Worker, calls its page, MessagePort, ${library}`, () =>
    inPage((tab) =>
      tab.evaluate(
        (batch) => (globalThis as unknown as { page: Page }).page.worker("from", batch),
        `${origin}/batch`,
      ),
    ),
  );
});
