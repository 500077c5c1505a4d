// Role: what an object process answers its supervisor: which objects are active, and what is to become of one.
// State: none. Must not know: who asks, where the answer goes.

import { RpcError } from "../../base/errors.js";
import { cycleError } from "../gates/cycle.js";
import type { Activation } from "../object/activation.js";
import type { Host } from "../object/host.js";
import type { Participant } from "../collect/participant.js";
import type { ActiveObject, CollectorQuestion, Eviction, Question } from "./messages.js";

/** Answers the collector. @throws what the question fails with (as a rejection). */
export async function answerCollector(
  participant: Participant,
  { ask, names }: CollectorQuestion,
): Promise<unknown> {
  switch (ask) {
    case "condemn":
    case "doom":
    case "forget":
      return participant[ask](names);
    case "dispose":
      return participant.dispose(names[0]!);
    default:
      return participant[ask]();
  }
}

/** @throws RpcError invalid-state, invalid-id (as a rejection). */
export async function answer(
  host: Host | null,
  question: Exclude<Question, CollectorQuestion>,
): Promise<unknown> {
  if (host === null) throw new RpcError("failed", "invalid-state", "this process has no objects");
  if (question.what === "active")
    return Array.from(host._directory.activations, ({ definition, id, isIdle }): ActiveObject => ({
      namespace: definition.name,
      id: id.toString(),
      name: id.name,
      idle: isIdle,
    }));
  if (question.what === "waits") return host._waits?.now() ?? [];
  if (question.what === "turn-away")
    return host._waits?.refuse(question.wait, cycleError(question.way));
  if (question.what === "quiesce") return host._quiesce(question.timeout);
  const definition = host._definition(question.namespace);
  const id = definition.ids.fromString(question.id);
  const active = host._directory.find(definition, id);
  if (question.what === "evict") return evict(active);
  if (question.what === "clear") await host._directory.clear(definition, id);
  else if (question.what === "delete") await host._directory.delete(definition, id);
  else active?.break(new Error("whoever manages the host has broken it"));
  return active !== undefined;
}

function evict(active: Activation | undefined): Eviction {
  if (active === undefined) return "inactive";
  return active.evict() ? "evicted" : "busy";
}
