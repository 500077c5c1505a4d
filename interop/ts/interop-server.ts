// The bootstrap object of the server role.

import { type ErrorCode, RpcError, type RpcErrorType } from "capstan/node";
import { serve } from "capstan/typed";
import { checkSample, writeSample } from "./everything.js";
import {
  type Basics,
  type Cell,
  type Diagnostics,
  ErrorKind,
  type Flow,
  Interop,
  type Sink,
} from "./generated/interop.capnp.js";
import { NodeServer } from "./objects.js";
import { savingMethods } from "./saving.js";
import { objectMethods } from "./server-objects.js";
import { Counted, hangForever, memoryUse, sleep, type Tally } from "./support.js";

const MEGABYTE = 1 << 20;

const ERRORS: Record<number, [RpcErrorType, ErrorCode]> = {
  [ErrorKind.failed]: ["failed", "method-failed"],
  [ErrorKind.overloaded]: ["overloaded", "method-failed"],
  [ErrorKind.disconnected]: ["disconnected", "method-failed"],
  [ErrorKind.unimplemented]: ["unimplemented", "method-unimplemented"],
};

class CellServer extends Counted implements Cell.Server<string> {
  private value: string;

  constructor(tally: Tally, value: string) {
    super(tally);
    this.value = value;
  }

  get(): { value: string } {
    return { value: this.value };
  }

  set_({ value }: { readonly value: string }): { previous: string } {
    const previous = this.value;
    this.value = value;
    return { previous };
  }
}

class SinkServer extends Counted implements Sink.Server {
  private readonly failAfter: number;
  private bytes = 0;
  private sum = 0;

  constructor(tally: Tally, failAfter: bigint) {
    super(tally);
    this.failAfter = Number(failAfter);
  }

  write({ chunk }: { readonly chunk: Uint8Array }): Promise<void> | void {
    if (this.failAfter > 0 && this.bytes + chunk.length > this.failAfter)
      throw new RpcError("overloaded", "method-failed", "sink is full");
    const megabytesBefore = Math.floor(this.bytes / MEGABYTE);
    this.bytes += chunk.length;
    for (let i = 0; i < chunk.length; i++) this.sum += chunk[i]!;
    if (Math.floor(this.bytes / MEGABYTE) !== megabytesBefore) return sleep(1);
  }

  done(): { bytes: number; sum: number } {
    return { bytes: this.bytes, sum: this.sum };
  }
}

function basicMethods(tally: Tally): Basics.Server {
  return {
    hello: ({ name }) => ({ greeting: `Hello, ${name}!` }),

    async exchange({ sample, value }) {
      await checkSample(value, sample);
      return (results) =>
        writeSample(results.initValue(), sample, (path) => new NodeServer(tally, path));
    },

    copy: ({ value }) => ({ value }),

    fail({ kind, reason }) {
      const [type, code] = ERRORS[kind] ?? ["failed", "invalid-argument"];
      throw new RpcError(type, code, reason);
    },

    identity: ({ value }) => ({ value }),

    makeCell: ({ initial }) => ({ cell: new CellServer(tally, initial) }),
  };
}

function flowMethods(tally: Tally): Flow.Server {
  let waiting: (() => void)[] = [];
  return {
    hang: (_params, context) => hangForever(tally, context),

    async barrier({ index, total }) {
      await new Promise<void>((resolve) => {
        waiting.push(resolve);
        if (waiting.length < total) return;
        for (const answer of waiting) answer();
        waiting = [];
      });
      return { index };
    },

    bulk({ parts }) {
      const all = parts.toArray();
      for (const [i, part] of all.entries())
        for (let j = 0; j < part.length; j++)
          if (part[j] !== (i * 31 + j) % 251)
            throw new Error(`byte ${j} of part ${i} of the message is wrong: ${part[j]}`);
      return { parts: all.reverse() };
    },

    openSink: ({ failAfter }) => ({ sink: new SinkServer(tally, failAfter) }),
  };
}

function diagnosticMethods(tally: Tally): Diagnostics.Server {
  return {
    counts: () => ({ counts: tally }),
    memory: () => ({ memory: memoryUse() }),
    die() {
      process.kill(process.pid, "SIGKILL");
      return new Promise(() => {});
    },
  };
}

export function makeInteropServer(tally: Tally): Interop {
  return serve(Interop, {
    ...basicMethods(tally),
    ...objectMethods(tally),
    ...flowMethods(tally),
    ...savingMethods(tally),
    ...diagnosticMethods(tally),
  });
}
