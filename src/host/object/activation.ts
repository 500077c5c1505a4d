// Role: one activation of an object, from its constructor to its end: delivers events, keeps the rules of the gates together.
// State: the instance, its gates, storage and boundary; what keeps it from being evicted; how it ended.
// Must not know: other objects, how it is found, what is in its values.

import { RpcError } from "../../base/errors.js";
import { currentOrigin, type Entrant, type Origin, runFor } from "../../base/origin.js";
import { Scheduler } from "../../base/scheduler.js";
import { hostedHook } from "../../cap/dynamic/object.js";
import { RpcStub, serve } from "../../cap/dynamic/stub.js";
import { isTarget, makeTarget } from "../../cap/dynamic/target.js";
import { serveBeside } from "../../hook/beside.js";
import { HOLD, holderOf } from "../../hook/holder.js";
import type { CallRequest, Hook } from "../../hook/hook.js";
import type { Membrane } from "../../hook/membrane.js";
import type { Results } from "../../hook/results.js";
import { HttpService } from "../../http/server.js";
import { collectedError } from "../collect/participant.js";
import { type Frame, InputGate } from "../gates/input-gate.js";
import type { GateEvent } from "../gates/section.js";
import { OutputGate } from "../gates/output-gate.js";
import { Restorer } from "../../persist/restorer.js";
import { HoldingBook, READ_AT_START } from "../references/holdings.js";
import { identify, referenceOf } from "../references/identity.js";
import { lost, type ObjectReference, type Reference } from "../references/reference.js";
import { ObjectReferences } from "../references/stored.js";
import { readAlarm } from "../storage/alarm.js";
import { ActivationSockets } from "../sockets/activation-sockets.js";
import { KIND_ALARM, KIND_DELETED, ObjectKeys } from "../storage/keys.js";
import { ObjectStorage } from "../storage/object-storage.js";
import { type Bytes, type Entry, storeFailure } from "../storage/store.js";
import type { ValueCodecs } from "../storage/values.js";
import { boundary, sectionOf } from "./boundary.js";
import { EVENT_NAMES } from "./durable-object.js";
import { FACET_BYTES, Facets, restore, type Restores } from "./facets.js";
import type { ObjectId } from "./ids.js";
import { namespaceOf } from "./namespace.js";
import type { Callee, ObjectHook } from "./object-hook.js";
import type { Definition, HostParts, Wrapping } from "./parts.js";
import { Requests, type RequestsBehind } from "./requests.js";
import { ObjectState } from "./state.js";

const byGate = new WeakMap<object, Activation>();

/** The activation whose own code `origin` stands for; undefined for code that only runs on behalf of one. */
export function activationAt(origin: Origin | null): Activation | undefined {
  const frame = origin as Frame | null;
  return frame === null || frame.scheduler !== frame.gate.scheduler
    ? undefined
    : byGate.get(frame.gate);
}

/** Told of an activation's end, once. */
export interface ActivationOwner {
  /**
   * It takes no more calls.
   *
   * @param settled when the store has nothing of it in its hands any more.
   * @param revoked when nobody can pass on any more what it has handed out; null: it is so already.
   */
  ended(activation: Activation, settled: Promise<void> | null, revoked: Promise<void> | null): void;
  /** The store has its alarm at another time, or none. */
  alarmChanged(time: number | null): void;
}

/** What an object's constructor was given. */
export interface Surroundings {
  readonly env: object;
  waitUntil(promise: Promise<unknown>): void;
}

/** What is delivered to an object beside calls: an alarm, and whatever a host knows more of. */
export interface ObjectEvent {
  /** For people. */
  readonly kind: string;
  /** Runs the object's code, which was let in. @param instance the object. */
  run(instance: object): unknown;
}

export class Activation implements Callee, Wrapping {
  readonly definition: Definition;
  readonly id: ObjectId;
  /** Told when it breaks. */
  readonly onBroken = new Set<(error: RpcError) => void>();
  /** Told when it breaks, and when it is evicted. */
  private readonly callers = new Set<ObjectHook>();
  /** Of the calls that come to the object, and of what its code makes. */
  private readonly scheduler = new Scheduler();
  private readonly parts: HostParts;
  private readonly owner: ActivationOwner;
  private readonly input: InputGate;
  private readonly output = new OutputGate();
  private readonly membrane: Membrane;
  private readonly become: (self: object) => void;
  private readonly requests: Requests;
  /** The object as everybody else holds it. */
  private readonly face: Hook;
  private facets: Facets | null = null;
  private readonly codecs: ValueCodecs;
  private instance: object | null = null;
  private around: Surroundings | undefined;
  private stored: ObjectStorage | null = null;
  /** Made when they are needed. */
  private held: ActivationSockets | null = null;
  private state: "starting" | "active" | "broken" | "evicted" = "starting";
  private error: RpcError | null = null;
  /** Events other than calls, and `waitUntil`. */
  private running = 0;
  private usedAt: number;
  private stopIdling: () => void = () => {};

  /** Whether the object is being collected, and this runs its hook: it gives no reference to itself to anybody. */
  private readonly isLast: boolean;

  /**
   * @param after what must be over before it starts: the end of the activation before it.
   * @param isLast whether the object is being collected.
   */
  constructor(
    parts: HostParts,
    owner: ActivationOwner,
    definition: Definition,
    id: ObjectId,
    after: Promise<void> | null,
    isLast = false,
  ) {
    this.isLast = isLast;
    this.parts = parts;
    this.owner = owner;
    this.definition = definition;
    this.id = id;
    this.usedAt = parts.clock.now;
    const { scheduler } = this;
    scheduler.wake = () => parts.scheduler.post({ run: () => scheduler.drain() });
    scheduler.entry = { admit: (call) => this.admit(call) };
    scheduler.onError = (error) => parts.report(error, this.name);
    const { turns, placement } = parts;
    this.input = new InputGate({ name: this.name, scheduler, turns, waits: placement.waits });
    byGate.set(this.input, this);
    const who = (self: object): Reference | null => this.own(self);
    this.membrane = boundary(this.input, this.output, parts.scheduler, scheduler, who);
    const revive = parts.references.value;
    this.codecs = parts.codecs.with(
      new ObjectReferences((reference) => revive(reference, this), who),
    );
    const hosted = hostedHook(scheduler, parts.terms);
    this.become = (self) => hosted.become(self);
    this.face = this.membrane.wrap(hosted.hook);
    this.requests = new Requests(this.behindRequests(), scheduler, parts.stubs);
    this.start(after);
  }

  /** For people: the namespace, and the name or the beginning of the id. */
  get name(): string {
    const { definition, id } = this;
    return `${definition.name}/${id.name ?? id.toString().slice(0, 8)}`;
  }

  get brokenBy(): RpcError | null {
    return this.error;
  }

  get storage(): ObjectStorage | null {
    return this.stored;
  }

  /** For code of the object's that was not handed them; undefined before it is constructed. */
  get surroundings(): Surroundings | undefined {
    return this.around;
  }

  attach(caller: ObjectHook): void {
    this.callers.add(caller);
  }

  detach(caller: ObjectHook): void {
    this.callers.delete(caller);
  }

  /** Of its WebSockets those that outlive it. */
  get sockets(): ActivationSockets {
    const { definition, id, output, parts, codecs } = this;
    const { scheduler, limits } = parts;
    return (this.held ??= new ActivationSockets(parts.sockets.of(definition, id), {
      scheduler,
      limits,
      output,
      codecs,
    }));
  }

  call(request: CallRequest): Results {
    this.usedAt = this.parts.clock.now;
    return (HttpService.isCalledBy(request) ? this.requests.hook : this.face).call(request);
  }

  /** A facet of the object, as those who call it know it. Runs no user code. @param params as a stored value. */
  facet(params: Bytes): Callee {
    this.facets ??= new Facets({
      membrane: this.membrane,
      scheduler: this.scheduler,
      holdParams: (params) => this.parts.roots.holdValue(params),
      used: () => (this.usedAt = this.parts.clock.now),
      make: (wanted, origin) => this.makeFacet(wanted, origin),
    });
    return this.facets.get(params);
  }

  take(hook: Hook): Hook {
    const taken = this.membrane.cross(hook, "outward");
    hook.release();
    return taken;
  }

  /**
   * Delivers an event once the gate lets it in.
   *
   * @param from what it comes from; by default from outside of all objects.
   * @returns what the object's code returns. @throws what it throws; what broke the object (as a rejection).
   */
  deliver(event: ObjectEvent, from: Frame | null = null): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.running++;
      // Once, whichever comes first: its end, or that of the object.
      const ended = (): boolean => this.onBroken.delete(fail) && this.running-- > 0;
      const fail = (thrown: unknown): void => {
        if (ended()) reject(thrown);
      };
      this.onBroken.add(fail);
      const run = async (): Promise<unknown> => event.run(this.instance!);
      this.input.enter({
        from,
        deliver: (frame) => {
          this.usedAt = this.parts.clock.now;
          runFor(frame, this.scheduler, run).then((value) => ended() && resolve(value), fail);
        },
        refuse: fail,
      });
    });
  }

  /** Resolves when all that it wrote until now is safe. */
  async flushed(): Promise<void> {
    await this.stored?.sync();
  }

  // -- Start -------------------------------------------------------------------------------------------------------------

  private start(after: Promise<void> | null): void {
    const letIn = this.input.hold();
    const keys = new ObjectKeys(this.definition.bytes, this.id._bytes);
    const begin = (found: readonly Entry[]): void => {
      // A call that made this activation must not run user code itself.
      this.scheduler.post({ run: () => this.construct(keys, found, letIn) });
    };
    const read = (): void => {
      try {
        const { store } = this.parts;
        const found = store.range({ ...keys.atStart, limit: BESIDE_HELD + READ_AT_START });
        if (found instanceof Promise)
          found.then(begin, (error: unknown) => this.storeFailed(error));
        else begin(found);
      } catch (thrown) {
        this.storeFailed(thrown);
      }
    };
    if (after === null) read();
    else void after.then(read);
  }

  private construct(keys: ObjectKeys, found: readonly Entry[], letIn: () => void): void {
    if (this.state !== "starting") return;
    const recordOf = (kind: number): Bytes | undefined =>
      found.find(({ key }) => keys.kindAt(key) === kind)?.value;
    const deleted = recordOf(KIND_DELETED);
    if (deleted !== undefined && !this.isLast) return this.break(goneError(this.name, deleted));
    const { parts, definition, scheduler, input, output } = this;
    const storage = new ObjectStorage({
      store: parts.store,
      keys,
      input,
      output,
      turns: parts.turns,
      codecs: this.codecs,
      holdings: new HoldingBook(keys, found),
      roots: parts.roots,
      isLast: this.isLast,
      cacheBytes: parts.limits.cacheBytes,
      alarm: readAlarm(recordOf(KIND_ALARM)),
      section: (body) => this.section(body),
      isTentative: () => this.state === "starting" || input.inSection,
      failed: (error) => this.break(error),
      alarmChanged: () => this.owner.alarmChanged(storage._alarm.record?.time ?? null),
    });
    this.stored = storage;
    output.onWait = () => parts.turns.soon(() => storage._flush());
    const frame: Frame = { gate: input, section: null, from: null, scheduler };
    input.turn();
    try {
      const instance = runFor(frame, scheduler, () => {
        const ctx = new ObjectState({
          id: definition.collect ? definition.ids.shown(this.id) : this.id,
          storage,
          block: (callback) => this.section(callback),
          waitUntil: (promise) => this.waitUntil(promise),
          facet: (params) => this.newFacet(params),
          restorer: () => new Restorer(this.take(parts.references.restorer()), parts.terms),
          abort: (reason) => this.abort(reason),
          sockets: () => this.sockets,
        });
        const env = parts.environment(this);
        this.around = { env, waitUntil: (promise) => this.waitUntil(promise) };
        return new definition.type(ctx as never, env as never);
      });
      makeTarget(instance, EVENT_NAMES);
      if (!this.isLast) serveBeside(instance, parts.references.saver(this.referenceTo(null)));
      this.instance = instance;
      this.become(instance);
    } catch (thrown) {
      return this.break(thrown);
    }
    // It may have broken itself.
    if (this.state !== "starting") return;
    this.state = "active";
    this.flushUnlessTentative();
    letIn();
    this.idleFor(parts.limits.idleTime);
  }

  // -- References --------------------------------------------------------------------------------------------------------

  private referenceTo(facet: Bytes | null): ObjectReference {
    const { definition, id } = this;
    return { namespace: definition.name, id: id._bytes, name: id.name, facet };
  }

  /** The object itself, or a namespace. */
  private own(value: object): Reference | null {
    if (value === this.instance) return this.isLast ? null : this.referenceTo(null);
    const namespace = namespaceOf(value);
    return namespace === undefined ? null : { namespace, id: null };
  }

  /** From now on `object`, of this object's own, can be stored and saved. */
  private known(object: object, reference: ObjectReference): void {
    identify(object, reference);
    serveBeside(object, this.parts.references.saver(reference));
  }

  /** Of `ctx.facet`. */
  private newFacet(params: unknown): object {
    if (this.isLast) throw collectedError(this.name);
    const { type } = this.definition;
    if (typeof (type.prototype as Partial<Restores>)[restore] !== "function") {
      const message = `${type.name} has no method [restore], by which facets are made`;
      throw new RpcError("unimplemented", "method-unimplemented", message);
    }
    const bytes = this.codecs.encode(params, "params");
    if (bytes.length > FACET_BYTES) {
      const message = `the parameters of a facet have at most ${FACET_BYTES} bytes, not ${bytes.length}`;
      throw new RpcError("overloaded", "limit-exceeded", message);
    }
    const hook = this.parts.references.hook(this.referenceTo(bytes));
    return new RpcStub(this.take(hook), this.parts.terms);
  }

  private makeFacet(params: Bytes, origin: Origin | null): Promise<Hook> {
    const run = async (instance: object): Promise<Hook> => {
      const restores = instance as Partial<Restores>;
      if (typeof restores[restore] !== "function")
        throw lost(`${this.definition.type.name} has no method [restore] any more`);
      const made: unknown = await restores[restore](this.codecs.decode(params) as never);
      if (made === null || made === undefined) throw lost(`${this.name} does not restore it`);
      if (made !== instance && (isTarget(made) || (typeof made === "function" && !holderOf(made))))
        this.known(made, this.referenceTo(params));
      const { types, limits } = this.parts.terms;
      const { scheduler } = this;
      return holderOf(made)?.[HOLD](true) ?? serve(made as object, { scheduler, types, limits });
    };
    return this.deliver({ kind: "facet", run }, origin as Frame | null) as Promise<Hook>;
  }

  // -- Events ------------------------------------------------------------------------------------------------------------

  private admit(call: Entrant): void {
    const { input } = this;
    const origin = call.origin as Frame | null;
    const event: GateEvent = {
      from: call.isAnswer === true ? null : origin,
      deliver: (frame) => {
        call.origin = frame;
        call.enter();
      },
      refuse: (error) => call.fails(error),
    };
    input.enter(event, call.isAnswer === true ? sectionOf(input, origin) : null);
  }

  private behindRequests(): RequestsBehind {
    const self = (): object => this.instance!;
    return {
      get instance() {
        return self();
      },
      // A request that the object makes to itself comes from inside.
      way: (context) =>
        context.scheduler === this.scheduler
          ? context.addRef()
          : this.membrane.cross(context, "outward"),
      keeps: (end) => this.held?.keeps(end) ?? null,
    };
  }

  /** Runs `body` as a critical section. What it throws breaks the object. */
  private section<T>(body: () => Promise<T>): Promise<T> {
    const { input, scheduler, parts } = this;
    const origin = currentOrigin() as Frame | null;
    const done = new Promise<T>((resolve, reject) => {
      const section = input.section(origin?.gate === input ? origin : null, (frame, error) => {
        if (error !== null) return reject(error);
        const { sectionTime } = parts.limits;
        const stopTimer = parts.clock.after(sectionTime, () => fail(tooLong(sectionTime)));
        const fail = (thrown: unknown): void => {
          stopTimer();
          this.onBroken.delete(fail);
          this.break(thrown);
          reject(thrown);
        };
        this.onBroken.add(fail);
        runFor(frame, scheduler, body).then((value) => {
          stopTimer();
          this.onBroken.delete(fail);
          resolve(value);
          // Who waits for the section goes on before the next event comes.
          parts.turns.after(() => {
            section.end();
            this.flushUnlessTentative();
          });
        }, fail);
      });
    });
    // Everybody hears of its failure by the object's end; who began it need not listen.
    done.catch(() => {});
    return done;
  }

  private flushUnlessTentative(): void {
    if (this.state === "active" && !this.input.inSection) this.stored!._flush();
  }

  private waitUntil(promise: Promise<unknown>): void {
    this.running++;
    const end = (): void => {
      this.running--;
    };
    Promise.resolve(promise).then(end, (thrown: unknown) => {
      end();
      this.parts.report(thrown, `${this.name}: waitUntil`);
    });
  }

  private abort(reason: unknown): never {
    this.break(reason ?? new Error("it called ctx.abort()"));
    throw this.error!;
  }

  // -- End ---------------------------------------------------------------------------------------------------------------

  /** For good: calls under way fail, those who have called it get broken references, what is not written is not written. */
  break(cause: unknown, code: "object-broken" | "object-closed" = "object-broken"): void {
    if (this.error !== null) return;
    const error = brokenError(this.name, cause, code);
    this.end("broken", error);
    // Before any call is told that it failed: who hears of that, in another process too, gets a new reference that is good.
    for (const caller of this.allCallers()) caller.close(error);
    this.callers.clear();
    const { definition, id, parts } = this;
    const [closeCode, why] = code === "object-closed" ? [1001, "closed"] : [1011, "broken"];
    parts.sockets.find(definition, id)?.drop(closeCode, `the object is ${why}`);
    this.input.break(error.delivered("not-sent"));
    this.output.break(error);
    for (const listener of this.onBroken) listener(error);
    // Behind what the gate has refused, and refuses of what is on its way to it: those calls were not even begun.
    const revoked = new Promise<void>((resolve) => {
      const revoke = (): void => {
        this.requests.break(error.delivered("unknown"));
        this.membrane.revoke(error.delivered("unknown"));
        resolve();
      };
      this.scheduler.post({ run: () => this.scheduler.post({ run: revoke }) });
    });
    this.owner.ended(this, this.stored?._settled() ?? null, revoked);
  }

  /** Whether no event is under way or waits, and all that it wrote is flushed. */
  get isQuiet(): boolean {
    const { membrane } = this;
    if (this.state === "starting" || this.running > 0 || membrane.callCount > 0) return false;
    return this.input.isIdle && this.output.isOpen && this.stored!._isIdle && this.requests.isIdle;
  }

  /** Whether nothing is under way in it, nobody holds anything of it, and it holds nothing that would be lost with it. */
  get isIdle(): boolean {
    return (
      this.state === "active" &&
      this.isQuiet &&
      this.held?.isIdle !== false &&
      this.membrane.heldOutside === 1 &&
      this.face.refCount === 1 &&
      !this.holdsLive
    );
  }

  /** Whether it holds what it could not get again: a function or an object that lives as long as whoever gave it. */
  private get holdsLive(): boolean {
    for (const hook of this.membrane.heldInside) {
      const end = hook.resolved();
      const over = end.brokenBy ?? end.lifeline?.error ?? null;
      if (over === null && !end.isRegainable && referenceOf(end) === null) return true;
    }
    return false;
  }

  /** Lets go of it, if it is idle: the next call activates the object again. @returns whether it was. */
  evict(): boolean {
    if (!this.isIdle) return false;
    const error = brokenError(this.name, new Error("it was evicted"), "object-closed");
    this.end("evicted", error);
    for (const caller of this.allCallers()) caller.forget();
    this.callers.clear();
    this.membrane.revoke(error);
    this.owner.ended(this, null, null);
    return true;
  }

  private *allCallers(): Generator<ObjectHook> {
    yield* this.callers;
    if (this.facets !== null) yield* this.facets.callers();
  }

  private end(state: "broken" | "evicted", error: RpcError): void {
    this.state = state;
    this.error = error;
    this.stopIdling();
    this.facets?.end();
    this.held?.end();
    this.stored?._break(error);
  }

  private storeFailed(thrown: unknown): void {
    this.break(storeFailure(thrown));
  }

  private idleFor(time: number): void {
    const { clock, limits } = this.parts;
    this.stopIdling = clock.after(time, () => {
      // The clock of the machine may have been set back.
      this.usedAt = Math.min(this.usedAt, clock.now);
      const left = this.usedAt + limits.idleTime - clock.now;
      if (left > 0) this.idleFor(left);
      else if (!this.evict() && this.error === null) this.idleFor(limits.idleTime);
    });
  }
}

/** Records that an activation reads at its start, beside those of what the object holds. */
const BESIDE_HELD = 2 + 1;

const GONE: ReadonlySet<string> = new Set(["object-deleted", "object-collected"]);

/** What becomes of those who call an object that is no more. */
export function deletedError(name: string): RpcError {
  return new RpcError("failed", "object-deleted", `the object ${name} was deleted`);
}

/** @param record what says that it is no more. */
function goneError(name: string, record: Bytes): RpcError {
  return record.length === 0 ? deletedError(name) : collectedError(name);
}

function tooLong(time: number): RpcError {
  const message = `blockConcurrencyWhile took longer than ${time} ms: what it waits for may wait for this object`;
  return new RpcError("failed", "deadline-exceeded", message);
}

function brokenError(
  name: string,
  cause: unknown,
  code: "object-broken" | "object-closed",
): RpcError {
  if (RpcError.is(cause) && GONE.has(cause.code)) return cause;
  const why = RpcError.from(cause).message;
  const message = `the object ${name} is broken: ${why}; get a new stub to reach it again`;
  return new RpcError("disconnected", code, message, { cause });
}
