// Role: a connection to a workerd by its debug port.
// State: the session, and the capability that all stubs are asked from. Must not know: how calls are made.

import type { RpcStub } from "../cap/dynamic/types.js";
import { RpcError } from "../base/errors.js";
import { type Terms, termsOf } from "../cap/dynamic/terms.js";
import type { Hook } from "../hook/hook.js";
import type { ConnectionStats } from "../rpc/audit.js";
import { connect, type NodeConnectOptions } from "../vat/connect.node.js";
import type { Session } from "../vat/session.js";
import { objectIdText, type WorkerdObjectId } from "./object-id.node.js";
import { askActor, askEntrypoint } from "./protocol.js";
import { EntryReach } from "./reach.js";
import "./serve.js";
import { stubOf } from "./stub.js";

/** As for `connect`; nothing is offered to workerd. */
export type WorkerdOptions = Omit<NodeConnectOptions, "bootstrap">;

/** A connection to one workerd. To close it breaks all stubs that came from it. */
export class Workerd implements AsyncDisposable {
  readonly session: Session;
  private readonly port: Hook;
  private readonly terms: Terms;
  private closed = false;

  /** @internal */
  constructor(session: Session, terms: Terms) {
    this.session = session;
    this.terms = terms;
    this.port = session.bootstrap();
  }

  /**
   * A stub of a Worker's entry point. Each call on it is an event of its own over there, and `fetch` is a request.
   *
   * @param service its name in the configuration. @param name of the class that it exports; by default the default export.
   * @param props what it finds in `ctx.props`: anything that can be JSON.
   * @throws RpcError invalid-argument for props that cannot.
   * @example using greeter = workerd.getEntrypoint<Greeter>("main", "Greeter");
   */
  getEntrypoint<T>(service: string, name?: string, props?: unknown): RpcStub<T> {
    const json = props === undefined ? null : JSON.stringify(props);
    if (json === undefined)
      throw new RpcError("failed", "invalid-argument", "props are given as JSON, and these cannot be");
    return this.stub(askEntrypoint(this.port, service, name ?? null, json));
  }

  /**
   * A stub of a durable object, which workerd starts when it is first called.
   *
   * @param service the name in the configuration of the Worker that has the class. @param className as it exports it.
   * @param id 64 hexadecimal digits; or a name with the `uniqueKey` of the namespace.
   * @throws RpcError invalid-id.
   * @example using room = workerd.getObject<Room>("main", "Room", { name: "lobby", uniqueKey: "room-key-1" });
   */
  getObject<T>(service: string, className: string, id: WorkerdObjectId): RpcStub<T> {
    return this.stub(askActor(this.port, service, className, objectIdText(id)));
  }

  private stub<T>(worker: Hook): RpcStub<T> {
    return stubOf(new EntryReach(worker), this.terms).proxy as RpcStub<T>;
  }

  /** What the tables of the connection hold. */
  stats(): ConnectionStats {
    return this.session.connection.stats();
  }

  /** Ends the connection. Idempotent. */
  async close(): Promise<void> {
    if (!this.closed) this.port.release();
    this.closed = true;
    await this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Connects to the debug port of a workerd: `workerd serve config.capnp --debug-port=unix:/path`. Whoever can reach that port can
 * do anything in the process, so it belongs on a Unix socket or on loopback.
 *
 * @param url `unix:/path` or `tcp://host:port`. @throws RpcError invalid-argument for another address; connect-failed.
 * @example
 * await using workerd = await connectWorkerd("unix:/run/workerd.sock");
 * using room = workerd.getObject<Room>("main", "Room", { name: "lobby", uniqueKey: "room-key-1" });
 * console.log(await room.members().count());
 */
export async function connectWorkerd(url: string, options: WorkerdOptions = {}): Promise<Workerd> {
  if (!/^(unix:|tcp:)/.test(url))
    throw new RpcError("failed", "invalid-argument", `a debug port is unix: or tcp:, not ${url}`);
  return new Workerd(await connect(url, options), termsOf({ limits: options.limits }));
}
