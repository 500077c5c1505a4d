// What the tests of fetch ask workerd's own side for, the same of an entrypoint and of a Durable Object.

import { DurableObject } from "cloudflare:workers";

async function answer(request) {
  const url = new URL(request.url);
  switch (url.pathname) {
    case "/head": {
      const headers = [...request.headers].filter(([name]) => !name.startsWith("cf-"));
      return Response.json(
        { method: request.method, url: request.url, headers, cf: request.cf ?? null },
        {
          status: 202,
          statusText: "Taken",
          headers: [
            ["Set-Cookie", "a=1"],
            ["Set-Cookie", "b=2"],
            ["X-B", "2"],
          ],
        },
      );
    }
    case "/size": {
      const body = await request.arrayBuffer();
      return new Response(String(body.byteLength), {
        headers: { "x-length": String(request.headers.get("content-length")) },
      });
    }
    // workerd gets out of the way here: it has the one stream flow into the other.
    case "/echo":
      return new Response(request.body);
    case "/upper": {
      const { readable, writable } = new TransformStream({
        transform(chunk, controller) {
          controller.enqueue(
            new TextEncoder().encode(new TextDecoder().decode(chunk).toUpperCase()),
          );
        },
      });
      void request.body.pipeTo(writable);
      return new Response(readable);
    }
    case "/count": {
      let n = 0;
      const stream = new ReadableStream({
        pull(controller) {
          if (n === 100) controller.close();
          else controller.enqueue(new Uint8Array(50_000).fill(n++));
        },
      });
      return new Response(stream);
    }
    case "/break":
      return new Response(
        new ReadableStream({
          pull(controller) {
            controller.enqueue(new Uint8Array(10));
            controller.error(new Error("the source broke"));
          },
        }),
      );
    case "/forever":
      return new Response(
        new ReadableStream({
          async pull(controller) {
            await scheduler.wait(5);
            controller.enqueue(new Uint8Array(10));
          },
          cancel() {
            canceled++;
          },
        }),
      );
    case "/canceled":
      return new Response(String(canceled));
    case "/none":
      return new Response(null, { status: 204 });
    case "/throw":
      throw new RangeError("not in this room");
    case "/socket": {
      const { 0: client, 1: server } = new WebSocketPair();
      server.binaryType = "arraybuffer";
      server.accept();
      server.addEventListener("message", ({ data }) => {
        if (data === "close me") server.close(4321, "as you wish");
        else server.send(typeof data === "string" ? `got ${data}` : data);
      });
      server.addEventListener("close", ({ code, reason }) => closes.push(`${code} ${reason}`));
      return new Response(null, { status: 101, webSocket: client, headers: { "x-socket": "1" } });
    }
    case "/closes":
      return Response.json(closes);
    default:
      return new Response("no such thing", { status: 404 });
  }
}

const closes = [];
let canceled = 0;

export class Room extends DurableObject {
  async fetch(request) {
    if (new URL(request.url).pathname === "/hibernate") {
      const { 0: client, 1: server } = new WebSocketPair();
      this.ctx.acceptWebSocket(server);
      return new Response(null, { status: 101, webSocket: client });
    }
    return answer(request);
  }
  webSocketMessage(socket, message) {
    socket.send(message);
  }
  webSocketClose(socket, code, reason) {
    closes.push(`${code} ${reason}`);
    socket.close(code, reason);
  }
}

export default { fetch: answer };
