// Role: what a supervisor and its processes say over the channel between them. State: none. Must not know: who says it.

import type { ErrorCode, RpcErrorType } from "../../base/errors.js";
import type { NodeName } from "../collect/live-roots.js";
import type { Participant } from "../collect/participant.js";
import type { HostLimits } from "../object/parts.js";

/** What every process of a host knows. */
export interface HostFacts {
  /** The data directory. */
  readonly directory: string;
  /** How many slots there are. */
  readonly slots: number;
  /** The secret that ids are made with, in hexadecimal digits. */
  readonly secret: string;
  /** The URL of the program's module, and what it is given. */
  readonly program: string;
  readonly data: unknown;
  readonly limits: Partial<HostLimits>;
  /** Namespaces that processes which run already know as public: they count nobody who holds their objects. */
  readonly publicNamespaces: readonly string[];
  /** How many connections the front may have at a time. */
  readonly connections: number;
  /** Milliseconds: how long calls wait for a process that is not there; after how long one that does not yield is ended, 0: never. */
  readonly reachTime: number;
  readonly yieldTime: number;
}

/** An object that is not to be activated for a while. */
export interface RefusedObject {
  readonly namespace: string;
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly until: number;
  readonly reason: string;
}

/** What ended a process, or made that necessary. */
export interface Deed {
  /** What it did. */
  readonly deed: string;
  /** Where, if that is known. */
  readonly stack?: string | undefined;
}

/** An object whose code did that. */
export interface Blame extends Deed {
  readonly namespace: string;
  readonly id: string;
  readonly name: string | undefined;
}

/** An object that is active. */
export interface ActiveObject {
  readonly namespace: string;
  readonly id: string;
  readonly name: string | undefined;
  /** Whether nothing is under way in it, and nobody holds anything of it. */
  readonly idle: boolean;
}

/** What came of letting go of an object. */
export type Eviction = "evicted" | "inactive" | "busy";

/** What the collector asks of a process: a method of its participant, and whom it is about. */
export interface CollectorQuestion {
  readonly what: "collector";
  readonly ask: keyof Participant;
  readonly names: readonly NodeName[];
}

/** What of a program matters to the collector. */
export interface CollectedParts {
  /** The namespaces that are private, and those of them whose classes have a hook. */
  readonly namespaces: readonly string[];
  readonly hooked: readonly string[];
  /** Of the program's own limits. */
  readonly limits: Partial<Pick<HostLimits, "collectGrace" | "disposeTime">>;
}

/** What a process is asked: an operation on one object, or how it is. */
export type Question =
  | { readonly what: "active" }
  /** What waits for critical sections. */
  | { readonly what: "waits" }
  /** Has something of that wait no more but fail: it would for ever. @param way the names of the gates on the way. */
  | { readonly what: "turn-away"; readonly wait: string; readonly way: readonly string[] }
  | { readonly what: "quiesce"; readonly timeout: number }
  | CollectorQuestion
  | {
      /** To clear one removes what is stored of it; to delete it does so for good. */
      readonly what: "evict" | "break" | "clear" | "delete";
      readonly namespace: string;
      readonly id: string;
    };

/** An error, as it goes over the channel. */
export interface SaidError {
  readonly type: RpcErrorType;
  readonly code: ErrorCode;
  readonly message: string;
}

export type ToProcess =
  | { readonly say: "load"; readonly slot: number | null; readonly facts: HostFacts }
  | { readonly say: "start"; readonly refused: readonly RefusedObject[] }
  | { readonly say: "drain"; readonly timeout: number }
  | {
      readonly say: "accept";
      /** Which of the addresses the connection came to. */
      readonly at: number;
    }
  | { readonly say: "ask"; readonly number: number; readonly question: Question };

export type FromProcess =
  | {
      readonly say: "loaded";
      readonly namespaces: readonly string[];
      readonly collected: CollectedParts;
      readonly front: boolean;
    }
  | { readonly say: "ready" }
  | { readonly say: "accepted" }
  /** Something waits that may wait for itself. */
  | { readonly say: "stuck" }
  | { readonly say: "failed"; readonly error: SaidError }
  | {
      readonly say: "answer";
      readonly number: number;
      readonly value?: unknown;
      readonly error?: SaidError;
    };
