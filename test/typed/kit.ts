// What the tests of typed calls share: servers of the feature schema, and a count of what is still referenced.

import { Scheduler } from "../../src/base/scheduler.js";
import {
  type Client,
  type InterfaceType,
  serve,
  type ServerHooks,
  type ServerOf,
} from "../../src/typed.js";
import * as f from "./schemas/features.capnp.js";

/** A scheduler that drains itself in a microtask, as a vat's does. */
export function scheduler(): Scheduler {
  const one = new Scheduler();
  one.wake = () => queueMicrotask(() => one.drain());
  return one;
}

/** Lets everything that is under way come to rest. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Servers made and not yet dropped. */
export class Census {
  alive = 0;

  enter(): void {
    this.alive++;
  }
  leave(): void {
    this.alive--;
  }
}

/** Counts up; says when it is dropped. */
export class CounterServer implements f.Counter.Server {
  value: number;
  private readonly census: Census | null;

  constructor(value = 0, census: Census | null = null) {
    this.value = value;
    this.census = census;
    census?.enter();
  }

  next({ by }: f.Counter_next$Params) {
    this.value += by;
    return { value: this.value };
  }

  reset() {
    this.value = 0;
  }

  [Symbol.dispose]() {
    this.census?.leave();
  }
}

/** An interface that inherits two others. */
export class NamedCounterServer extends CounterServer implements f.NamedCounter.Server {
  private title = "nobody";

  name() {
    return { name: this.title };
  }

  rename({ name }: f.NamedCounter_rename$Params) {
    this.title = name;
  }
}

/** A client of `type` whose object lives on a scheduler of its own. */
export function host<C extends Client>(
  type: InterfaceType<C>,
  server: ServerOf<C> & ServerHooks,
): C {
  return serve(type, server, { scheduler: scheduler() });
}

/** Makes counters; everything else is unimplemented. */
export function maker(census: Census, extra: Partial<f.Everything.Server> = {}): f.Everything {
  return host(f.Everything, {
    makeCounter({ start }: f.Everything_makeCounter$Params) {
      const counter = new CounterServer(start, census);
      return {
        counter,
        inner: {
          counter: new CounterServer(start + 100, census),
          deeper: { counter: new CounterServer(start + 200, census), group: { counter: null } },
          group: { counter: new CounterServer(start + 300, census) },
          box: { value: new CounterServer(start + 400, census) },
        },
      };
    },
    ...extra,
  } as f.Everything.Server);
}
