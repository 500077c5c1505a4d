// Role: a process of the host as the collector in its supervisor knows it: asks it over the channel between them.
// State: none. Must not know: what is collected.
//
// One that does not answer holds whatever it may hold: what it was asked fails, and the collector has it count as that.

import { RpcError } from "../../base/errors.js";
import type { NodeName } from "../collect/live-roots.js";
import type { Participant } from "../collect/participant.js";
import type { Child } from "./child.node.js";

/** So long an answer may take, in milliseconds: a connection that is drained is waited for. */
const ANSWER_TIME = 30_000;

type Asked = Pick<Child, "whenReady" | "ask">;

export class ChildParticipant implements Participant {
  private readonly child: Asked;
  private readonly answerTime: number;

  /** @param answerTime milliseconds. */
  constructor(child: Asked, answerTime = ANSWER_TIME) {
    this.child = child;
    this.answerTime = answerTime;
  }

  takeDropped(): Promise<readonly NodeName[]> {
    return this.ask("takeDropped");
  }

  held(): Promise<readonly NodeName[]> {
    return this.ask("held");
  }

  condemn(members: readonly NodeName[]): Promise<boolean> {
    return this.ask("condemn", members);
  }

  confirm(): Promise<boolean> {
    return this.ask("confirm");
  }

  endRound(): Promise<void> {
    return this.ask("endRound");
  }

  doom(members: readonly NodeName[]): Promise<void> {
    return this.ask("doom", members);
  }

  /** What the hook may take it measures by itself, and its supervisor ends what does not yield. */
  async dispose(member: NodeName): Promise<void> {
    await this.child.ask({ what: "collector", ask: "dispose", names: [member] });
  }

  forget(members: readonly NodeName[]): Promise<void> {
    return this.ask("forget", members);
  }

  private async ask<T>(ask: keyof Participant, names: readonly NodeName[] = []): Promise<T> {
    const { answerTime } = this;
    let stop!: () => void;
    const late = new Promise<never>((_, reject) => {
      const message = `a process has not answered the collector for ${answerTime} ms`;
      const timer = setTimeout(
        () => reject(new RpcError("overloaded", "deadline-exceeded", message)),
        answerTime,
      );
      stop = () => clearTimeout(timer);
    });
    try {
      return await Promise.race([this.answer<T>(ask, names), late]);
    } finally {
      stop();
    }
  }

  /** One that has only begun is asked when it does its work. */
  private async answer<T>(ask: keyof Participant, names: readonly NodeName[]): Promise<T> {
    await this.child.whenReady;
    return (await this.child.ask({ what: "collector", ask, names })) as T;
  }
}
