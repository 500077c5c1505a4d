// Role: what an object process offers to the other processes of its host: its objects.
// State: per connection, whom to tell when an object breaks. Must not know: sockets, where other objects are.

import { RpcError } from "../../base/errors.js";
import { processScheduler } from "../../cap/scheduler.js";
import { ONE_CAPABILITY } from "../../cap/stream/protocol.js";
import { CallRequest, type Hook } from "../../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../../hook/local.js";
import { emptyPayload, Payload } from "../../hook/payload.js";
import { ObjectId } from "../object/ids.js";
import type { ObjectHook } from "../object/object-hook.js";
import type { NamespaceIds } from "../object/parts.js";
import {
  brokenParams,
  LISTENER_HI,
  LISTENER_LO,
  METHOD_ATTACH,
  METHOD_BROKEN,
  METHOD_REACH,
  OBJECTS_HI,
  OBJECTS_LO,
  readReachParams,
} from "./protocol.js";

/** The objects of this process. */
export interface Reachable {
  /** @throws RpcError invalid-id when there is none of that name. */
  namespace(name: string): NamespaceIds;
  /** A new reference to an object that is here. @throws RpcError invalid-id when it belongs elsewhere. */
  reach(namespace: NamespaceIds, id: ObjectId): ObjectHook;
}

/** The bootstrap capability for one connection. */
export function objectServer(objects: Reachable): Hook {
  return new LocalHook(new ObjectServer(objects), processScheduler());
}

class ObjectServer implements Server {
  /** Runs no code of an object's. */
  readonly passive = true;
  private readonly objects: Reachable;
  private listener: Hook | null = null;

  constructor(objects: Reachable) {
    this.objects = objects;
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
    this.listener?.release();
    this.listener = null;
  }

  private attach(call: LocalCall): void {
    this.listener?.release();
    this.listener = call.params.caps[0]?.addRef() ?? null;
    call.returns();
  }

  private reach(call: LocalCall): void {
    const {
      number,
      namespace: name,
      id: bytes,
      name: madeOf,
    } = readReachParams(call.params.content);
    const namespace = this.objects.namespace(name);
    const known = namespace.ids.fromBytes(bytes);
    const id = madeOf === undefined ? known : new ObjectId(bytes, madeOf);
    const object = this.objects.reach(namespace, id);
    object.onBroken = (error) => this.tell(number, error);
    call.returns(new Payload(ONE_CAPABILITY, [object]));
  }

  /** Written at once, and so before what the breaking of the object makes of calls on it. */
  private tell(number: number, error: RpcError): void {
    const params = new Payload(brokenParams(number, error));
    if (this.listener === null) return params.release();
    const request = new CallRequest(LISTENER_HI, LISTENER_LO, METHOD_BROKEN, params);
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

/** Takes what a {@link objectServer} of another process tells. @param broken runs no user code. */
export function breakListener(broken: (params: Payload) => void): Hook {
  const server: Server = {
    passive: true,
    dispatch(call) {
      if (
        call.interfaceHi !== LISTENER_HI ||
        call.interfaceLo !== LISTENER_LO ||
        call.methodId !== METHOD_BROKEN
      ) {
        const message = "a listener has no such method";
        return call.fails(new RpcError("unimplemented", "method-unimplemented", message));
      }
      broken(call.params);
      call.returns(emptyPayload());
    },
  };
  return new LocalHook(server, processScheduler());
}
