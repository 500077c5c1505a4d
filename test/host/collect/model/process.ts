// The processes of a run, and what there is in them.

import { LiveRoots, type NodeName, type Release } from "../../../../src/host/collect/live-roots.js";
import type { ObjectReference } from "../../../../src/host/references/reference.js";
import { namespaceBytes } from "../../../../src/host/storage/keys.js";
import type { Bytes } from "../../../../src/host/storage/store.js";

/** The namespace whose objects are collected. */
export const PRIVATE = "X";

/** A reference that somebody has in a process. */
export interface Stub {
  readonly reference: ObjectReference;
  readonly release: Release;
}

/** Whoever has stubs: an activation, or somebody outside of all objects. */
export interface Holder {
  readonly process: Process;
  /** Null outside. */
  readonly node: Bytes | null;
  readonly stubs: Stub[];
  readonly root: Release | null;
  /** What keeps it from being evicted. */
  busy: number;
  isOver: boolean;
}

export class Process {
  readonly index: number;
  readonly roots: LiveRoots;
  readonly active = new Map<NodeName, Holder>();
  isOver = false;
  /** Resolves when it has ended. */
  readonly over: Promise<void>;
  private readonly told: () => void;

  constructor(index: number) {
    let told!: () => void;
    this.over = new Promise((resolve) => (told = resolve));
    this.told = told;
    this.index = index;
    this.roots = new LiveRoots([namespaceBytes(PRIVATE)]);
  }

  end(): void {
    this.isOver = true;
    this.told();
  }
}

/** A call on its way, and afterwards the news that it has arrived. */
export interface Message {
  readonly from: Process;
  readonly to: ObjectReference;
  readonly passed: ObjectReference | null;
  readonly release: Release;
  arrived: boolean;
}

export interface Socket {
  readonly node: Bytes;
  readonly process: Process;
  readonly attached: ObjectReference;
  readonly release: Release;
}

export function outsider(process: Process): Holder {
  return { process, node: null, stubs: [], root: null, busy: 0, isOver: false };
}

export function joinReleases(releases: readonly Release[]): Release {
  return () => {
    for (const release of releases) release();
  };
}

export function idOf(n: number): Bytes {
  const id = new Uint8Array(32).fill(0xee);
  new DataView(id.buffer).setUint32(28, n);
  return id;
}
