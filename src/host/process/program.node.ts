// Role: what a program is that a host of several processes runs: how its classes are found, how its front answers.
// State: none. Must not know: modules, HTTP.

import type { Socket } from "node:net";
import type { ValueTypes } from "../../cap/dynamic/values/index.js";
import type { Classes } from "../object/host.js";
import type { Namespace } from "../object/namespace.js";
import type { HostLimits } from "../object/parts.js";

/** What a process has loaded. */
export interface LoadedProgram {
  /** The classes, each by the name of its namespace. */
  readonly classes: Classes;
  /** Names in `env` of objects to those of namespaces, where they are not the same. */
  readonly bindings?: Readonly<Record<string, string>>;
  /** What else is in `env` of objects. */
  readonly env?: object;
  readonly types?: ValueTypes;
  readonly limits?: Partial<HostLimits>;
}

/** Namespaces by their names, where nobody says which. */
export type AnyNamespaces = Readonly<Record<string, Namespace<never>>>;

/** What the front of a program is given. */
export interface FrontContext<E extends object = AnyNamespaces> {
  /** What the program was started with. */
  readonly data: unknown;
  /** What {@link HostProgram.load} gave. */
  readonly loaded: LoadedProgram;
  /** A namespace for each class; the objects are in other processes. */
  readonly namespaces: E;
}

/** A front that runs. */
export interface Front {
  /**
   * A connection that the supervisor has accepted, nothing of it read yet. For an http.Server: `server.emit("connection", socket)`.
   *
   * @param at which of the addresses it came to, in the order of `listen`.
   */
  accept(socket: Socket, at: number): void;
  /**
   * Has each connection closed as soon as no request is under way on it. The process waits for that itself, and cuts off what is left:
   * an http.Server counts no connections that it was given.
   *
   * @param timeout milliseconds until then. @returns when nothing but open connections is to be waited for.
   */
  drain(timeout: number): Promise<void>;
}

/**
 * The module that each process of a host imports: its exports. It is given as a URL, since each process loads it for itself.
 *
 * @example
 * export async function load(data) { return { classes: { ROOMS: Room } }; }
 */
export interface HostProgram {
  /** Loads the classes, in a process for objects as in the front. @param data what the host was started with: JSON. */
  load(data: unknown): Promise<LoadedProgram> | LoadedProgram;
  /** Begins to answer, in the front. Programs without one have no front. */
  front?(context: FrontContext): Promise<Front> | Front;
}
