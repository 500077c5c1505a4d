// Counts who holds whom from the values themselves, and compares what the store says.

import { expect } from "vitest";
import { readNode } from "../../../src/host/storage/keys.js";
import type { Bytes, Store } from "../../../src/host/storage/store.js";
import { heldBy } from "../../../src/host/references/table.js";

const ALL = { from: new Uint8Array(), to: Uint8Array.of(0xff) };
const KIND_VALUE = 1;
const KIND_HELD = 4;

const hex = (bytes: Bytes): string => Buffer.from(bytes).toString("hex");
const nodeLength = (bytes: Bytes, at: number): number => 1 + bytes[at]! + 32;

/** How many there are of each. */
export interface Audit {
  /** Values that hold somebody. */
  readonly holding: number;
  /** Pairs of a holder and one who is held. */
  readonly pairs: number;
}

/** @param saved also counts the saved references as what the tables say, since there are no values to count them from. */
export async function auditHoldings(store: Store): Promise<Audit> {
  const values = new Map<string, string[]>();
  const records = new Map<string, string[]>();
  const said = new Map<string, number>();
  for (const { key, value } of await store.range(ALL)) {
    if (key[0] === 1) {
      const at = 1 + nodeLength(key, 1);
      const holder = hex(key.slice(1, at));
      if (key[at] === KIND_VALUE && heldBy(value).length > 0)
        values.set(`${holder} ${hex(key.slice(at))}`, heldBy(value).map(hex));
      if (key[at] === KIND_HELD) {
        const nodes: string[] = [];
        for (let i = 0; i < value.length; i += nodeLength(value, i))
          nodes.push(hex(value.slice(i, i + nodeLength(value, i))));
        records.set(`${holder} ${hex(key.slice(at + 1))}`, nodes);
      }
    }
    if (key[0] === 3) {
      const at = 1 + nodeLength(key, 1);
      said.set(`${hex(key.slice(1, at))} ${hex(key.slice(at))}`, Buffer.from(value).readUInt32BE());
    }
  }
  const ofObjects = [...records].filter(([name]) => !name.startsWith("00"));
  expect(new Map(ofObjects), "what the records of holding say, and the values").toEqual(values);
  const counted = new Map<string, number>();
  for (const [name, nodes] of records)
    for (const node of nodes) {
      const pair = `${node} ${name.split(" ")[0]}`;
      counted.set(pair, (counted.get(pair) ?? 0) + 1);
    }
  expect(said, "who is said to be held, and is").toEqual(counted);
  return { holding: values.size, pairs: counted.size };
}

/** A node for people. */
export function textOf(node: Bytes): string {
  const { namespace, id } = readNode(node);
  return `${namespace}/${id === null ? "*" : hex(id).slice(0, 8)}`;
}
