// A member of the pool: one object, over the port that it was started with.

import { type MessagePort, threadId, workerData } from "node:worker_threads";
import {
  type MessagePortLike,
  MessagePortTransport,
  nodeSession,
  RpcTarget,
  serve,
} from "capstan/node";

export class Primes extends RpcTarget {
  count(from: number, to: number): number {
    let found = 0;
    for (let n = Math.max(from, 2); n < to; n++) if (isPrime(n)) found++;
    return found;
  }
  thread(): number {
    return threadId;
  }
  crash(): void {
    process.exit(1); // ends this thread
  }
}

function isPrime(n: number): boolean {
  for (let by = 2; by * by <= n; by++) if (n % by === 0) return false;
  return true;
}

const port = workerData as MessagePort;
nodeSession(new MessagePortTransport("pool", port as unknown as MessagePortLike), {
  bootstrap: serve(new Primes()),
});
