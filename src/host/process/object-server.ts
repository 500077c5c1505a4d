// Role: what an object process offers to the other processes of its host: its objects.
// State: per connection, whom to tell when an object breaks. Must not know: sockets, where other objects are.

import { RpcError } from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import { ONE_CAPABILITY } from "../../cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { Payload } from "../../hook/payload.js";
import type { Content } from "../../wire/content.js";
import type { ObjectHook } from "../object/object-hook.js";
import type { ObjectReference } from "../references/reference.js";
import {
  brokenParams,
  leavingParams,
  LISTENER_HI,
  LISTENER_LO,
  METHOD_ATTACH,
  METHOD_BROKEN,
  METHOD_LEAVING,
  METHOD_REACH,
  OBJECTS_HI,
  OBJECTS_LO,
  readBrokenParams,
  readLeavingParams,
  readReachParams,
} from "./protocol.js";

/** The objects of this process. */
export interface Reachable {
  /** A new reference to an object that is here. @throws RpcError invalid-id when it belongs elsewhere, or nowhere. */
  reach(reference: ObjectReference): ObjectHook;
}

/** All connections at which objects are offered. */
export class ObjectServers {
  private readonly objects: Reachable;
  private readonly servers = new Set<ObjectServer>();
  private isLeaving = false;

  constructor(objects: Reachable) {
    this.objects = objects;
  }

  /** The bootstrap capability for one connection. */
  offer(): Hook {
    return new LocalHook(new ObjectServer(this.objects, this), processScheduler());
  }

  /**
   * Has everybody make no more calls and end the connection when those under way are answered. Who connects from now on is refused.
   *
   * @param timeout milliseconds that they have.
   */
  leave(timeout: number): void {
    this.isLeaving = true;
    for (const server of this.servers) server.leave(timeout);
  }

  /** @throws RpcError connection-draining when it is too late. */
  attached(server: ObjectServer): void {
    if (this.isLeaving) {
      const message = "the process is about to end, and another takes its place";
      throw new RpcError("disconnected", "connection-draining", message);
    }
    this.servers.add(server);
  }

  detached(server: ObjectServer): void {
    this.servers.delete(server);
  }
}

class ObjectServer implements Server {
  /** Runs no code of an object's. */
  readonly passive = true;
  private readonly objects: Reachable;
  private readonly all: ObjectServers;
  private listener: Hook | null = null;

  constructor(objects: Reachable, all: ObjectServers) {
    this.objects = objects;
    this.all = all;
  }

  leave(timeout: number): void {
    this.tell(METHOD_LEAVING, leavingParams(timeout));
  }

  dispatch(call: LocalCall): void {
    const { interfaceHi, interfaceLo, methodId } = call;
    if (interfaceHi === OBJECTS_HI && interfaceLo === OBJECTS_LO) {
      if (methodId === METHOD_REACH) return this.reach(call);
      if (methodId === METHOD_ATTACH) return this.attach(call);
    }
    const message = "an object process has no such method";
    call.fails(new RpcError("unimplemented", "method-unimplemented", message));
  }

  dropped(): void {
    this.all.detached(this);
    this.listener?.release();
    this.listener = null;
  }

  private attach(call: LocalCall): void {
    this.all.attached(this);
    this.listener?.release();
    this.listener = call.params.caps[0]?.addRef() ?? null;
    call.returns();
  }

  private reach(call: LocalCall): void {
    const { number, reference } = readReachParams(call.params.content);
    if (reference.id === null)
      throw new RpcError("failed", "invalid-id", "only an object can be reached, no namespace");
    const object = this.objects.reach(reference);
    // Written at once, and so before what the breaking of the object makes of calls on it.
    object.onBroken = (error) => this.tell(METHOD_BROKEN, brokenParams(number, error));
    call.returns(new Payload(ONE_CAPABILITY, [object]));
  }

  private tell(method: number, params: Content): void {
    if (this.listener === null) return;
    const request = new CallRequest(LISTENER_HI, LISTENER_LO, method, new Payload(params));
    // Whoever is gone need not know.
    tell(this.listener, request).catch(() => {});
  }
}

/** Makes a call without results. @throws RpcError what it fails with (as a rejection). */
export function tell(hook: Hook, request: CallRequest): Promise<void> {
  const results = hook.call(request);
  results.dropPipeline();
  return new Promise((resolve, reject) => {
    const resultsSettled = (): void => {
      results.dropResponse();
      if (results.error === null) resolve();
      else reject(results.error);
    };
    results.observe({ immediate: false, resultsSettled });
  });
}

/** What the other side of a connection tells. Runs no user code. */
export interface BreakListener {
  /** The object that was reached under `number` is broken. */
  broken(number: number, error: RpcError): void;
  /** The process is about to end. @param timeout milliseconds until then. */
  leaving(timeout: number): void;
}

/** Takes what an object process tells. */
export function breakListener(listener: BreakListener): Hook {
  const server: Server = {
    passive: true,
    dispatch(call) {
      const { interfaceHi, interfaceLo, methodId } = call;
      const known = interfaceHi === LISTENER_HI && interfaceLo === LISTENER_LO;
      if (known && methodId === METHOD_BROKEN) {
        const { number, error } = readBrokenParams(call.params.content);
        listener.broken(number, error);
      } else if (known && methodId === METHOD_LEAVING)
        listener.leaving(readLeavingParams(call.params.content));
      else {
        const message = "a listener has no such method";
        return call.fails(new RpcError("unimplemented", "method-unimplemented", message));
      }
      call.returns();
    },
  };
  return new LocalHook(server, processScheduler());
}
