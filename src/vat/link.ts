// Role: the working part of a session: hands messages to the connection one by one, writes once a turn, keeps pressure
// within its limits, ends transport and connection together.
// State: whether a turn's end is asked for, whether reading is held, the timers of pressure, silence and the end.
// Must not know: what a message says, how the transport came to be, users.

import { RpcError } from "../base/errors.js";
import type { Limits } from "../base/limits.js";
import type { Scheduler } from "../base/scheduler.js";
import type { BatchSide } from "../rpc/batch.js";
import { Connection, type ConnectionOptions } from "../rpc/connection.js";
import type { Pressure } from "../hook/hook.js";
import { Heartbeat, type HeartbeatOwner } from "../transport/heartbeat.js";
import {
  peerUnresponsive,
  type Timer,
  type Transport,
  type TransportHandler,
} from "../transport/transport.js";
import type { Frame } from "../wire/frame.js";
import { Outbox } from "../wire/outbox.js";
import type { TurnEnd } from "./turn.js";

export interface LinkSettings {
  readonly limits: Limits;
  readonly scheduler: Scheduler;
  readonly silenceTimeout: number;
  readonly pressureTimeout: number;
  readonly grace: number;
  readonly turnEnd: TurnEnd;
  /** Which half of a single request and response this is; null for a connection in both directions. */
  readonly batch: BatchSide | null;
  readonly connection: Pick<
    ConnectionOptions,
    "bootstrap" | "tailCalls" | "sendTrace" | "redactError" | "restorer" | "identities"
  >;
  /** Told of each step: `draining`, and `closed` as soon as no call can be made; null after an orderly end. */
  readonly changed: (state: "draining" | "closed", cause: RpcError | null) => void;
  /** Told once, when the connection is over and the transport closed: null after an orderly end. */
  readonly over: (cause: RpcError | null) => void;
}

/**
 * For so long acknowledgements may wait for turns that follow at once, two or three turns of large chunks. Who waits longer leaves
 * the peer's window full: with 0.5 the two sides of a stream of 64 KiB chunks fell asleep by turns, at half the speed.
 */
const WAIT_MS = 0.03;

/** How often held reading is looked at: what frees the reserve need not write anything. */
const PRESSURE_MS = 20;

/** How often a connection that drains is looked at between its turns: not every call that ends writes something. */
const DRAIN_MS = 20;

/** Source: C-FRM-17, C-FRM-23, C-DIS-01 to 09, C-FLO-17 to 20, C-LIF-28. */
export class Link implements TransportHandler, HeartbeatOwner, Pressure {
  readonly transport: Transport;
  readonly connection: Connection;
  readonly outbox = new Outbox();
  /** How often something was handed to the carrier. */
  writes = 0;
  private readonly settings: LinkSettings;
  private readonly silence: Heartbeat | null;
  /** The time at which the messages handled now came: a clock read per message would cost more than it tells. */
  private arrival = 0;
  /** All that waits to be written came to be after this. */
  private emptySince = 0;
  private heldSince = -1;
  private holdTimer: Timer | undefined;
  private graceTimer: Timer | undefined;
  private drainTimer: Timer | undefined;
  private drainMs = 0;
  private drainUntil = -1;
  private transportClosed = false;
  /** Something was handed over since the limit on unsent bytes was last looked at. */
  private unchecked = false;
  private orderly = false;

  constructor(transport: Transport, settings: LinkSettings) {
    const { silenceTimeout } = settings;
    this.transport = transport;
    this.settings = settings;
    this.outbox.wake = settings.turnEnd(this.endTurn);
    this.outbox.full = () => this.handOver();
    this.connection = new Connection({
      ...settings.connection,
      batch: settings.batch,
      scheduler: settings.scheduler,
      outbox: this.outbox,
      peer: transport.name,
      pressure: this,
      limits: settings.limits,
      now: () => performance.now(),
      shutdown: (error) => this.shutdown(error),
    });
    this.silence =
      silenceTimeout === 0
        ? null
        : new Heartbeat(this, { keepAliveInterval: silenceTimeout, peerTimeout: silenceTimeout });
    this.silence?.start();
    transport.start(this);
  }

  get bufferedBytes(): number {
    return this.outbox.bytes + this.transport.bufferedBytes;
  }

  get high(): boolean {
    return this.bufferedBytes > this.settings.limits.outgoingBytes;
  }

  whenLow(listener: () => void): void {
    void this.whenWritable().then(listener);
  }

  whenWritable(): Promise<void> {
    if (this.bufferedBytes <= this.settings.limits.outgoingBytes) return Promise.resolve();
    this.flush();
    return this.transport.whenWritable();
  }

  /** Ends the connection from this side. @param reason null for an orderly end. */
  close(reason: RpcError | null): void {
    if (this.connection.error === null) this.orderly = reason === null;
    this.connection.close(reason ?? undefined);
    this.settings.scheduler.drain();
  }

  get draining(): boolean {
    return this.drainUntil >= 0;
  }

  /** Begins no new call, and ends the connection once none is under way, or after `ms` milliseconds. */
  drain(ms: number): void {
    if (this.draining || this.connection.error !== null) return;
    this.drainMs = ms;
    this.drainUntil = performance.now() + ms;
    this.connection.drain();
    this.settings.changed("draining", null);
    this.lookAtDrain();
  }

  private readonly lookAtDrain = (): void => {
    clearTimeout(this.drainTimer);
    if (this.connection.error !== null) return;
    const underWay = this.connection.callsUnderWay;
    const left = this.drainUntil - performance.now();
    if (underWay === 0) {
      this.orderly = true;
      this.connection.drained();
    } else if (left <= 0) {
      const message = `the connection was closed here: ${underWay} calls were still under way after ${this.drainMs} ms`;
      this.connection.close(new RpcError("disconnected", "connection-closed", message));
    } else {
      this.drainTimer = setTimeout(this.lookAtDrain, Math.min(DRAIN_MS, left));
      return;
    }
    this.settings.scheduler.drain();
  };

  // What the transport says.

  arriving(): void {
    const now = performance.now();
    if (this.outbox.canWait && now - this.emptySince > WAIT_MS) this.flush();
    if (this.outbox.count === 0) this.emptySince = now;
    this.arrival = now;
  }

  message(frame: Frame): void {
    this.connection.handle(frame, this.arrival);
    this.settings.scheduler.drain();
    if (this.connection.readingExhausted) this.hold();
  }

  fault(error: RpcError): void {
    this.connection.fault(error);
    this.settings.scheduler.drain();
  }

  closed(error: RpcError | null): void {
    this.transportClosed = true;
    if (this.connection.error === null) this.orderly = error === null;
    this.connection.disconnected(error ?? this.settings.batch?.over() ?? null);
    this.stopTimers();
    clearTimeout(this.graceTimer);
    this.settings.scheduler.drain();
    this.outbox.drop();
    this.settings.over(this.orderly ? null : this.connection.error);
  }

  // Silence while calls wait.

  get signsOfLife(): number {
    return this.transport.receivedBytes;
  }

  /** While this side reads nothing, nothing comes. */
  get expecting(): boolean {
    return this.heldSince < 0 && this.connection.state.questions.size > 0;
  }

  /** There is no message that asks nothing: silence is only waited for. */
  probe(): void {}

  silent(): void {
    const { name } = this.transport;
    const waiting = this.connection.state.questions.size;
    const ms = this.settings.silenceTimeout;
    this.connection.disconnected(
      peerUnresponsive(name, `no byte came within ${ms} ms while ${waiting} calls waited`),
    );
    this.settings.scheduler.drain();
  }

  // The turn.

  private readonly endTurn = (): void => {
    this.flush();
    if (this.heldSince >= 0) this.lookAtPressure();
    if (this.draining) this.lookAtDrain();
  };

  /** Only writes: whoever commits a message may be in the midst of anything. */
  private handOver(): void {
    const batch = this.outbox.take();
    if (batch === null) return;
    this.writes++;
    this.unchecked = true;
    this.transport.write(batch);
  }

  private flush(): void {
    this.handOver();
    if (!this.unchecked) return;
    this.unchecked = false;
    const { limits } = this.settings;
    const waiting = this.transport.bufferedBytes;
    if (waiting <= limits.outgoingBytesHard || this.connection.error !== null) return;
    this.connection.fault(
      new RpcError(
        "overloaded",
        "limit-exceeded",
        `limit outgoingBytesHard: what waits for the peer to read it takes ${waiting} bytes, and ${limits.outgoingBytesHard} is the most`,
      ),
    );
    this.settings.scheduler.drain();
  }

  // Pressure.

  private hold(): void {
    if (this.heldSince >= 0 || this.connection.error !== null) return;
    this.heldSince = performance.now();
    this.transport.pause();
    this.holdTimer = setTimeout(this.lookAtPressure, PRESSURE_MS);
  }

  private readonly lookAtPressure = (): void => {
    clearTimeout(this.holdTimer);
    if (!this.connection.readingExhausted) {
      this.heldSince = -1;
      this.transport.resume();
      return;
    }
    const { limits, pressureTimeout } = this.settings;
    if (performance.now() - this.heldSince < pressureTimeout) {
      this.holdTimer = setTimeout(this.lookAtPressure, PRESSURE_MS);
      return;
    }
    this.connection.fault(
      new RpcError(
        "overloaded",
        "limit-exceeded",
        `limit withheldCallBytes: more than ${limits.withheldCallBytes} bytes of calls wait for others to return, for ${pressureTimeout} ms`,
      ),
    );
    this.settings.scheduler.drain();
  };

  // The end.

  /** The connection is over: what it still had to say, an Abort perhaps, leaves; then the end; then, soon, the carrier. */
  private shutdown(error: RpcError): void {
    this.stopTimers();
    this.settings.changed("closed", this.orderly ? null : error);
    if (this.transportClosed) return;
    this.flush();
    // What still comes is thrown away; but held back, it would hold the peer's own end back as well.
    if (this.heldSince >= 0) this.transport.resume();
    this.heldSince = -1;
    this.transport.end();
    this.graceTimer = setTimeout(() => this.transport.close(error), this.settings.grace);
  }

  private stopTimers(): void {
    this.silence?.stop();
    clearTimeout(this.holdTimer);
    clearTimeout(this.drainTimer);
  }
}
