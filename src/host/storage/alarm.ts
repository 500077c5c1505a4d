// Role: the one alarm of an object: what is stored of it, what of it is shown while it runs, when it is tried again.
// State: the alarm as it is written, and whether it runs. Must not know: timers, who runs it.

import type { ObjectKeys } from "./keys.js";
import type { Bytes, Write } from "./store.js";

/** An alarm that is set. */
export interface AlarmRecord {
  /** When it is due, in milliseconds since the epoch. */
  readonly time: number;
  /** How often it was tried again. */
  readonly retries: number;
}

/** How often an alarm that fails is tried again. */
export const ALARM_RETRIES = 6;
/** Before the first retry, in milliseconds; each later one waits twice as long. */
export const ALARM_BACKOFF = 2000;

/** When an alarm that has failed is tried again; null when it is given up. */
export function retryOf({ retries }: AlarmRecord, now: number): AlarmRecord | null {
  if (retries >= ALARM_RETRIES) return null;
  return { time: now + ALARM_BACKOFF * 2 ** retries, retries: retries + 1 };
}

/** What turns one state of an object's alarm into another. */
export function alarmWrites(
  keys: ObjectKeys,
  from: AlarmRecord | null,
  to: AlarmRecord | null,
): Write[] {
  const writes: Write[] = [];
  if (from !== null && from.time !== to?.time)
    writes.push({ key: keys.alarmAt(from.time), value: null });
  if (to !== null) writes.push({ key: keys.alarmAt(to.time), value: new Uint8Array() });
  if (from !== null || to !== null)
    writes.push({ key: keys.alarm, value: to === null ? null : writeAlarm(to) });
  return writes;
}

const RECORD_BYTES = 9;

function writeAlarm({ time, retries }: AlarmRecord): Bytes {
  const bytes = new Uint8Array(RECORD_BYTES);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(time));
  bytes[RECORD_BYTES - 1] = retries;
  return bytes;
}

/** @returns null for what is none. */
export function readAlarm(bytes: Bytes | undefined): AlarmRecord | null {
  if (bytes?.length !== RECORD_BYTES) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return { time: Number(view.getBigUint64(0)), retries: bytes[RECORD_BYTES - 1]! };
}

/** The alarm of an object that is active. Each change gives the writes that make it so in the store. */
export class AlarmSlot {
  private readonly keys: ObjectKeys;
  private stored: AlarmRecord | null;
  private state: "set" | "running" | "replaced" = "set";

  constructor(keys: ObjectKeys, stored: AlarmRecord | null) {
    this.keys = keys;
    this.stored = stored;
  }

  /** When it is due; null while it runs, unless it was set anew meanwhile. */
  get shown(): number | null {
    return this.state === "running" ? null : (this.stored?.time ?? null);
  }

  get record(): AlarmRecord | null {
    return this.stored;
  }

  /** @param time null to delete it. */
  change(time: number | null): Write[] {
    if (this.state === "running") this.state = "replaced";
    return this.become(time === null ? null : { time, retries: 0 });
  }

  /** It runs now. */
  begin(): void {
    this.state = "running";
  }

  /** It has run; what it set anew stays. */
  succeeded(): Write[] {
    const done = this.state === "running";
    this.state = "set";
    return done ? this.become(null) : [];
  }

  /** It has failed. @param now milliseconds since the epoch. */
  failed(now: number): Write[] {
    const same = this.state === "running";
    this.state = "set";
    return same && this.stored !== null ? this.become(retryOf(this.stored, now)) : [];
  }

  private become(to: AlarmRecord | null): Write[] {
    const from = this.stored;
    this.stored = to;
    return alarmWrites(this.keys, from, to);
  }
}
