// Role: by which name the objects of each class are stored, from what its configuration tells of earlier names.
// State: none. Must not know: the store.
//
// Nothing is ever moved: objects stay under the name that their class had first, and a class is led there. So a migration needs
// no moment at which it happens, and going back to an older configuration finds what that knew.

import type { Field } from "./fields.js";

/** The names of classes by which their objects are stored, where that is not the class's own. */
export interface StoredNames {
  /** @returns the name in storage. @throws RpcError config-invalid for a class that was deleted. */
  nameOf(className: string, field: Field): string;
  /** Of classes that were deleted, and whose objects are still there. */
  readonly deleted: readonly string[];
}

const KNOWN = ["tag", "new_classes", "new_sqlite_classes", "renamed_classes", "deleted_classes"];

/** @throws RpcError config-invalid. */
export function readMigrations(field: Field | undefined): StoredNames {
  /** Classes there are, to their names in storage. */
  const names = new Map<string, string>();
  /** Names in storage that were ever used: a class of the same name that comes later is another one. */
  const used = new Set<string>();
  const gone = new Map<string, string>();
  const tags = new Set<string>();
  const add = (name: string, tag: string): void => {
    const stored = used.has(name) ? `${name}@${tag}` : name;
    used.add(stored);
    names.set(name, stored);
    gone.delete(name);
  };
  const take = (one: Field, name: string): string => {
    // A class that nobody has announced is there from the beginning.
    const stored = names.get(name) ?? (gone.has(name) ? undefined : name);
    if (stored === undefined)
      throw one.error(`names the class ${name}, which is not there any more`);
    used.add(stored);
    names.delete(name);
    gone.set(name, stored);
    return stored;
  };
  for (const step of field?.list() ?? []) {
    const table = step.tableOf(KNOWN);
    const tag = step.required(table, "tag");
    if (tags.has(tag.text())) throw tag.error(`is ${tag.text()}, as an earlier one`);
    tags.add(tag.text());
    for (const key of ["new_classes", "new_sqlite_classes"])
      for (const one of table.get(key)?.list() ?? []) {
        if (names.has(one.text()))
          throw one.error(`names the class ${one.text()}, which is there already`);
        add(one.text(), tag.text());
      }
    for (const one of table.get("renamed_classes")?.list() ?? []) {
      const pair = one.tableOf(["from", "to"]);
      const to = one.required(pair, "to");
      if (names.has(to.text()))
        throw to.error(`names the class ${to.text()}, which is there already`);
      const stored = take(one, one.required(pair, "from").text());
      names.set(to.text(), stored);
      gone.delete(to.text());
    }
    for (const one of table.get("deleted_classes")?.list() ?? []) take(one, one.text());
  }
  const kept = new Set(names.values());
  return {
    nameOf(className, binding) {
      const stored = names.get(className);
      if (stored !== undefined) return stored;
      if (gone.has(className))
        throw binding.error(`is ${className}, a class that was renamed or deleted by a migration`);
      return className;
    },
    deleted: [...new Set(gone.values())].filter((stored) => !kept.has(stored)),
  };
}
