// Role: looks at a database file before it is opened: what is no database, or was cut off, ends a process that maps it.
// State: none. Must not know: what is in the database.
//
// LMDB has two pages at the beginning that each tell of one state of the whole; the later one counts, the other is that before.

import fs from "node:fs";
import { RpcError } from "../../base/errors.js";

const MAGIC = 0xbeef_c0de;
/** Where in a meta page, in bytes. */
const AT = { magic: 24, pageSize: 48, lastPage: 144, transaction: 152, end: 160 };
const FIRST = 4096;

/**
 * Checks the database file at `file`, if there is one.
 *
 * @throws RpcError storage-corrupt when it is none, or is shorter than it says.
 */
export function checkDatabaseFile(file: string): void {
  let fd: number;
  try {
    fd = fs.openSync(file, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return;
    throw thrown;
  }
  try {
    const { size } = fs.fstatSync(fd);
    // One that was made and not yet written.
    if (size === 0) return;
    const first = readMeta(fd, 0, size);
    if (first === null) throw corrupt(file, "it is no LMDB database");
    const second = readMeta(fd, first.pageSize, size);
    const meta = second !== null && second.transaction > first.transaction ? second : first;
    const wanted = (meta.lastPage + 1) * meta.pageSize;
    if (meta.lastPage > 1 && size < wanted)
      throw corrupt(file, `it has ${size} bytes, and needs ${wanted}: it was cut off`);
  } finally {
    fs.closeSync(fd);
  }
}

interface Meta {
  readonly pageSize: number;
  readonly lastPage: number;
  readonly transaction: bigint;
}

function readMeta(fd: number, at: number, size: number): Meta | null {
  if (size < at + AT.end) return null;
  const bytes = Buffer.alloc(AT.end);
  fs.readSync(fd, bytes, 0, AT.end, at);
  const pageSize = bytes.readUInt32LE(AT.pageSize);
  if (bytes.readUInt32LE(AT.magic) !== MAGIC || pageSize < 512 || pageSize > FIRST * 16)
    return null;
  return {
    pageSize,
    lastPage: Number(bytes.readBigUInt64LE(AT.lastPage)),
    transaction: bytes.readBigUInt64LE(AT.transaction),
  };
}

function corrupt(file: string, why: string): RpcError {
  return new RpcError("failed", "storage-corrupt", `${file} cannot be opened: ${why}`);
}
