// The Worker: serves the page, and routes to the rooms, which are objects of a Capstan host. Beside that it counts, in a durable
// object of its own, which a program of Node's watches.

import { DurableObject } from "cloudflare:workers";
import page from "page.html";
import script from "page.js.txt";

const FILES = { "/": ["text/html", page], "/page.js": ["text/javascript", script] };

const HEADERS = {
  // Nothing but what is served here, and no text becomes code.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

/** How much was said, in memory alone. */
export class Tally extends DurableObject {
  #counts = {};
  #watchers = new Set();

  count(room) {
    this.#counts[room] = (this.#counts[room] ?? 0) + 1;
    for (const watcher of this.#watchers)
      watcher(room, this.#counts[room]).catch(() => {
        this.#watchers.delete(watcher);
        watcher[Symbol.dispose]();
      });
  }

  /** Has `watcher(room, count)` called whenever something was said. */
  watch(watcher) {
    this.#watchers.add(watcher.dup());
    return this.#counts;
  }
}

export default {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    const file = Object.hasOwn(FILES, url.pathname) ? FILES[url.pathname] : undefined;
    if (file !== undefined) {
      const headers = { ...HEADERS, "content-type": `${file[0]}; charset=utf-8` };
      return new Response(file[1], { headers });
    }
    const [, room] = /^\/rooms\/([\w-]{1,40})$/.exec(url.pathname) ?? [];
    if (room === undefined) return new Response("There is nothing here.\n", { status: 404 });
    try {
      return request.method === "POST"
        ? await say(request, url, room, env, ctx)
        : await listen(request, room, env);
    } catch (error) {
      if (error.retryable) return new Response("The rooms are away.\n", { status: 503 });
      throw error;
    }
  },
};

async function say(request, url, room, env, ctx) {
  // A page from elsewhere must not speak for whoever looks at it. Programs have no origin.
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== url.origin)
    return new Response("This is for pages from here.\n", { status: 403 });
  const { name, text } = (await request.json().catch(() => null)) ?? {};
  if (!isText(name, 40) || !isText(text, 2000))
    return new Response("A message is a name and a text.\n", { status: 400 });
  // One flight: the room is called before anybody knows it.
  const id = await env.CHAT.room(room).say(name, text);
  ctx.waitUntil(env.TALLY.getByName("all").count(room));
  return Response.json({ id });
}

async function listen(request, room, env) {
  const after = Number(request.headers.get("last-event-id") ?? 0);
  // The stream comes from the room, and goes on to the page.
  const messages = await env.CHAT.room(room).messages(after);
  return new Response(messages, {
    headers: { ...HEADERS, "content-type": "text/event-stream", "cache-control": "no-store" },
  });
}

function isText(value, most) {
  return typeof value === "string" && value.trim() !== "" && value.length <= most;
}
