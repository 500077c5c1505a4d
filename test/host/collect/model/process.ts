// The processes of a run, and what there is in them.

import { LiveRoots, type NodeName, type Release } from "../../../../src/host/collect/live-roots.js";
import type { ObjectReference } from "../../../../src/host/references/reference.js";
import { namespaceBytes } from "../../../../src/host/storage/keys.js";
import type { Bytes } from "../../../../src/host/storage/store.js";
import type { Call, End } from "./connections.js";

/** The namespace whose objects are collected. */
export const PRIVATE = "X";

/** A reference that somebody has in a process. */
export interface Stub {
  readonly reference: ObjectReference;
  readonly release: Release;
  /** The connection that it came by; null for one that was made here. */
  readonly end: End | null;
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

/** A call that waits for a connection. */
export interface Outgoing {
  readonly to: ObjectReference;
  readonly call: Call;
  readonly passed: { readonly reference: ObjectReference; readonly release: Release } | null;
}

/** One process, from when it is started to its end. */
export class Process {
  readonly index: number;
  readonly roots: LiveRoots;
  readonly active = new Map<NodeName, Holder>();
  readonly ends = new Set<End>();
  readonly outgoing: Outgoing[] = [];
  /** Until then no connection is made. */
  slowUntil = 0;
  /** It knows who is being collected, and does its work. */
  isReady: boolean;
  isOver = false;
  /** Resolves when it has ended. */
  readonly over: Promise<void>;
  private readonly told: () => void;

  constructor(index: number, isReady: boolean) {
    let told!: () => void;
    this.over = new Promise((resolve) => (told = resolve));
    this.told = told;
    this.index = index;
    this.isReady = isReady;
    this.roots = new LiveRoots([namespaceBytes(PRIVATE)]);
  }

  end(): void {
    this.isOver = true;
    this.told();
  }
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
