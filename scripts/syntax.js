// @ts-check
// Walks syntax trees, for the scripts that work on the bundle. Knows nothing of what they look for.

/** @typedef {{ type: string, start: number, end: number, [key: string]: any }} Node */

/**
 * Visits every node, each before what is below it.
 * @param {unknown} from a tree, or a part of one
 * @param {(node: Node) => boolean | void} visit false: not what is below it
 */
export function walk(from, visit) {
  if (Array.isArray(from)) {
    for (const one of from) walk(one, visit);
    return;
  }
  if (typeof from !== "object" || from === null) return;
  const node = /** @type {Node} */ (from);
  if (typeof node.type === "string" && visit(node) === false) return;
  for (const key in node) if (key !== "type") walk(node[key], visit);
}

/** @param {Node} node @returns {string | undefined} the variable that it is, or is a member of */
export function rootOf(node) {
  let at = node;
  while (at.type === "MemberExpression") at = at["object"];
  return at.type === "Identifier" ? at["name"] : undefined;
}
