// Role: a connection to a workerd: by its debug port, or to a socket of a Worker.
// State: the session, and the capability that all stubs are asked from. Must not know: how calls are made.

import type { RpcStub } from "../cap/dynamic/types.js";
import { invalidArgument } from "../base/checks.js";
import type { Terms } from "../cap/dynamic/terms.js";
import type { Hook } from "../hook/hook.js";
import type { ConnectionStats } from "../rpc/audit.js";
import { checkConnecting } from "../vat/connect.js";
import { connect, type NodeConnectOptions, nodeSession } from "../vat/connect.node.js";
import type { Session } from "../vat/session.js";
import { workerdAddress } from "./address.js";
import { connectThrough } from "./connect-host.node.js";
import { bridgeSession, bridgeTerms } from "./errors.js";
import { objectIdText, type WorkerdObjectId } from "./object-id.node.js";
import { askActor, askEntrypoint } from "./protocol.js";
import { EntryReach } from "./reach.js";
import "./serve.js";
import { stubOf } from "./stub.js";

/** As for `connect`; nothing is offered to workerd. */
export type WorkerdOptions = Omit<NodeConnectOptions, "bootstrap">;

/** A connection to one workerd. To close it breaks all stubs that came from it. */
abstract class Connected implements AsyncDisposable {
  /** What it stands on: its state, its end, its limits. */
  readonly session: Session;
  protected readonly root: Hook;
  private readonly terms: Terms;
  private closed = false;

  /** @internal */
  constructor(session: Session, terms: Terms) {
    this.session = session;
    this.terms = terms;
    this.root = session.bootstrap();
  }

  /** @param worker taken over. */
  protected stub<T>(worker: Hook): RpcStub<T> {
    return stubOf(new EntryReach(worker), this.terms).proxy as RpcStub<T>;
  }

  /** What the tables of the connection hold. */
  stats(): ConnectionStats {
    return this.session.connection.stats();
  }

  /** Ends the connection. Idempotent. */
  async close(): Promise<void> {
    if (!this.closed) this.root.release();
    this.closed = true;
    await this.session.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** A connection to the debug port of a workerd: it reaches everything in it. */
export class Workerd extends Connected {
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
    if (json === undefined) throw invalidArgument("props are given as JSON, and these cannot be");
    return this.stub(askEntrypoint(this.root, service, name ?? null, json));
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
    return this.stub(askActor(this.root, service, className, objectIdText(id)));
  }
}

/** A connection to a socket of a workerd: it reaches the entry point that is served there. */
export class WorkerSocket<T> extends Connected {
  /** As stubs of {@link Workerd.getEntrypoint}. Ends with the connection. */
  readonly entrypoint: RpcStub<T>;

  /** @internal */
  constructor(session: Session, terms: Terms) {
    super(session, terms);
    this.entrypoint = this.stub(this.root.addRef());
  }

  override close(): Promise<void> {
    this.entrypoint[Symbol.dispose]();
    return super.close();
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
  workerdAddress(url);
  return new Workerd(await connect(url, bridgeSession(options)), bridgeTerms(options));
}

/**
 * Connects to a socket of a workerd that has `http = (capnpConnectHost = "rpc.example")`, by HTTP's CONNECT, and so to the
 * entry point that is served there, and no other.
 *
 * @param url `unix:/path` or `tcp://host:port`. @param host the same as in the configuration, to the letter.
 * @throws RpcError invalid-argument; connect-failed; http-refused when the host is another.
 * @example
 * await using socket = await connectWorker<Greeter>("tcp://127.0.0.1:8080", "rpc.example");
 * console.log(await socket.entrypoint.greet("world"));
 */
export async function connectWorker<T>(
  url: string,
  host: string,
  options: WorkerdOptions = {},
): Promise<WorkerSocket<T>> {
  checkConnecting(options);
  const transport = await connectThrough(url, host, options);
  return new WorkerSocket(nodeSession(transport, bridgeSession(options)), bridgeTerms(options));
}
