// Role: the contract of a transport: whole messages, in order, once; and the options that all kinds share.
// State: none. Must not know: sockets, or what a message says.

import { invalidArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import { checkLimits, type Limits } from "../base/limits.js";
import type { Frame } from "../wire/frame.js";
import type { Batch } from "../wire/outbox.js";

/**
 * What a transport tells its owner. None of these is ever called from inside a call of the transport's own methods, so
 * an owner is never re-entered.
 */
export interface TransportHandler {
  /** Messages may follow that arrived together, such as by one read. */
  arriving?(): void;
  /** One message. The frame is valid only until this returns. Must not throw. */
  message(frame: Frame): void;
  /**
   * The peer sent what is no message. Reading has stopped for good (what still arrives is thrown away unread), writing
   * still works, so that an Abort can leave (C-DIS-01). {@link closed} follows once the transport is closed.
   */
  fault(error: RpcError): void;
  /**
   * The end, exactly once, after the last message that arrived (C-DIS-09).
   * @param error why, or null for an orderly end: the peer ended between two messages, or this side called `close()`.
   */
  closed(error: RpcError | null): void;
}

/**
 * Moves whole messages between two vats, in order, each once.
 *
 * @example
 * transport.start({ message: (frame) => reader.read(frame), fault: abort, closed: report });
 * transport.write(outbox.take()!);
 *
 * Source: C-FRM-01, 03, 17 to 19; C-FLO-19, 20.
 */
export interface Transport {
  /** What it is and whom it reaches, for people: "tcp 127.0.0.1:4000". */
  readonly name: string;
  /** Whether many messages may share one unit of the carrier. False on a WebSocket that did not negotiate it. */
  readonly batching: boolean;
  /** All bytes that ever arrived, parts of messages too: any of them is a sign of life. */
  readonly receivedBytes: number;
  /** Bytes written that the carrier has not yet taken; where batches are kept until then, 1 KiB for each: about what it takes. */
  readonly bufferedBytes: number;
  /**
   * Messages whose batch the carrier has not yet taken, and the age of the oldest batch in milliseconds (C-FLO-19). A
   * carrier that copies what it is given, as a browser's WebSocket and a MessagePort do, knows of none.
   */
  readonly backlog: { readonly messages: number; readonly oldestMs: number };
  /** Begins to read. Called once; nothing that arrived before is lost. */
  start(handler: TransportHandler): void;
  /** Takes the batch over, and releases it once its bytes are gone or never will be. Writes in order, in one piece. */
  write(batch: Batch): void;
  /** Resolves once `bufferedBytes` is at most `limits.outgoingBytes`, and also when the transport can write no more. */
  whenWritable(): Promise<void>;
  /** No message arrives until {@link resume}; nothing is lost, and the peer comes to feel it where the carrier can. */
  pause(): void;
  resume(): void;
  /** No more will be written: the peer sees the end behind all that is queued. Reading goes on until the peer ends too. */
  end(): void;
  /**
   * Ends both directions now; what the carrier has not taken is dropped. A second call does nothing.
   * @param error given to {@link TransportHandler.closed}, unless the transport already failed by itself.
   */
  close(error?: RpcError): void;
}

export interface TransportOptions {
  /** Message size, segments, and the bytes at which `whenWritable` waits. */
  readonly limits?: Limits | undefined;
  /**
   * Milliseconds of silence after which the carrier's own probe goes out: TCP keep-alive, WebSocket ping, a heartbeat on
   * a MessagePort. 0 turns it off. Default 30 000. No Cap'n Proto message is ever sent as a probe.
   */
  readonly keepAliveInterval?: number | undefined;
  /**
   * Milliseconds without one byte received, while a probe is unanswered or written bytes are not accepted, after which
   * the peer counts as dead and `closed` says `peer-unresponsive`. 0 turns it off. Default 60 000.
   */
  readonly peerTimeout?: number | undefined;
  /** Milliseconds that a side whose peer has ended may take to write what it had queued. Default 1000. */
  readonly grace?: number | undefined;
}

/** {@link TransportOptions} with nothing left open. */
export interface TransportSettings {
  readonly limits: Limits;
  readonly keepAliveInterval: number;
  readonly peerTimeout: number;
  readonly grace: number;
}

/**
 * Fills in the defaults.
 * @throws RpcError invalid-argument, naming the option, when a time is no number of milliseconds that a timer can take, or
 *   a limit is missing.
 */
export function transportSettings(options: TransportOptions = {}): TransportSettings {
  return {
    limits: checkLimits(options.limits),
    keepAliveInterval: checkMs("keepAliveInterval", options.keepAliveInterval, 30_000),
    peerTimeout: checkMs("peerTimeout", options.peerTimeout, 60_000),
    grace: checkMs("grace", options.grace, 1000),
  };
}

/** Timers take a signed 32-bit number and fire at once for anything larger: the opposite of what "very long" means. */
const MAX_MS = 0x7fffffff;

/** An option in milliseconds, or its default. @throws RpcError invalid-argument. */
export function checkMs(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= 0 && value <= MAX_MS) return value;
  throw invalidArgument(`${name} must be milliseconds from 0 to ${MAX_MS}, not ${String(value)}`);
}

/** An option that bounds something, Infinity for no bound, or its default. @throws RpcError invalid-argument. */
export function checkMost(name: string, value: number | undefined, fallback: number): number {
  if (value === undefined) return fallback;
  // Nothing is more than NaN, so it would bound nothing.
  if (typeof value === "number" && value >= 0) return value;
  const message = `${name} must be a number from 0 on, not ${String(value)}`;
  throw invalidArgument(message);
}

/** The error of a carrier that broke. */
export function connectionLost(name: string, what: string, cause?: unknown): RpcError {
  return new RpcError("disconnected", "connection-lost", `${name}: ${what}`, { cause });
}

/** The error of a peer that gives no sign of life. */
export function peerUnresponsive(name: string, what: string): RpcError {
  return new RpcError("disconnected", "peer-unresponsive", `${name}: ${what}`);
}

/** A timer's handle, whichever runtime made it. */
export type Timer = ReturnType<typeof setTimeout>;
