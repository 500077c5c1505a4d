// Scenarios about saved references.

import { connect, type Session } from "capstan/node";
import { KeyPair, Restorer, save, SturdyRef } from "capstan/persist";
import { Interop, Node } from "./generated/interop.capnp.js";
import { mustFail, type Run, type Scenario } from "./scenario.js";
import { expect, mustBeEmpty } from "./support.js";

async function mustBePath(node: Node, path: string): Promise<void> {
  expect((await node.path()).path, path, "path");
}

async function mustBeRefused(node: Node): Promise<void> {
  try {
    await node.path();
  } catch (error) {
    if (error instanceof Error && error.message.includes("not accepted")) return;
    throw error;
  }
  throw new Error("a reference that is none was restored");
}

/** Every reference is kept as text, as a program would keep it. */
async function saveNode(server: Interop, path: string, sealFor?: Uint8Array): Promise<string> {
  using call = server.savedNode({ path });
  return (await save(call.node, { sealFor })).toText();
}

async function restoreAll(
  session: Session,
  server: Interop,
  kept: string,
  sealed: string,
): Promise<void> {
  using remote = session.bootstrap(Interop);
  using call = remote.restorer();
  using restorer = Restorer.of(call.restorer);
  const restore = (text: string): Node => restorer.restore(SturdyRef.fromText(text), Node);

  using node = restore(kept);
  await mustBePath(node, "kept");
  {
    using copy = restore((await save(node)).toText());
    await mustBePath(copy, "kept");
    using second = restore(kept);
    await mustBePath(second, "kept");
    using others = restore(sealed);
    await mustBeRefused(others);
    // The last letter that holds bits of the token, changed.
    const at = kept.length - 3;
    using forged = restore(kept.slice(0, at) + (kept[at] === "A" ? "B" : "A") + kept.slice(at + 1));
    await mustBeRefused(forged);
  }
  await server.forget();
  using late = restore(kept);
  await mustBeRefused(late);
  // What was restored before lives on.
  await mustBePath(node, "kept");
}

async function savedReferences(run: Run): Promise<void> {
  using server = run.interop();
  const kept = await saveNode(server, "kept");
  const sealed = await saveNode(server, "sealed", KeyPair.generate().publicKey);
  {
    using plain = await server.makeNodes({ count: 1 });
    await mustFail(save(plain.nodes.get(0)), "unimplemented");
  }
  // Another connection, where nothing of the first is known.
  await using other = await connect(run.address);
  await restoreAll(other, server, kept, sealed);
  await mustBeEmpty(other);
}

export const SAVING_SCENARIOS: Record<string, Scenario> = { "saved-references": savedReferences };
