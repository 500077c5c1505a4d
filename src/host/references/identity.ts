// Role: says of capabilities, and of objects behind them, by which reference they can be found again.
// State: what was said, as long as the capability or object lives. Must not know: how anything is found, or stored.
//
// A capability that crosses from one object of a host to another is wrapped at the boundary of each. Those wrappers are seen
// through, since they change nothing of whom it stands for; a membrane of anybody else's is not: what is behind it may be less
// than the object.

import { Hook } from "../../hook/hook.js";
import type { Identities } from "../../hook/identities.js";
import { LocalHook } from "../../hook/local.js";
import { wrappedBy } from "../../hook/membrane.js";
import { WatchedHook } from "../../hook/watched.js";
import type { LiveRoots } from "../collect/live-roots.js";
import { type Reference, readReference, referenceBytes } from "./reference.js";

const known = new WeakMap<object, Reference>();

/**
 * The policy of a membrane around one object of a host: capabilities are seen through it. It knows the object itself, of which there may be
 * many, so that nothing has to be noted for each.
 */
export abstract class Boundary {
  /** Who the object is, where `self` is it. */
  abstract selfReference(self: object): Reference | null;
}

/** A hook that knows by itself whom it stands for. */
export abstract class IdentifiedHook extends WatchedHook {
  abstract get reference(): Reference | null;
}

/**
 * From now on `of` is found again by `reference`.
 *
 * @param of a capability; or the target or function behind one, then it holds for every capability of it.
 */
export function identify(of: object, reference: Reference): void {
  known.set(of instanceof Hook ? of.resolved() : of, reference);
}

/**
 * By what a capability, or an object that is none yet, can be found again; null where it cannot, or it is not known what it stands
 * for.
 *
 * @example const reference = referenceOf(hook); if (reference === null) throw refusal;
 */
export function referenceOf(of: object): Reference | null {
  let at = of instanceof Hook ? of.resolved() : of;
  for (;;) {
    if (at instanceof IdentifiedHook) return at.reference;
    const said = known.get(at);
    if (said !== undefined) return said;
    if (!(at instanceof Hook)) return null;
    const self = selfOf(at);
    if (self !== null) return known.get(self) ?? null;
    const wrapped = wrappedBy(at);
    const policy = wrapped?.membrane.policy;
    // Behind one that is over nobody is held any more.
    if (!(policy instanceof Boundary) || wrapped!.membrane.revokedBy !== null) return null;
    at = wrapped!.inner.resolved();
    const inner = at instanceof Hook ? selfOf(at) : null;
    const own = inner === null ? null : policy.selfReference(inner);
    if (own !== null) return own;
  }
}

/** The object or function behind a capability of this vat; null for any other. */
export function selfOf(hook: Hook): object | null {
  const end = hook.resolved();
  return end instanceof LocalHook ? (end.server.self ?? null) : null;
}

/**
 * For the option `identities` of sessions between the processes of one host, and of no other: with a capability goes by what it is
 * found again, so that an object in the other process can store it as if it were in this one. So whoever is told holds it, as long as
 * the capability is held here: the process that gave it may be gone by then, and the connection.
 *
 * @param roots counts what this process holds.
 * @example new Session(transport, { identities: hostIdentities(roots), bootstrap })
 */
export function hostIdentities(roots: LiveRoots): Identities {
  return {
    of(hook) {
      const reference = referenceOf(hook);
      return reference === null ? null : referenceBytes(reference);
    },
    note(hook, identity) {
      try {
        const reference = readReference(identity);
        const release = roots.holdReference(reference);
        identify(hook, reference);
        return release;
      } catch {
        // A process of another version says what this one does not understand: then it is a capability like others.
        return null;
      }
    },
  };
}
