// The chat rooms as people have them: the demo as a program, and the page in Chromium, with two users and a process that is killed.

import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Browser, chromium, type Page } from "playwright-core";
import { WebSocket } from "ws";
import { findTool, missingTool } from "../support/tools.js";

const root = path.join(import.meta.dirname, "../..");
const command = path.join(root, "dist/cli/main.node.js");
const module = path.join(root, "examples/chat-rooms/worker/worker.ts");

it("npm start -- --demo tells the whole story, and ends", () => {
  const { scripts } = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const [program, ...args] = scripts["start"]!.split(" ");
  expect(program).toBe("node");
  const run = spawnSync(process.execPath, [...args, "--demo"], {
    cwd: root,
    encoding: "utf8",
    timeout: 100_000,
  });
  expect(run.status, run.stderr).toBe(0);
  const objects = [...run.stdout.matchAll(/^objects: process (\d+)$/gm)].map((match) => match[1]);
  expect(new Set(objects).size).toBe(2);
  const lines = run.stdout.trimEnd().split("\n");
  for (const line of [
    "Ada and Bob are in the lobby",
    "Bob hears Ada: Hello, Bob.",
    `killed process ${objects[0]}, in mid-conversation`,
    "Ada and Bob are back",
    "all that was acknowledged is there; both have seen 201 messages, each once, in one order",
  ])
    expect(lines).toContain(line);
}, 120_000);

interface Served {
  readonly url: string;
  /** Those that run objects, the last one alive. */
  readonly objects: number[];
}

describe("the chat rooms", () => {
  let folder = "";
  let child: ChildProcess;
  beforeEach(() => {
    fs.mkdirSync(path.join(root, ".tmp"), { recursive: true });
    folder = fs.mkdtempSync(path.join(root, ".tmp", "chat-"));
  });
  afterEach(async () => {
    if (child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    fs.rmSync(folder, { recursive: true, force: true });
    expect(child.exitCode).toBe(0);
  });

  async function serve(...flags: string[]): Promise<Served> {
    const args = [command, "serve", module, "--json", "--port", "0", "--data", folder, ...flags];
    child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const objects: number[] = [];
    const url = await new Promise<string>((resolve, reject) => {
      createInterface(child.stdout!).on("line", (line) => {
        const said = JSON.parse(line) as { event: string; url: string; role: string; pid: number };
        if (said.event === "serving") resolve(said.url);
        if (said.role === "objects") objects.push(said.pid);
      });
      child.on("exit", (status) => reject(new Error(`it ended with ${status}`)));
    });
    return { url, objects };
  }

  it("answer what is no member", async () => {
    const { url } = await serve();
    const statusOf = async (
      target: string,
      headers: Record<string, string> = {},
    ): Promise<number> =>
      (await fetch(new URL(target, url), { headers: { connection: "close", ...headers } })).status;
    expect(await statusOf("/none")).toBe(404);
    expect(await statusOf("/rooms/lobby/socket")).toBe(426);
    /** The status of a handshake that is refused; 101 for one that is not. */
    const handshake = (target: string, headers: Record<string, string> = {}): Promise<number> =>
      new Promise((resolve) => {
        const socket = new WebSocket(new URL(target, url.replace("http", "ws")), { headers });
        socket.on("unexpected-response", (request, response) => {
          request.destroy();
          resolve(response.statusCode!);
        });
        socket.on("open", () => {
          socket.terminate();
          resolve(101);
        });
        socket.on("error", () => {});
      });
    const good = "/rooms/lobby/socket?client=0123456789&name=Ada";
    expect(await handshake(good, { origin: "http://elsewhere.test" })).toBe(403);
    expect(await handshake("/rooms/lobby/socket?client=0123456789&name=")).toBe(400);
    expect(await handshake("/rooms/lobby/socket?client=1&name=Ada")).toBe(400);
    expect(await handshake(`${good}&after=-1`)).toBe(400);
    expect(await handshake(good, { origin: url.slice(0, -1) })).toBe(101);
  });

  it("take what is said once, in order, and tell who comes back", async () => {
    const { url } = await serve();
    type Heard = {
      type: string;
      id?: number;
      last?: number;
      said?: { text: string }[];
      names?: string[];
    };
    const join = async (
      query: string,
    ): Promise<{ socket: WebSocket; heard: Heard[]; until(type: string): Promise<Heard> }> => {
      const socket = new WebSocket(`${url.replace("http", "ws")}rooms/a/socket?${query}`);
      const heard: Heard[] = [];
      socket.on("message", (data: Buffer) => heard.push(JSON.parse(data.toString()) as Heard));
      const until = async (type: string): Promise<Heard> => {
        while (!heard.some((one) => one.type === type)) await once(socket, "message");
        return heard.find((one) => one.type === type)!;
      };
      await until("welcome");
      return { socket, heard, until };
    };
    const ada = await join("client=0123456789&name=Ada");
    for (const [id, text] of [
      [1, "one"],
      [1, "one"],
      [3, "three"],
      [2, "two"],
    ] as const)
      ada.socket.send(JSON.stringify({ id, text }));
    while (ada.heard.filter(({ type }) => type === "stored").length < 3)
      await once(ada.socket, "message");
    const told = ada.heard.filter(({ type }) => type === "stored" || type === "again");
    expect(told.map(({ type, id }) => [type, id])).toEqual([
      ["stored", 1],
      ["stored", 1],
      ["again", undefined],
      ["stored", 2],
    ]);
    const left = once(ada.socket, "close");
    // The same client again, before anybody has noticed that it was gone.
    const again = await join("client=0123456789&name=Ada&after=1");
    expect((await left)[0]).toBe(4000);
    expect(again.heard[0]).toMatchObject({ type: "welcome", last: 2, said: [{ text: "two" }] });
    const bob = await join("client=9876543210&name=Bob");
    expect(bob.heard[0]).toMatchObject({ last: 0, said: [{ text: "one" }, { text: "two" }] });
    expect((await bob.until("here")).names).toEqual(["Ada", "Bob"]);
    for (const { socket } of [again, bob]) socket.close();
  });

  it("let one address do so much, and no more", async () => {
    const { url } = await serve("--var", "RATE=0.001", "--var", "BURST=3");
    const socket = new WebSocket(
      `${url.replace("http", "ws")}rooms/a/socket?client=0123456789&name=Ada`,
    );
    const heard: { type: string; id?: number; after?: number }[] = [];
    socket.on("message", (data: Buffer) => heard.push(JSON.parse(data.toString()) as never));
    await once(socket, "open");
    for (let id = 1; id <= 3; id++) socket.send(JSON.stringify({ id, text: "spam" }));
    while (!heard.some(({ type }) => type === "again")) await once(socket, "message");
    // One to enter, two to speak.
    expect(heard.flatMap(({ type, id }) => (type === "stored" ? [id] : []))).toEqual([1, 2]);
    expect(heard.at(-1)!.after).toBeGreaterThan(1000);
    socket.send("no message of a chat");
    const [code] = (await once(socket, "close")) as [number];
    expect(code).toBe(1008);
    const refused = new WebSocket(
      `${url.replace("http", "ws")}rooms/a/socket?client=0123456789&name=Ada`,
    );
    const [error] = (await once(refused, "error")) as [Error];
    expect(error.message).toContain("429");
  });

  describe.skipIf(missingTool("chromium") !== null)("in Chromium", () => {
    let browser: Browser;
    const errors: Error[] = [];
    beforeAll(async () => {
      browser = await chromium.launch({
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
    });
    afterAll(() => browser?.close());

    async function enter(url: string, name: string): Promise<Page> {
      const page = await browser.newPage();
      page.setDefaultTimeout(60_000);
      page.on("pageerror", (error) => errors.push(error));
      await page.goto(url);
      await page.getByLabel("Your name").fill(name);
      await page.getByRole("button", { name: "Enter" }).click();
      await page.getByRole("status").getByText(`Connected as ${name}`).waitFor();
      return page;
    }

    async function say(page: Page, text: string): Promise<void> {
      await page.getByLabel("Message", { exact: true }).fill(text);
      await page.keyboard.press("Enter");
    }

    /** What the log shows, as "name text", with the state of each. */
    const logOf = (page: Page): Promise<[state: string, text: string][]> =>
      page
        .getByRole("log")
        .locator("li")
        .evaluateAll((items) =>
          items.map((item) => {
            const of = (selector: string): string => item.querySelector(selector)!.textContent;
            return [item.dataset["state"]!, `${of("strong")}: ${of("span")}`];
          }),
        );

    const texts = (log: [string, string][]): string[] => log.map(([, text]) => text);

    /** Waits until the log has so many messages that are stored, and nothing waits. */
    const settled = (page: Page, count: number): Promise<unknown> =>
      page.waitForFunction((count) => {
        const items = [...document.querySelectorAll<HTMLElement>("#said li")];
        return (
          items.length === count && items.every(({ dataset }) => dataset["state"] === "stored")
        );
      }, count);

    it("two users talk; their objects' process is killed; both recover with all that was said", async () => {
      const { url, objects } = await serve();
      const [ada, bob] = [await enter(url, "Ada"), await enter(url, "Bob")];
      await say(ada, "Hello, Bob.");
      await settled(bob, 1);
      expect(await logOf(bob)).toEqual([["stored", "Ada: Hello, Bob."]]);
      const present = bob.getByRole("complementary", { name: "Present" }).getByRole("listitem");
      expect(await present.allTextContents()).toEqual(["Ada", "Bob"]);

      const said = ["Ada: Hello, Bob."];
      for (let i = 1; i <= 12; i++) {
        for (const [page, name] of [
          [ada, "Ada"],
          [bob, "Bob"],
        ] as const) {
          await say(page, `${name}'s number ${i}`);
          said.push(`${name}: ${name}'s number ${i}`);
        }
        if (i === 6) process.kill(objects.at(-1)!, "SIGKILL");
      }
      await Promise.all([settled(ada, said.length), settled(bob, said.length)]);
      const logs = [texts(await logOf(ada)), texts(await logOf(bob))];
      expect(logs[0]).toEqual(logs[1]);
      expect([...logs[0]!].sort()).toEqual([...said].sort());
      for (const name of ["Ada", "Bob"])
        expect(logs[0]!.filter((text) => text.startsWith(name))).toEqual(
          said.filter((text) => text.startsWith(name)),
        );
      expect(new Set(objects).size).toBe(2);
      for (const [page, name] of [
        [ada, "Ada"],
        [bob, "Bob"],
      ] as const)
        expect(await page.getByRole("status").textContent()).toBe(`Connected as ${name}`);

      // Also whoever comes later, and who loads the page again, sees all of it.
      const eve = await enter(url, "Eve");
      await settled(eve, said.length);
      await bob.reload();
      await settled(bob, said.length);
      expect(texts(await logOf(eve))).toEqual(logs[0]);
      expect(texts(await logOf(bob))).toEqual(logs[0]);
      expect(await coloursOf(await ada.screenshot())).toBeGreaterThan(20);
      for (const page of [ada, bob, eve]) await page.close();
      expect(errors).toEqual([]);
    }, 120_000);

    it("names and messages are text, whatever is in them", async () => {
      const { url } = await serve();
      const name = `<b>Mal</b>"'&amp;`;
      const mal = await enter(url, name);
      const ada = await enter(url, "Ada");
      const evil = `<img src=x onerror="document.title='hacked'"><script>document.title='hacked'</script>&lt;`;
      await say(mal, evil);
      await settled(ada, 1);
      expect(await logOf(ada)).toEqual([["stored", `${name}: ${evil}`]]);
      expect(await ada.locator("#said img, #said script, #said b, #here b").count()).toBe(0);
      const present = ada.getByRole("complementary", { name: "Present" }).getByRole("listitem");
      expect(await present.allTextContents()).toEqual([name, "Ada"].sort());
      expect(await ada.title()).toBe("lobby: chat rooms");
      // Were it put in place as markup somewhere, the policy of the page would still stand in the way.
      const policy = (await fetch(url, { headers: { connection: "close" } })).headers.get(
        "content-security-policy",
      );
      expect(policy).toMatch(/^default-src 'none'; script-src 'self';/);
      for (const page of [mal, ada]) await page.close();
      expect(errors).toEqual([]);
    }, 120_000);

    /** How many colours a picture has. */
    async function coloursOf(png: Buffer): Promise<number> {
      const page = await browser.newPage();
      try {
        return await page.evaluate(
          async (url) => {
            const image = new Image();
            image.src = url;
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.width, image.height];
            const context = canvas.getContext("2d")!;
            context.drawImage(image, 0, 0);
            const { data } = context.getImageData(0, 0, image.width, image.height);
            return new Set(new Uint32Array(data.buffer)).size;
          },
          `data:image/png;base64,${png.toString("base64")}`,
        );
      } finally {
        await page.close();
      }
    }
  });
});
