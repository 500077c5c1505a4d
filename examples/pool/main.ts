// A pool of worker_threads: one object in each, jobs go to who is idle, a worker that dies fails its job and is replaced.
// node build/programs/examples/pool/main.js

import { MessageChannel, Worker } from "node:worker_threads";
import {
  type MessagePortLike,
  MessagePortTransport,
  nodeSession,
  RpcStub,
  type Session,
} from "capstan/node";
import type { Primes } from "./worker.js";

interface Member {
  readonly worker: Worker;
  readonly session: Session;
  readonly primes: RpcStub<Primes>;
}

class Pool {
  readonly #idle: Member[] = [];
  readonly #members = new Set<Member>();
  readonly #waiting: ((member: Member) => void)[] = [];

  constructor(size: number) {
    for (let i = 0; i < size; i++) this.#start();
  }

  /** Runs `job` on a worker that does nothing else meanwhile. */
  async run<T>(job: (primes: RpcStub<Primes>) => PromiseLike<T>): Promise<T> {
    const member =
      this.#idle.pop() ?? (await new Promise<Member>((done) => this.#waiting.push(done)));
    try {
      return await job(member.primes);
    } finally {
      if (this.#members.has(member)) this.#free(member);
    }
  }

  #start(): void {
    const { port1, port2 } = new MessageChannel();
    const worker = new Worker(new URL("worker.js", import.meta.url), {
      workerData: port2,
      transferList: [port2],
    });
    const session = nodeSession(
      new MessagePortTransport("worker", port1 as unknown as MessagePortLike),
      {},
    );
    const member = { worker, session, primes: session.bootstrap(RpcStub<Primes>) };
    // A worker that ends closes its port: calls under way fail, and somebody else takes its place.
    void session.closed.then(() => {
      if (this.#members.delete(member)) this.#start();
    });
    this.#members.add(member);
    this.#free(member);
  }

  #free(member: Member): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#idle.push(member);
    else next(member);
  }

  async close(): Promise<void> {
    const members = [...this.#members];
    this.#members.clear();
    for (const { session, worker } of members) {
      await session.close();
      await worker.terminate();
    }
  }
}

const pool = new Pool(2);
try {
  const ranges = Array.from({ length: 8 }, (_, i) => [i * 10_000, (i + 1) * 10_000] as const);
  const found = await Promise.all(
    ranges.map(([from, to]) => pool.run((primes) => primes.count(from, to))),
  );
  console.log(`primes below 80000: ${found.reduce((sum, one) => sum + one, 0)}`);
  const threads = await Promise.all([1, 2].map(() => pool.run((primes) => primes.thread())));
  console.log(`in ${new Set(threads).size} threads`);

  const lost = await pool.run((primes) => primes.crash()).catch((error: Error) => error);
  console.log(`a worker died: ${(lost as { type?: string }).type}`);
  const again = await Promise.all([1, 2].map(() => pool.run((primes) => primes.count(0, 100))));
  console.log(`and was replaced: ${again.join(", ")}`);
} finally {
  await pool.close();
}
