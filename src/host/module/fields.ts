// Role: reads a tree of values as it comes from a file, and says of each thing that is wrong where it is.
// State: none. Must not know: what the values mean.

import { RpcError } from "../../base/errors.js";

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/** A value of a file, and where it is. */
export class Field {
  readonly value: unknown;
  /** Such as `durable_objects.bindings[0].name`; empty for all of the file. */
  readonly path: string;
  private readonly file: string;

  /** @param file for people. */
  constructor(value: unknown, file: string, path = "") {
    this.value = value;
    this.file = file;
    this.path = path;
  }

  get isThere(): boolean {
    return this.value !== undefined && this.value !== null;
  }

  /** What is wrong with it. */
  error(what: string): RpcError {
    const where = this.path === "" ? this.file : `${this.file}: ${this.path}`;
    return new RpcError("failed", "config-invalid", `${where} ${what}`);
  }

  /** @throws RpcError config-invalid for what is no table. */
  table(): Map<string, Field> {
    const { value } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw this.error(`must be a table, not ${kindOf(value)}`);
    const prefix = this.path === "" ? "" : `${this.path}.`;
    return new Map(
      Object.entries(value).map(([key, one]) => [
        key,
        new Field(one, this.file, `${prefix}${key}`),
      ]),
    );
  }

  /** A table of which each key is one of `known`. @throws RpcError config-invalid. */
  tableOf(known: readonly string[]): Map<string, Field> {
    const table = this.table();
    for (const [key, field] of table)
      if (!known.includes(key)) throw field.error(`is none of ${known.join(", ")}`);
    return table;
  }

  /** @throws RpcError config-invalid for what is no list. */
  list(): Field[] {
    const { value } = this;
    if (!Array.isArray(value)) throw this.error(`must be a list, not ${kindOf(value)}`);
    return value.map((one, i) => new Field(one, this.file, `${this.path}[${i}]`));
  }

  /** @throws RpcError config-invalid for what is no text, or an empty one. */
  text(): string {
    const { value } = this;
    if (typeof value !== "string") throw this.error(`must be a string, not ${kindOf(value)}`);
    if (value === "") throw this.error("is empty");
    return value;
  }

  texts(): string[] {
    return this.list().map((field) => field.text());
  }

  /** @throws RpcError config-invalid for what is no number of a port. */
  port(): number {
    const { value } = this;
    if (!Number.isInteger(value) || (value as number) < 0 || (value as number) > 65_535)
      throw this.error("must be a port, from 0 to 65535");
    return value as number;
  }

  /** A text that is a name in JavaScript. @throws RpcError config-invalid. */
  identifier(): string {
    const text = this.text();
    if (!IDENTIFIER.test(text))
      throw this.error(`is ${JSON.stringify(text)}, which is no name in JavaScript`);
    return text;
  }

  /** @throws RpcError config-invalid for what JSON has no form for. */
  json(): unknown {
    const { value } = this;
    if (value === undefined || value instanceof Date || typeof value === "bigint")
      throw this.error("must be a string, a number, true or false, or a list or table of these");
    if (Array.isArray(value)) for (const one of this.list()) one.json();
    else if (typeof value === "object" && value !== null)
      for (const one of this.table().values()) one.json();
    return value;
  }

  /** @throws RpcError config-invalid for what is neither true nor false. */
  flag(): boolean {
    const { value } = this;
    if (typeof value !== "boolean") throw this.error(`must be true or false, not ${kindOf(value)}`);
    return value;
  }

  /** The field of a table that has to be there. @param of this field's table. */
  required(of: ReadonlyMap<string, Field>, key: string): Field {
    const field = of.get(key);
    if (field === undefined || !field.isThere) throw this.error(`has no ${key}`);
    return field;
  }
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return value instanceof Date ? "a date" : "a table";
  return `a ${typeof value}`;
}
