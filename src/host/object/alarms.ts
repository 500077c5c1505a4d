// Role: has each alarm delivered when it is due, and again when that fails, across restarts.
// State: the timer for the next alarm, those that are being delivered. Must not know: what an alarm does.
//
// The store has the alarms in the order of their times, so the next one is the first entry of a range, and none needs to be
// remembered here.

import { type AlarmRecord, alarmWrites, readAlarm, retryOf } from "../storage/alarm.js";
import { ALL_ALARMS, alarmsUpTo, join, ObjectKeys, readAlarmKey } from "../storage/keys.js";
import type { Activation } from "./activation.js";
import type { Directory } from "./directory.js";
import type { EventHandlers } from "./durable-object.js";
import type { ObjectId } from "./ids.js";
import type { Definition, HostParts } from "./parts.js";

/** A wall clock may jump: it is looked at again after so long, in milliseconds. */
const LONGEST_WAIT = 60_000;
/** So many are looked at, and delivered, at a time. */
const AT_A_TIME = 1000;
/** After the store has failed it is asked again, in milliseconds. */
const AFTER_FAILURE = 2000;

export class AlarmClock {
  private readonly parts: HostParts;
  private readonly directory: () => Directory;
  private readonly definitions: ReadonlyMap<string, Definition>;
  private readonly running = new Set<string>();
  private armedFor = Infinity;
  private stopTimer: () => void = () => {};
  private stopped = false;

  constructor(
    parts: HostParts,
    directory: () => Directory,
    definitions: ReadonlyMap<string, Definition>,
  ) {
    this.parts = parts;
    this.directory = directory;
    this.definitions = definitions;
  }

  /** An alarm is set for `time`; null when one was taken away. */
  alarmChanged(time: number | null): void {
    if (time !== null && time < this.armedFor) this.arm(time);
  }

  /** Looks for alarms that are due, and for the next one. */
  async scan(): Promise<void> {
    if (this.stopped) return;
    const { store, clock } = this.parts;
    const { now } = clock;
    try {
      const due = alarmsUpTo(now);
      for (let { from } = due; this.running.size < AT_A_TIME;) {
        const page = await store.range({ from, to: due.to, limit: AT_A_TIME });
        for (const { key } of page) this.deliver(key);
        const last = page.at(-1);
        if (page.length < AT_A_TIME || last === undefined) break;
        from = join(last.key, [0]);
      }
      const [next] = await store.range({ from: due.to, to: ALL_ALARMS.to, limit: 1 });
      if (next !== undefined) this.alarmChanged(readAlarmKey(next.key).time);
    } catch (thrown) {
      this.failed(thrown);
    }
  }

  stop(): void {
    this.stopped = true;
    this.stopTimer();
  }

  private arm(time: number): void {
    if (this.stopped) return;
    this.stopTimer();
    this.armedFor = time;
    const wait = Math.min(Math.max(time - this.parts.clock.now, 0), LONGEST_WAIT);
    this.stopTimer = this.parts.clock.after(wait, () => {
      this.armedFor = Infinity;
      void this.scan();
    });
  }

  private failed(thrown: unknown): void {
    if (this.stopped) return;
    this.parts.report(thrown, "alarms");
    this.arm(this.parts.clock.now + AFTER_FAILURE);
  }

  private deliver(key: Uint8Array): void {
    const { namespace, id: bytes } = readAlarmKey(key);
    const definition = this.definitions.get(namespace);
    // Of a namespace that this host does not have: it stays for one that has it.
    if (definition === undefined) return;
    const id = definition.ids.fromBytes(bytes);
    const { placement } = this.parts;
    if (
      placement.elsewhere({
        namespace: definition.name,
        id: id._bytes,
        name: undefined,
        facet: null,
      }) !== null
    )
      return;
    const refusal = placement.refusal(definition, id);
    if (refusal !== null) return this.alarmChanged(refusal.until);
    const name = `${namespace}/${id.toString()}`;
    if (this.running.has(name) || this.running.size >= AT_A_TIME) return;
    this.running.add(name);
    const done = this.run(definition, id).finally(() => this.running.delete(name));
    done.then(
      () => this.scan(),
      (thrown: unknown) => this.failed(thrown),
    );
  }

  private async run(definition: Definition, id: ObjectId): Promise<void> {
    const activation = this.directory().activate(definition, id);
    try {
      await activation.deliver({
        kind: "alarm",
        run: (instance) => this.ring(activation, instance),
      });
      await activation.flushed();
    } catch (thrown) {
      // It broke while the alarm ran, or before: whatever it had written of the alarm, it is tried again.
      if (activation.brokenBy === null) throw thrown;
      this.parts.report(thrown, `${activation.name}: alarm`);
      await this.postpone(definition, id);
    }
  }

  /** Runs the object's alarm, inside of it. */
  private async ring(activation: Activation, instance: EventHandlers): Promise<void> {
    const { clock, report } = this.parts;
    const storage = activation.storage!;
    const alarm = storage._alarm;
    const { record } = alarm;
    // It was deleted or put off while it waited for the gate.
    if (record === null || record.time > clock.now) return;
    alarm.begin();
    try {
      if (typeof instance.alarm !== "function") throw new Error("its class has no alarm method");
      await instance.alarm({ retryCount: record.retries, isRetry: record.retries > 0 });
    } catch (thrown) {
      report(thrown, `${activation.name}: alarm`);
      if (activation.brokenBy !== null) throw thrown;
      storage._write(alarm.failed(clock.now));
      return;
    }
    storage._write(alarm.succeeded());
  }

  /** Has the alarm of an object that is broken tried again later. */
  private async postpone(definition: Definition, id: ObjectId): Promise<void> {
    const { store, clock } = this.parts;
    await this.directory().settled(definition, id);
    // Whoever has activated it since has the alarm in his own hands.
    if (this.directory().find(definition, id) !== undefined) return;
    const keys = new ObjectKeys(definition.bytes, id._bytes);
    const record: AlarmRecord | null = readAlarm(await store.get(keys.alarm));
    if (record === null || record.time > clock.now) return;
    await store.write(alarmWrites(keys, record, retryOf(record, clock.now))).committed;
  }
}
