// Role: lets a membrane decide what becomes of a save that crosses it: who is inside, or outside, then sees no reference of the
// other side's. State: none beside the calls under way. Must not know: realms, stores.

import { wrongArgument } from "../base/checks.js";
import { RpcError } from "../base/errors.js";
import type { Hook } from "../hook/hook.js";
import { type LocalCall, LocalHook, type Server } from "../hook/local.js";
import type { Direction, MembranePolicy } from "../hook/membrane.js";
import { Payload } from "../hook/payload.js";
import type { Content } from "../wire/content.js";
import { METHOD_SAVE, PERSISTENT_ID, readSaveParams, saveResults } from "./protocol.js";
import { save, type SealFor } from "./save.js";
import type { SturdyRef } from "./sturdy-ref.js";

/** A save that is about to cross. */
export interface Crossing {
  /** What the caller asks it to be sealed for, as it came; null: for nobody. */
  readonly sealFor: Content | null;
  /** Saves the object in its own realm. Only this side gets to see that reference. */
  save(sealFor?: SealFor): Promise<SturdyRef>;
}

/** Gives the reference that the caller gets instead. */
export type Translate = (crossing: Crossing) => SturdyRef | Promise<SturdyRef>;

/**
 * A policy for a {@link Membrane}: translates the references that are saved through it. A direction that has no translation
 * cannot save at all, so nothing leaks.
 *
 * @param hooks `export`: somebody outside saves an object inside; `import`: somebody inside saves one outside.
 * @throws RpcError invalid-argument for hooks that are no functions.
 * @example
 * // Those outside get references of our own realm, which keeps the raw ones.
 * const policy = saveGateway({
 *   export: async ({ save }) => ours.save({ inner: (await save()).toBytes() }),
 * });
 * give(new Membrane(policy, scheduler).wrap(hook));
 * Source: C-PER-13, C-PER-14.
 */
export function saveGateway(hooks: { export?: Translate; import?: Translate }): MembranePolicy {
  if (typeof hooks !== "object" || hooks === null)
    throw wrongArgument(
      "saveGateway takes { export, import }, of which either may be left out",
      hooks,
    );
  for (const name of ["export", "import"] as const) {
    const hook = hooks[name];
    if (hook !== undefined && typeof hook !== "function")
      throw wrongArgument(`${name} of saveGateway must be a function`, hook);
  }
  return {
    call(direction: Direction, target, interfaceId, methodId): RpcError | Hook | void {
      if (interfaceId !== PERSISTENT_ID || methodId !== METHOD_SAVE) return;
      const translate = direction === "inward" ? hooks.export : hooks.import;
      if (translate === undefined) {
        const message = "references may not be saved across this membrane";
        return new RpcError("unimplemented", "method-unimplemented", message);
      }
      return new LocalHook(new Gate(target.addRef(), translate), target.scheduler);
    },
  };
}

/** Takes one save in the place of its object. */
class Gate implements Server {
  private readonly target: Hook;
  private readonly translate: Translate;

  /** Takes `target` over. */
  constructor(target: Hook, translate: Translate) {
    this.target = target;
    this.translate = translate;
  }

  dispatch(call: LocalCall): void {
    const sealFor = readSaveParams(call.params.content);
    const crossing: Crossing = {
      sealFor,
      save: (owner) => save(this.target, { sealFor: owner }),
    };
    Promise.resolve(crossing)
      .then(this.translate)
      .then((ref) => call.returns(new Payload(saveResults(ref))))
      .catch((error: unknown) => call.fails(RpcError.from(error)));
  }

  dropped(): void {
    this.target.release();
  }
}
