// @ts-check
// msgpackr as its one user in the bundle uses it: what src/cap/dynamic/values/pack.ts asks of it is written in as constants, so
// that the minifier sees what never runs: records, extensions, bundled strings, other kinds of numbers, texts of errors.
//
// What is left is msgpackr's own code, and it writes and reads the same for the trees that pack.ts gives it and the bytes that
// scan.ts lets through: test/project/bundle.test.ts compares the two. With another version of msgpackr that test decides
// whether this list still holds.

import { parseAst } from "rolldown/parseAst";
import { rootOf, walk } from "./syntax.js";

/** @typedef {import("./syntax.js").Node} Node */

const NONE = "void 0";

/** Properties of a codec: what the options in pack.ts say, and what only other options and add-ons give it. */
const PROPERTIES = new Map(
  Object.entries({
    false: "useRecords moreTypes useToJSON",
    true: "mapsAsObjects variableMapSize copyBuffers",
    [NONE]:
      "structures getStructures saveStructures shouldShareStructure progressiveRecords maxSharedStructures " +
      "maxOwnStructures typedStructs structuredClone bundleStrings sequential skipValues coercibleKeyAsNumber " +
      "mapAsEmptyObject setAsEmptyObject writeFunction largeBigIntToFloat largeBigIntToString useBigIntExtension " +
      "encodeUndefinedAsNil freezeData int64AsType int64AsNumber useFloat32 allowArraysInMapKeys lazy trusted " +
      "_writeStruct _readStruct _prepareStructures _onLoadedStructures _onSaveState",
  }).flatMap(([value, names]) =>
    names.split(" ").map((name) => /** @type {const} */ ([name, value])),
  ),
);

/** Variables of its modules. What is empty has no elements either; nothing runs inside of pack and unpack that calls them. */
const VARIABLES = new Map(
  Object.entries({
    [NONE]:
      "structures referenceMap bundledStrings hasSharedUpdate pendingNestedStructures isSequential",
    false: "sequentialMode packing hasNodeBuffer",
    "[]": "extensions extensionClasses currentExtensions currentStructures",
  }).flatMap(([value, names]) =>
    names.split(" ").map((name) => /** @type {const} */ ([name, value])),
  ),
);

/** Methods that pack.ts does not call, and values that are made for other users of the module. */
const UNUSED_METHODS = new Set(
  "unpackMultiple _mergeStructures decode useBuffer clearSharedData".split(" "),
);
const UNUSED_VALUES = new Set(
  "unpack unpackMultiple decode pack encode defaultPackr defaultUnpackr mult10".split(" "),
);

/** The extension type of records. */
const RECORD = 0x72;

/** @param {string} name @param {Node} node @returns {boolean} whether a part of `node` is the variable */
function mentions(name, node) {
  let found = false;
  walk(node, (at) => {
    found ||= at.type === "Identifier" && at["name"] === name;
  });
  return found;
}

/** @param {Node} statement at the top of a module @returns {boolean} whether it is for others only */
function isForOthers(statement) {
  if (statement.type === "ForStatement") return mentions("mult10", statement["body"]);
  if (
    statement.type === "ExpressionStatement" &&
    statement["expression"].type === "AssignmentExpression"
  ) {
    const name = rootOf(statement["expression"].left);
    return name !== undefined && VARIABLES.has(name);
  }
  const declaration = statement["declaration"] ?? statement;
  return (
    declaration.type === "VariableDeclaration" &&
    declaration.declarations.every((/** @type {Node} */ { id }) => UNUSED_VALUES.has(id.name)) &&
    !declaration.declarations.some((/** @type {Node} */ { id }) => id.name === "mult10")
  );
}

/**
 * @param {string} code of a module of msgpackr
 * @returns {string}
 */
export function specialize(code) {
  /** @type {{ start: number, end: number, text: string }[]} */
  const edits = [];
  /** @param {Node} node @param {string} text @returns {false} */
  const put = ({ start, end }, text) => {
    edits.push({ start, end, text });
    return false;
  };
  /** Names that are read from no variable, and places that are written to. @type {Set<Node>} */
  const kept = new Set();
  /** Assignments that are statements. @type {Set<Node>} */
  const statements = new Set();
  const ast = parseAst(code);
  for (const statement of /** @type {Node[]} */ (/** @type {unknown} */ (ast.body)))
    if (isForOthers(statement)) put(statement, "");
  walk(ast, (node) => {
    switch (node.type) {
      case "ExportNamedDeclaration":
        // Names, not reads.
        return node["declaration"] !== null && node["declaration"] !== undefined;
      case "ExpressionStatement":
        statements.add(node["expression"]);
        return true;
      case "IfStatement":
        // Called again while it runs.
        return node["test"].type === "Identifier" && node["test"].name === "src"
          ? put(node, "")
          : true;
      case "ForStatement":
        return node["init"] !== null && mentions("extensions", node["init"]) ? put(node, "") : true;
      case "AssignmentExpression": {
        kept.add(node["left"]);
        const { right } = node;
        const value =
          right.type === "MemberExpression" ? PROPERTIES.get(right.property.name) : undefined;
        return value === NONE && !statements.has(node) && node["left"].type === "Identifier"
          ? put(node, `(${NONE})`)
          : true;
      }
      case "UpdateExpression":
        kept.add(node["argument"]);
        return true;
      case "VariableDeclarator":
        kept.add(node["id"]);
        return true;
      case "ArrowFunctionExpression":
      case "FunctionExpression":
      case "FunctionDeclaration":
        for (const param of node["params"]) kept.add(param);
        if (node["id"]) kept.add(node["id"]);
        return true;
      case "MethodDefinition":
        if (UNUSED_METHODS.has(node["key"].name)) return put(node, "");
        kept.add(node["key"]);
        return true;
      case "Property":
        if (!node["computed"]) kept.add(node["key"]);
        return true;
      case "NewExpression": {
        // What it tells of cannot happen: pack.ts gives it nothing else, and scan.ts lets nothing else through.
        const { name } = node["callee"];
        return name === "Error" || name === "RangeError" ? put(node, `new ${name}()`) : true;
      }
      case "BinaryExpression":
        return node["right"].type === "Literal" && node["right"].value === RECORD
          ? put(node, "false")
          : true;
      case "MemberExpression": {
        if (node["computed"]) {
          const empty =
            node["object"].type === "Identifier" && VARIABLES.get(node["object"].name) === "[]";
          return empty && !kept.has(node) ? put(node, `(${NONE})`) : true;
        }
        kept.add(node["property"]);
        const value = PROPERTIES.get(node["property"].name);
        return value !== undefined && !kept.has(node) ? put(node, `(${value})`) : true;
      }
      case "Identifier": {
        const value = VARIABLES.get(node["name"]);
        return value !== undefined && !kept.has(node) ? put(node, `(${value})`) : true;
      }
      default:
        return true;
    }
  });
  let made = "";
  let at = 0;
  for (const { start, end, text } of edits.sort((a, b) => a.start - b.start || b.end - a.end)) {
    if (start < at) continue;
    made += code.slice(at, start) + text;
    at = end;
  }
  return made + code.slice(at);
}
