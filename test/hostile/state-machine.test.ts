// C-HOS-21: random sequences of legal and illegal messages against a model of what may come of each.
//
// The model knows what an attacker can know: its open questions, the references it was given and has given, what the
// vat asked it. From that it tells for each message whether it must end the connection, must not, or either.
// A long run: CAPSTAN_FUZZ_SEEDS=100000 npx vitest run test/hostile/state-machine.test.ts

import { expect, it } from "vitest";
import { RpcError } from "../../src/base/errors.js";
import type { Hook } from "../../src/hook/hook.js";
import type { LocalCall } from "../../src/hook/local.js";
import { PromiseHook } from "../../src/hook/promise.js";
import { Content } from "../../src/wire/content.js";
import { Descriptors } from "../../src/wire/descriptors.js";
import type { IntroductionWriter } from "../../src/wire/introduction-writer.js";
import { call, content, payload, Recorder, request } from "../support/objects.js";
import { Victim } from "./victim.js";

const SEEDS = Number(process.env["CAPSTAN_FUZZ_SEEDS"] ?? 400);
const STEPS = 50;
const boom = new RpcError("failed", "method-failed", "boom");

class Random {
  private state: number;
  constructor(seed: number) {
    this.state = (seed * 0x9e37_79b1 + 0x7f4a_7c15) >>> 0;
  }
  below(n: number): number {
    let x = (this.state += 0x6d2b_79f5);
    x = Math.imul(x ^ (x >>> 15), x | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % n;
  }
  one<T>(list: readonly T[]): T | undefined {
    return list[this.below(list.length)];
  }
}

interface AttackerQuestion {
  returned: boolean;
  finished: boolean;
  silent: boolean;
  caps: number[];
  stale: boolean;
}

type Verdict = "legal" | "illegal" | "either";

/** What the attacker knows. */
class Model {
  /** Its questions, until both Return and Finish are past; `caps`: what came with the results. */
  readonly questions = new Map<number, AttackerQuestion>();
  /** The vat's exports it holds, with counts. */
  readonly held = new Map<number, number>();
  /** What it exported to the vat and the vat has not released. */
  readonly given = new Map<number, { promise: boolean; resolved: boolean }>();
  /** The vat's questions to it: whether finished, and answered. */
  readonly asked = new Map<number, { finished: boolean; tail: boolean; caps: number[] }>();
  readonly embargoes = new Set<number>();
  over = false;

  /** Takes in what the vat said. @throws when it may not say that. */
  hear(line: string): void {
    const [what, id] = line.split(" ") as [string, string];
    const n = Number(id);
    const caps = [...line.matchAll(/(?:senderHosted|senderPromise) (\d+)/g)].map(([, cap]) =>
      Number(cap),
    );
    if (what !== "unimplemented")
      for (const cap of caps) this.held.set(cap, (this.held.get(cap) ?? 0) + 1);
    switch (what) {
      case "return": {
        const question = this.questions.get(n);
        if (question === undefined || question.returned || question.silent)
          throw new Error(`a Return that nobody waits for: ${line}`);
        question.returned = true;
        question.caps = caps;
        if (line.endsWith("noFinish") || question.finished) this.questions.delete(n);
        break;
      }
      case "call":
      case "bootstrap":
        if (this.asked.has(n)) throw new Error(`a question under an id in use: ${line}`);
        this.asked.set(n, { finished: false, tail: line.includes("toYourself"), caps });
        break;
      case "finish":
        if (n < 0x8000_0000) this.finished(n, line);
        break;
      case "release":
        if (!this.given.delete(n)) throw new Error(`a Release of nothing: ${line}`);
        break;
      case "disembargo":
        if (line.startsWith("disembargo senderLoopback"))
          this.embargoes.add(Number(line.split(" ")[2]));
        break;
      case "abort":
        this.over = true;
        break;
      case "resolve":
      case "unimplemented":
        break;
      default:
        throw new Error(`not an allowed outcome: ${line}`);
    }
  }

  private finished(n: number, line: string): void {
    const question = this.asked.get(n);
    if (question === undefined || question.finished) throw new Error(`a Finish too many: ${line}`);
    question.finished = true;
    if (this.answered.delete(n)) this.asked.delete(n);
  }

  readonly answered = new Set<number>();

  ask(id: number, silent: boolean): void {
    this.questions.set(id, { returned: false, finished: false, silent, caps: [], stale: false });
  }

  /** A Finish of the attacker's. */
  finish(id: number, releases: boolean): void {
    const question = this.questions.get(id);
    if (question === undefined) return;
    question.finished = true;
    if (!question.returned && !question.silent) return;
    this.questions.delete(id);
    if (releases) for (const cap of question.caps) this.drop(cap, 1);
  }

  drop(id: number, count: number): void {
    const left = this.held.get(id)! - count;
    if (left > 0) {
      this.held.set(id, left);
      return;
    }
    this.held.delete(id);
    // From now on the id may name something else: what came under it cannot be given back with the results.
    for (const question of this.questions.values()) question.stale ||= question.caps.includes(id);
  }
}

class Attack {
  readonly model = new Model();
  readonly log: string[] = [];
  private readonly promises: PromiseHook[] = [];
  private readonly running: LocalCall[] = [];
  private readonly kept: Hook[] = [];
  private readonly victim: Victim;
  private readonly random: Random;
  private nextGiven = 0;
  /** An embargo was aimed at something that may be a promise. */
  private parked = false;

  constructor(seed: number) {
    this.random = new Random(seed);
    const first = (c: LocalCall): Hook | null => c.params.caps.find((cap) => cap !== null) ?? null;
    this.victim = new Victim({
      methods: {
        1: (c) => void this.running.push(c),
        2: (c) => c.returns(payload(0, ...c.params.caps.map((cap) => cap?.addRef() ?? null))),
        3: (c) => c.fails(boom),
        4: (c) => {
          const promise = new PromiseHook(c.scheduler);
          this.promises.push(promise);
          c.returns(payload(0, promise.addRef()));
        },
        5: (c) => {
          const cap = first(c);
          if (cap !== null) call(cap, 0, 1).dropPipeline();
          if (cap !== null) this.kept.push(cap.addRef());
          c.returns();
        },
        6: (c) => {
          const cap = first(c);
          if (cap === null) c.returns();
          else c.tailCall(cap, request(0, 1));
        },
        7: (c) => c.returns(payload(0, new Recorder().hook(c.scheduler))),
      },
    });
  }

  run(): void {
    for (let i = 0; i < STEPS && !this.model.over; i++) this.step();
    for (const hook of [...this.kept, ...this.promises]) hook.release();
    for (const c of this.running) c.returns();
    this.victim.mesh.drain();
    this.hear("either");
    this.victim.unharmed();
  }

  private step(): void {
    const { random, victim } = this;
    if (random.below(8) === 0) {
      this.actInside();
      victim.mesh.drain();
      this.hear("legal");
      return;
    }
    let [name, verdict, build] = this.message();
    // Mostly legal, or no sequence would get far. What is illegal has changed nothing in the model.
    while (verdict === "illegal" && random.below(20) > 0) [name, verdict, build] = this.message();
    this.log.push(`${name} (${verdict})`);
    for (const line of victim.send(build)) {
      this.log.push(`  ${line}`);
      this.model.hear(line);
    }
    this.judge(verdict);
  }

  private hear(verdict: Verdict): void {
    for (const line of this.victim.told()) {
      this.log.push(`  ${line}`);
      this.model.hear(line);
    }
    this.judge(verdict);
  }

  private judge(verdict: Verdict): void {
    const dead = this.victim.connection.error !== null;
    expect(dead).toBe(this.model.over);
    // An embargo that came before its promise resolved is judged when that does.
    if (this.parked && /Disembargo/.test(this.victim.connection.error?.message ?? "")) return;
    if (verdict === "legal") expect(dead, "a legal message ended the connection").toBe(false);
    if (verdict === "illegal") expect(dead, "an illegal message went through").toBe(true);
  }

  /** Something happens in the vat: a call ends, a promise resolves. */
  private actInside(): void {
    const { random } = this;
    const promise = random.one(this.promises);
    const kept = random.one(this.kept);
    if (random.below(2) === 0) {
      this.running.splice(random.below(this.running.length || 1), 1)[0]?.returns(payload(1));
      this.log.push("[a call ends]");
    } else if (promise !== undefined) {
      const choice = random.below(3);
      if (choice === 0) promise.reject(boom);
      else if (choice === 1 || kept === undefined)
        promise.resolve(new Recorder().hook(promise.scheduler));
      else promise.resolve(kept.addRef());
      this.log.push("[a promise resolves]");
    }
  }

  /** An id from `known`, or sometimes one that is not. */
  private pick(known: Iterable<number>, most = 12): number {
    const list = [...known];
    return list.length > 0 && this.random.below(6) > 0
      ? this.random.one(list)!
      : this.random.below(most);
  }

  private caps(): Descriptors {
    const { random, model } = this;
    const caps = new Descriptors();
    for (let n = random.below(3); n > 0; n--) {
      const kind = random.below(5);
      if (kind === 1 || kind === 2) {
        // The same one again, or a new one.
        const known = [...model.given].filter(([, g]) => g.promise === (kind === 2) && !g.resolved);
        const id = known.length > 0 && random.below(2) === 0 ? known[0]![0] : this.nextGiven++;
        model.given.set(id, model.given.get(id) ?? { promise: kind === 2, resolved: false });
        caps.add(kind, id, []);
      } else if (kind === 3) caps.add(3, this.pick(model.held.keys()), []);
      else if (kind === 4) caps.add(4, this.pick(model.questions.keys()), [random.below(2)]);
      else caps.add(0, 0, []);
    }
    return caps;
  }

  private message(): [string, Verdict, (w: IntroductionWriter) => void] {
    const { random, model } = this;
    const open = (id: number): boolean => model.questions.has(id);
    switch (model.questions.size === 0 ? 0 : random.below(12)) {
      case 0: {
        const id = random.below(10);
        if (open(id)) return [`bootstrap ${id}`, "illegal", (w) => w.bootstrap(id)];
        model.ask(id, false);
        return [`bootstrap ${id}`, "legal", (w) => w.bootstrap(id)];
      }
      case 1:
      case 2:
      case 3:
      case 4:
        return this.callMessage();
      case 5: {
        const id = this.pick(model.questions.keys());
        // What the attacker has released one by one is not there to be released with the results.
        const caps = model.questions.get(id)?.caps ?? [];
        const counts = new Map<number, number>();
        for (const cap of caps) counts.set(cap, (counts.get(cap) ?? 0) + 1);
        const stale = model.questions.get(id)?.stale ?? false;
        const whole =
          !stale && [...counts].every(([cap, count]) => (model.held.get(cap) ?? 0) >= count);
        const releases = whole && random.below(2) === 0;
        model.finish(id, releases);
        return [
          `finish ${id} ${releases}`,
          "legal",
          (w) => w.finish(id, releases, random.below(2) === 0),
        ];
      }
      case 6: {
        const id = this.pick(model.held.keys());
        const count = random.below(3);
        const refs = model.held.get(id);
        const illegal = refs === undefined || count > refs;
        if (!illegal) model.drop(id, count);
        return [
          `release ${id} x${count}`,
          illegal ? "illegal" : "legal",
          (w) => w.release(id, count),
        ];
      }
      case 7: {
        const id = this.pick(model.given.keys());
        const given = model.given.get(id);
        const illegal = given !== undefined && (!given.promise || given.resolved);
        if (given !== undefined) given.resolved = true;
        if (random.below(3) === 0)
          return [
            `resolve ${id} error`,
            illegal ? "illegal" : "legal",
            (w) => w.resolveException(id, boom),
          ];
        const target = this.pick(model.held.keys());
        return [
          `resolve ${id} yours ${target}`,
          illegal ? "illegal" : "either",
          (w) => w.resolveCap(id, 3, target, []),
        ];
      }
      case 8:
        return this.returnMessage();
      case 9: {
        const id = random.below(3);
        const known = model.embargoes.delete(id);
        return [
          `disembargo receiver ${id}`,
          known ? "legal" : "illegal",
          (w) => w.disembargo(0, 0, [], 1, id),
        ];
      }
      case 10: {
        const id = this.pick(model.held.keys());
        const verdict = model.held.has(id) ? "either" : "illegal";
        if (verdict === "either" && random.below(4) > 0) return this.message();
        this.parked = true;
        return [
          `disembargo sender ${id}`,
          verdict,
          (w) => w.disembargo(0, id, [], 0, random.below(9)),
        ];
      }
      default:
        return ["join", "legal", (w) => w.join(1, 0, 0, [], Content.NULL)];
    }
  }

  private callMessage(): [string, Verdict, (w: IntroductionWriter) => void] {
    const { random, model } = this;
    const id = random.below(10);
    const method = random.below(8);
    const toAnswer = random.below(2) === 0;
    const target = this.pick(toAnswer ? model.questions.keys() : model.held.keys());
    const path = toAnswer && random.below(2) === 0 ? [random.below(2)] : [];
    const illegal = model.questions.has(id) || (!toAnswer && !model.held.has(target));
    const silent = random.below(8) === 0;
    const caps = illegal ? new Descriptors() : this.caps();
    if (!illegal) model.ask(id, silent);
    const name = `call ${id} ${toAnswer ? "answer" : "export"} ${target}.${path} method ${method}${silent ? " silent" : ""}`;
    return [
      name,
      illegal ? "illegal" : "legal",
      (w) =>
        w.call(
          id,
          toAnswer ? 1 : 0,
          target,
          path,
          0,
          0x7e57,
          method,
          silent ? 4 : 0,
          0,
          content(7, caps.count),
          caps,
        ),
    ];
  }

  private returnMessage(): [string, Verdict, (w: IntroductionWriter) => void] {
    const { random, model } = this;
    const id = this.pick(model.asked.keys());
    const question = model.asked.get(id);
    const fresh = question !== undefined && !model.answered.has(id);
    if (fresh) {
      model.answered.add(id);
      if (question.finished) {
        model.asked.delete(id);
        model.answered.delete(id);
      }
    }
    // Params that the attacker has released one by one cannot be given back as a whole.
    const gives = question?.caps.length === 0 && random.below(2) === 0;
    const verdict: Verdict = !fresh ? "illegal" : question.tail ? "either" : "legal";
    if (random.below(3) === 0)
      return [
        `return ${id} exception`,
        fresh ? "legal" : "illegal",
        (w) => w.returnException(id, gives, false, boom),
      ];
    return [
      `return ${id} results`,
      verdict,
      (w) => w.returnResults(id, false, false, content(3), new Descriptors()),
    ];
  }
}

it(`C-HOS-21: ${SEEDS} random sequences end in nothing but what the model allows`, () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const attack = new Attack(seed);
    try {
      attack.run();
    } catch (thrown) {
      throw new Error(`seed ${seed}: ${String(thrown)}\n${attack.log.join("\n")}`, {
        cause: thrown,
      });
    }
  }
});
