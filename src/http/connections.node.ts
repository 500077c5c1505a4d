// Role: the connections of one HTTP server: how many there are, and how they end.
// State: which there are, which of them are WebSockets, what is being answered. Must not know: what is asked.

import type http from "node:http";
import type { ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/** So long a connection at which nothing was asked yet may take to begin when the server ends, in milliseconds. */
const BEGIN_MS = 1000;

export class HttpConnections {
  private readonly server: http.Server;
  private readonly open = new Set<Duplex>();
  /** Of the open ones those that are WebSockets, or are to be. */
  private readonly upgraded = new Set<Duplex>();
  private readonly answers = new Set<ServerResponse>();
  private isTracking = false;
  private onEmpty: (() => void) | null = null;

  /**
   * @param server not listening yet. @param most connections at a time: more are closed as they come.
   * @param tooMany told of each of those.
   */
  constructor(server: http.Server, most = Infinity, tooMany: () => void = () => {}) {
    this.server = server;
    let all = 0;
    server.on("listening", () => (this.isTracking = true));
    server.on("connection", (socket: Socket) => {
      // Also when it is taken over, or was handed over by somebody else, of which the server itself keeps no count.
      if (all >= most) {
        tooMany();
        socket.destroy();
        return;
      }
      all++;
      this.open.add(socket);
      socket.on("close", () => {
        all--;
        this.left(socket);
      });
    });
    server.on("request", (_, response: ServerResponse) => {
      this.answers.add(response);
      if (this.onEmpty !== null) isLast(response);
      response.on("close", () => {
        this.answers.delete(response);
        // The connection may wait for a request that is not taken any more.
        if (this.onEmpty !== null) setImmediate(() => server.closeIdleConnections());
      });
    });
    server.on("upgrade", (_, socket: Duplex) => this.upgraded.add(socket));
  }

  /** Serves a connection that somebody else has accepted, and read nothing of. */
  accept(socket: Socket): void {
    // At this event Node begins to keep account of connections, without which none has a time limit.
    if (!this.isTracking) this.server.emit("listening");
    this.server.emit("connection", socket);
  }

  /** This one is somebody else's from now on, who ends it. It counts among all as long as it is there. */
  left(socket: Duplex): void {
    this.open.delete(socket);
    this.upgraded.delete(socket);
    if (this.open.size === 0) this.onEmpty?.();
  }

  /**
   * Takes no more, and waits for what is under way; WebSockets are cut off at once. Once.
   *
   * @param cut when it aborts, all else is cut off.
   */
  async close(cut: AbortSignal): Promise<void> {
    const { open, upgraded, answers, server } = this;
    const empty = new Promise<void>((resolve) => (this.onEmpty = resolve));
    // Whoever is told so asks no more there, where it would be lost.
    for (const answer of answers) isLast(answer);
    // What was asked already, and not yet read, is read first.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    // Of a server that does not listen itself this says so, and ends its account all the same.
    server.close(() => {});
    server.closeIdleConnections();
    for (const socket of upgraded) socket.destroy();
    // Browsers connect before they have something to ask.
    const begun = setTimeout(() => {
      for (const socket of open) if ((socket as Socket).bytesRead === 0) socket.destroy();
    }, BEGIN_MS);
    const cutOff = (): void => {
      for (const socket of open) socket.destroy();
    };
    cut.addEventListener("abort", cutOff);
    if (cut.aborted) cutOff();
    if (open.size > 0) await empty;
    clearTimeout(begun);
    cut.removeEventListener("abort", cutOff);
  }
}

/** Tells the client that the connection ends with this answer, if it still can be told. */
function isLast(answer: ServerResponse): void {
  if (!answer.headersSent) answer.shouldKeepAlive = false;
}
