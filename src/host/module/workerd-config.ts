// Role: what of a module's `env` lives in a workerd, read from its configuration or from flags.
// State: none. Must not know: connections, files.

import { RpcError } from "../../base/errors.js";
import { workerdAddress } from "../../workerd/address.js";
import { Field } from "./fields.js";

/** A name of `env` for something in a workerd. Plain values. */
export interface WorkerdBinding {
  /** In `env`. */
  readonly name: string;
  /** Of the debug port, or of the socket: `tcp://host:port` or `unix:/path`. */
  readonly url: string;
  readonly to:
    | {
        readonly kind: "objects";
        readonly service: string;
        readonly className: string;
        readonly uniqueKey: string;
      }
    | {
        readonly kind: "entrypoint";
        readonly service: string;
        /** Null for the default export. */
        readonly entrypoint: string | null;
        /** As JSON; null for none. */
        readonly props: string | null;
      }
    | { readonly kind: "socket"; readonly connectHost: string };
}

const KEYS = {
  objects: ["name", "url", "service", "class_name", "unique_key"],
  entrypoint: ["name", "url", "service", "entrypoint", "props"],
  socket: ["name", "url", "connect_host"],
} as const;

/**
 * @param field a table: `name`, `url` and either `service`, `class_name` and `unique_key`, for the objects of a class; or `service`
 *   and perhaps `entrypoint` and `props`; or `connect_host`.
 * @throws RpcError config-invalid, with the path of what is wrong.
 */
export function readWorkerdBinding(field: Field): WorkerdBinding {
  const given = field.table();
  const kind = given.has("class_name")
    ? "objects"
    : given.has("connect_host")
      ? "socket"
      : "entrypoint";
  const table = field.tableOf(KEYS[kind]);
  const text = (key: string): string => field.required(table, key).text();
  const name = field.required(table, "name").identifier();
  const url = urlOf(field.required(table, "url"));
  if (kind === "socket") return { name, url, to: { kind, connectHost: text("connect_host") } };
  const service = text("service");
  if (kind === "objects") {
    const [className, uniqueKey] = [text("class_name"), text("unique_key")];
    return { name, url, to: { kind, service, className, uniqueKey } };
  }
  const entrypoint = table.get("entrypoint")?.text() ?? null;
  const props = table.get("props");
  props?.json();
  return {
    name,
    url,
    to: {
      kind,
      service,
      entrypoint,
      props: props === undefined ? null : JSON.stringify(props.value),
    },
  };
}

/**
 * The same from a flag: an address, and behind a question mark what else a table would have.
 *
 * @example parseWorkerdBinding("ROOMS", "unix:/run/workerd.sock?service=main&class_name=Room&unique_key=k", "--workerd ROOMS")
 * @throws RpcError config-invalid.
 */
export function parseWorkerdBinding(name: string, text: string, where: string): WorkerdBinding {
  const at = text.indexOf("?");
  const url = at < 0 ? text : text.slice(0, at);
  const more = at < 0 ? [] : [...new URLSearchParams(text.slice(at + 1))];
  const tree: Record<string, unknown> = { name, url };
  for (const [key, value] of more) {
    if (Object.hasOwn(tree, key)) throw new Field(value, where, key).error("is there twice");
    tree[key] = key === "props" ? jsonOf(value, where) : value;
  }
  return readWorkerdBinding(new Field(tree, where));
}

function jsonOf(text: string, where: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new Field(text, where, "props").error("is no JSON");
  }
}

function urlOf(field: Field): string {
  const url = field.text();
  try {
    workerdAddress(url);
    return url;
  } catch (thrown) {
    throw field.error(`is no address of a workerd: ${RpcError.from(thrown).message}`);
  }
}
