// Role: what a Worker module is to be served with, read from the tree of a `wrangler.toml` or `wrangler.jsonc`.
// State: none. Must not know: files, the module itself.
//
// What is wrong is an error that says where. What is right and means nothing here is named in `warnings`, so that nobody takes
// for there what is not.

import { Field } from "./fields.js";
import { readMigrations } from "./migrations.js";
import { readRules, type Rule } from "./rules.js";
import { readWorkerdBinding, type WorkerdBinding } from "./workerd-config.js";

/** A namespace of objects, as the module's `env` has it. */
export interface Binding {
  /** In `env`. */
  readonly name: string;
  /** The export that is its class. */
  readonly className: string;
  /** By which the objects are stored. Two bindings with one of these are one namespace. */
  readonly storedAs: string;
}

/** An entry point that Workers of a workerd may call. */
export interface Exposed {
  readonly port: number;
  /** The address to listen at; null for 127.0.0.1. */
  readonly address: string | null;
  /** The export that is its class; null for the default one. */
  readonly entrypoint: string | null;
}

export interface ModuleConfig {
  /** For people. */
  readonly name: string | null;
  /** As it was written: relative to the folder of the file. */
  readonly main: string | null;
  /** The name by which the objects of a class are stored. @throws RpcError config-invalid for a class that is gone. */
  storedName(className: string): string;
  /** Null when nothing was said of objects: then every exported class of objects is bound by its own name. */
  readonly bindings: readonly Binding[] | null;
  /** The exported classes whose namespaces are private: their objects are collected. */
  readonly collect: readonly string[];
  /** What of `env` lives in a workerd. */
  readonly workerd: readonly WorkerdBinding[];
  /** What of the module Workers of a workerd may call; null for nothing. */
  readonly exposed: Exposed | null;
  /** What else is in `env`. */
  readonly vars: Readonly<Record<string, unknown>>;
  readonly rules: readonly Rule[];
  readonly port: number | null;
  /** The address to listen at. */
  readonly address: string | null;
  /** For people: what was not understood, a line each. */
  readonly warnings: readonly string[];
}

/** Without a file. */
export const NO_CONFIG: ModuleConfig = readConfig({}, "no file");

/** Of Cloudflare's own machines; a host of one's own has nothing to do about them. */
const ELSEWHERE = new Set(
  "$schema account_id compatibility_date compatibility_flags keep_vars logpush minify observability placement preview_urls send_metrics upload_source_maps workers_dev".split(
    " ",
  ),
);

/**
 * @param tree what a parser of TOML or JSON has made of the file. @param file for people.
 * @throws RpcError config-invalid, with the path of what is wrong.
 */
export function readConfig(tree: unknown, file: string): ModuleConfig {
  const root = new Field(tree, file);
  const fields = root.table();
  const warnings: string[] = [];
  const take = (key: string): Field | undefined => {
    const field = fields.get(key);
    fields.delete(key);
    return field;
  };
  const unknown = (field: Field, what: string): void =>
    void warnings.push(field.error(what).message);

  const name = take("name")?.text() ?? null;
  const main = take("main")?.text() ?? null;
  const vars = readVars(take("vars"));
  const claimed = new Set(Object.keys(vars));
  const claim = (field: Field, called: string): void => {
    if (claimed.has(called)) throw field.error(`is called ${called}, as something else in env`);
    claimed.add(called);
  };
  const rules = readRules(take("rules"));
  const migrations = take("migrations");
  const stored = readMigrations(migrations);
  for (const one of stored.deleted)
    if (migrations !== undefined)
      unknown(
        migrations,
        `deletes ${one}: its objects stay in the data directory until they are deleted there`,
      );
  const objects = take("durable_objects");
  let bindings: Binding[] | null = null;
  const collect = new Set<string>();
  if (objects !== undefined) {
    const list = objects.required(objects.tableOf(["bindings"]), "bindings").list();
    bindings = list.map((one): Binding => {
      const table = one.tableOf(["name", "class_name", "script_name", "environment", "collect"]);
      const script = table.get("script_name");
      if (script !== undefined && script.text() !== name)
        throw script.error(
          "names another Worker: only classes of this module can be bound here, those of one in workerd by [[capstan.workerd]]",
        );
      const className = one.required(table, "class_name");
      const called = one.required(table, "name").identifier();
      claim(one, called);
      const storedAs = stored.nameOf(className.identifier(), className);
      if (table.get("collect")?.flag() === true) collect.add(className.text());
      return { name: called, className: className.text(), storedAs };
    });
  }
  const own = take("capstan")?.tableOf(["workerd", "expose"]);
  const exposed = readExposed(own?.get("expose"));
  const workerd = (own?.get("workerd")?.list() ?? []).map((one) => {
    const binding = readWorkerdBinding(one);
    claim(one, binding.name);
    return binding;
  });
  const dev = take("dev")?.table();
  const port = dev?.get("port")?.port() ?? null;
  const address = dev?.get("ip")?.text() ?? null;
  for (const [key, field] of dev ?? [])
    if (key !== "port" && key !== "ip") unknown(field, "is not understood");
  for (const [key, field] of fields)
    if (!ELSEWHERE.has(key) && field.isThere)
      unknown(field, "is not understood: the module does without it");
  const storedName = (className: string): string =>
    stored.nameOf(className, new Field(className, file, "the class"));
  return {
    name,
    main,
    storedName,
    bindings,
    collect: [...collect],
    workerd,
    exposed,
    vars,
    rules,
    port,
    address,
    warnings,
  };
}

/** @throws RpcError config-invalid. */
function readExposed(field: Field | undefined): Exposed | null {
  const table = field?.tableOf(["port", "ip", "entrypoint"]);
  if (field === undefined || table === undefined) return null;
  return {
    port: field.required(table, "port").port(),
    address: table.get("ip")?.text() ?? null,
    entrypoint: table.get("entrypoint")?.identifier() ?? null,
  };
}

/** Any JSON. @throws RpcError config-invalid. */
function readVars(field: Field | undefined): Record<string, unknown> {
  const vars: Record<string, unknown> = {};
  for (const [key, one] of field?.table() ?? []) {
    new Field(key, "", one.path).identifier();
    one.json();
    vars[key] = one.value;
  }
  return vars;
}
