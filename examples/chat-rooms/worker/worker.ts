// Chat rooms, as a Worker module: each room is a durable object, with its history in storage and its members on WebSockets.

import page from "./page/index.html";
import script from "./page/script.js";
import style from "./page/style.css";
import { Limiter } from "./limiter.js";
import { Room } from "./room.js";

export { Limiter, Room };

export interface Env {
  readonly ROOMS: DurableObjectNamespace<Room>;
  readonly LIMITERS: DurableObjectNamespace<Limiter>;
  /** Numbers, or texts of such. */
  readonly RATE: number | string;
  readonly BURST: number | string;
}

const FILES: Readonly<Record<string, readonly [type: string, text: string]>> = {
  "/": ["text/html", page],
  "/script.js": ["text/javascript", script],
  "/style.css": ["text/css", style],
};

const HEADERS = {
  // Nothing but what is served here, and no text becomes code.
  "content-security-policy":
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "referrer-policy": "no-referrer",
  "x-content-type-options": "nosniff",
};

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    const [, room] = /^\/rooms\/([\w-]{1,40})\/socket$/.exec(url.pathname) ?? [];
    if (room !== undefined) return join(request, url, room, env);
    const file = Object.hasOwn(FILES, url.pathname) ? FILES[url.pathname] : undefined;
    if (file === undefined) return new Response("There is nothing here.\n", { status: 404 });
    const [type, text] = file;
    return new Response(text, {
      headers: { ...HEADERS, "content-type": `${type}; charset=utf-8` },
    });
  },
};

async function join(request: Request, url: URL, room: string, env: Env): Promise<Response> {
  if (request.headers.get("upgrade") !== "websocket")
    return new Response("This is for a WebSocket.\n", { status: 426 });
  // A page from elsewhere must not speak for whoever looks at it. Programs have no origin.
  const origin = request.headers.get("origin");
  if (origin !== null && origin !== url.origin)
    return new Response("This is for pages from here.\n", { status: 403 });
  const address = request.headers.get("CF-Connecting-IP") ?? "unknown";
  const wait = await env.LIMITERS.getByName(address).take();
  if (wait > 0) return new Response("Too many at once.\n", { status: 429 });
  return env.ROOMS.getByName(room).fetch(request);
}
