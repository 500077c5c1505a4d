// Role: deletes an object that is not active. State: none. Must not know: whether it is.

import { alarmWrites, readAlarm } from "./alarm.js";
import type { ObjectKeys } from "./keys.js";
import type { Store } from "./store.js";

/** Deletes all that is stored of an object. @returns when that is safe. @throws what the store fails with (as a rejection). */
export async function eraseObject(store: Store, keys: ObjectKeys): Promise<void> {
  const alarm = readAlarm(await store.get(keys.alarm));
  const { from, to } = keys.all;
  await store.write([...alarmWrites(keys, alarm, null), { from, to }]).flushed;
}
