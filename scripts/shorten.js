// @ts-check
// Makes one bundled file smaller by what is known of the whole of it: methods that nothing names are left out, and names that
// mean nothing outside of it become short.
//
// Which names those are is derived, not guessed. A name may change only if it is
//   - the name of a property in the project's own part of the bundle, and
//   - not reachable in the types of the entry: what a user of it can write, or hand in (`publicNames`), and
//   - not declared by any of the language's and the browser's own libraries (`libraryNames`), and
//   - not in the code of a package that is bundled along, and
//   - not the text of any string there: what is looked up by text keeps its name; and
//   - not written in an object that is given to the runtime itself: `Object.assign(init, { duplex: "half" })`.
// It rests on what the compiler checks: a property of an object from outside can only be read through a type that says so.
// Types that are asserted where they are used (`x as { name: ... }`) speak of such objects, so their names count as public.

import fs from "node:fs";
import path from "node:path";
import { createRequire } from "node:module";
import { parseAst } from "rolldown/parseAst";
import { minifySync } from "rolldown/utils";
import { rootOf, walk } from "./syntax.js";

/** @typedef {import("./syntax.js").Node} Node */

/** @param {Node} node @returns {string | null} the name of a member that is written without brackets or quotes */
function keyOf(node) {
  return node["computed"] !== true && node["key"]?.type === "Identifier" ? node["key"].name : null;
}

// -- What a user can name --------------------------------------------------------------------------------------------

/**
 * @typedef {object} Module
 * @property {Map<string, Node>} declared what it declares at its top
 * @property {Map<string, { file: string, name: string }>} brought what it imports, or exports from elsewhere
 * @property {string[]} stars files of which it exports all
 * @property {Map<string, string>} exported the local names of what it exports
 */

/**
 * Every name of a member that can be reached from the types of an entry: not those that are private.
 *
 * @param {string} entry a file of TypeScript
 * @param {readonly { file: string, name: string }[]} also types whose objects leave by other ways
 * @param {readonly string[]} sealed types that the entry does not export, whose objects a user can neither make nor look into
 * @returns {Set<string>}
 * @throws {Error} for a public member whose type is neither written nor plain to see
 */
export function publicNames(entry, also = [], sealed = []) {
  /** @type {Map<string, Module>} */
  const modules = new Map();
  /** @type {Set<string>} */
  const names = new Set();
  const seen = new Set();

  /** @param {string} file @returns {Module} */
  function moduleOf(file) {
    let module = modules.get(file);
    if (module === undefined) modules.set(file, (module = readModule(file)));
    return module;
  }

  /** @param {string} file @param {string} name as seen from outside */
  function reachExport(file, name) {
    const module = moduleOf(file);
    const local = module.exported.get(name);
    if (local !== undefined) reach(file, local);
    else for (const star of module.stars) reachExport(star, name);
  }

  /** @param {string} file @param {string} name as seen inside */
  function reach(file, name) {
    const id = `${file}:${name}`;
    if (seen.has(id) || sealed.includes(name)) return;
    seen.add(id);
    const module = moduleOf(file);
    const from = module.brought.get(name);
    if (from !== undefined) {
      if (from.name === "*") reachAll(from.file);
      else reachExport(from.file, from.name);
    }
    for (const [key, node] of module.declared)
      if (key === name || key.startsWith(`${name}#`)) typesIn(file, node);
  }

  /** @param {string} file */
  function reachAll(file) {
    const module = moduleOf(file);
    for (const name of module.exported.keys()) reachExport(file, name);
    for (const star of module.stars) reachAll(star);
  }

  /**
   * Follows the types in a declaration, a member or a type. Bodies and values say nothing of types, but for a member that
   * has no other.
   * @param {string} file @param {unknown} node
   */
  function typesIn(file, node) {
    walk(node, (at) => {
      switch (at.type) {
        case "ClassBody":
          for (const member of at["body"]) memberIn(file, member);
          return false;
        case "BlockStatement":
        case "FunctionBody":
          return false;
        case "ClassDeclaration":
        case "ClassExpression":
          if (at["superClass"]?.type === "Identifier") reach(file, at["superClass"].name);
          return true;
        case "VariableDeclarator":
          if (at["id"].typeAnnotation) typesIn(file, at["id"].typeAnnotation);
          else valueIn(file, at["init"]);
          return false;
        case "AssignmentPattern":
          typesIn(file, at["left"]);
          if (!at["left"].typeAnnotation) valueIn(file, at["right"]);
          return false;
        case "TSPropertySignature":
        case "TSMethodSignature": {
          const key = keyOf(at);
          if (key !== null) names.add(key);
          return true;
        }
        case "TSTypeReference":
          return referenceIn(file, at);
        case "TSClassImplements":
        case "TSInterfaceHeritage":
          if (at["expression"].type === "Identifier")
            return referenceIn(file, { ...at, typeName: at["expression"] });
          return true;
        case "TSTypeQuery":
          if (at["exprName"].type === "Identifier") reach(file, at["exprName"].name);
          return true;
        default:
          return true;
      }
    });
  }

  /**
   * `Omit` and `Pick` of named members reach those members only.
   * @param {string} file @param {Node} at @returns {boolean} whether to go on below
   */
  function referenceIn(file, at) {
    let name = at["typeName"];
    while (name.type === "TSQualifiedName") name = name.left;
    if (name.type !== "Identifier") return true;
    const args = at["typeArguments"]?.params ?? [];
    if ((name.name === "Omit" || name.name === "Pick") && args[0]?.type === "TSTypeReference") {
      const listed = literalsOf(args[1]);
      partOf(file, args[0].typeName.name, (key) => listed.has(key) === (name.name === "Pick"));
      return false;
    }
    reach(file, name.name);
    return true;
  }

  /**
   * @param {string} file @param {string} name of a class or an interface
   * @param {(key: string) => boolean} wanted which of its members
   */
  function partOf(file, name, wanted) {
    const module = moduleOf(file);
    const from = module.brought.get(name);
    if (from !== undefined) {
      const there = moduleOf(from.file).exported.get(from.name);
      if (there === undefined)
        throw new Error(`${file}: a part of ${name}, which is exported by way of others`);
      partOf(from.file, there, wanted);
      return;
    }
    const node = module.declared.get(name);
    if (node === undefined)
      throw new Error(`${file}: a part of ${name}, which is not declared there`);
    for (const heir of [
      ...(node["extends"] ?? []),
      ...(node["superClass"] ? [{ expression: node["superClass"] }] : []),
    ])
      partOf(file, heir.expression.name, wanted);
    for (const member of node["body"].body) {
      const key = keyOf(member);
      // Its constructor makes the whole, not the part.
      if (key === null || (key !== "constructor" && wanted(key))) memberIn(file, member);
    }
  }

  /** @param {string} file @param {Node} member of a class or an interface */
  function memberIn(file, member) {
    if (member["accessibility"] === "private" || member["key"]?.type === "PrivateIdentifier")
      return;
    const key = keyOf(member);
    if (key === "constructor") {
      typesIn(file, member["value"].params);
      return;
    }
    if (key !== null) names.add(key);
    if (member.type === "PropertyDefinition" || member.type === "AccessorProperty") {
      if (member["typeAnnotation"]) typesIn(file, member["typeAnnotation"]);
      else valueIn(file, member["value"]);
    } else if (member.type === "MethodDefinition" || member.type === "TSAbstractMethodDefinition") {
      if (member["kind"] !== "set" && !member["value"].returnType)
        throw new Error(`${file}: the type of what ${key} returns is not written`);
      typesIn(file, member["value"]);
    } else typesIn(file, member);
  }

  /** The type of a value that has none written. @param {string} file @param {Node | null} value */
  function valueIn(file, value) {
    if (value === null) return;
    switch (value.type) {
      case "Literal":
      case "TemplateLiteral":
      case "UnaryExpression":
      case "BinaryExpression":
        return;
      case "NewExpression":
        if (value["callee"].type === "Identifier") reach(file, value["callee"].name);
        return;
      case "Identifier":
        reach(file, value["name"]);
        return;
      case "TSAsExpression":
        if (isConst(value)) valueIn(file, value["expression"]);
        else typesIn(file, value["typeAnnotation"]);
        return;
      case "ArrayExpression":
        for (const one of value["elements"]) valueIn(file, one);
        return;
      case "ObjectExpression":
        for (const one of value["properties"]) {
          const key = keyOf(one);
          if (key !== null) names.add(key);
          valueIn(file, one.value);
        }
        return;
      case "ArrowFunctionExpression":
      case "FunctionExpression":
        typesIn(file, value["params"]);
        if (value["returnType"]) typesIn(file, value["returnType"]);
        else if (value["body"].type !== "BlockStatement" && value["body"].type !== "FunctionBody")
          valueIn(file, value["body"]);
        else throw new Error(`${file}: the type of what a function returns is not written`);
        return;
      default:
        throw new Error(`${file}: the type of a public value is not written (${value.type})`);
    }
  }

  reachAll(entry);
  for (const { file, name } of also) reach(file, name);
  return names;
}

/** @param {Node} node `x as const` */
function isConst(node) {
  const type = node["typeAnnotation"];
  return type.type === "TSTypeReference" && type.typeName.name === "const";
}

/** @param {Node | undefined} type a union of texts, or one @returns {Set<string>} */
function literalsOf(type) {
  /** @type {Set<string>} */
  const found = new Set();
  walk(type, (node) => {
    if (node.type === "Literal") found.add(String(node["value"]));
  });
  return found;
}

/** @param {string} file @returns {Module} */
function readModule(file) {
  const ast = parseAst(fs.readFileSync(file, "utf8"), { lang: "ts" });
  /** @type {Module} */
  const module = { declared: new Map(), brought: new Map(), stars: [], exported: new Map() };
  /** @param {string} source */
  const at = (source) => path.resolve(path.dirname(file), source.replace(/\.js$/, ".ts"));
  /** A type and a value may bear one name. @param {string} name @param {Node} node */
  const declare = (name, node) =>
    void module.declared.set(
      module.declared.has(name) ? `${name}#${module.declared.size}` : name,
      node,
    );
  /** @param {Node | null} node @returns {string[]} */
  const declaredBy = (node) => {
    if (node === null) return [];
    if (node.type !== "VariableDeclaration") {
      if (node["id"]?.type !== "Identifier") return [];
      declare(node["id"].name, node);
      return [node["id"].name];
    }
    const ids = node["declarations"].filter(
      (/** @type {Node} */ one) => one["id"].type === "Identifier",
    );
    for (const one of ids) declare(one.id.name, one);
    return ids.map((/** @type {Node} */ one) => one["id"].name);
  };
  for (const statement of /** @type {Node[]} */ (/** @type {unknown} */ (ast.body))) {
    if (statement.type === "ImportDeclaration") {
      const { value } = statement["source"];
      if (!value.startsWith(".")) continue;
      for (const { local, imported } of statement["specifiers"])
        module.brought.set(local.name, { file: at(value), name: imported?.name ?? "*" });
    } else if (statement.type === "ExportAllDeclaration")
      module.stars.push(at(statement["source"].value));
    else if (statement.type === "ExportNamedDeclaration") {
      for (const name of declaredBy(statement["declaration"])) module.exported.set(name, name);
      for (const { local, exported } of statement["specifiers"]) {
        if (statement["source"]) {
          module.brought.set(`export ${exported.name}`, {
            file: at(statement["source"].value),
            name: local.name,
          });
          module.exported.set(exported.name, `export ${exported.name}`);
        } else module.exported.set(exported.name, local.name);
      }
    } else declaredBy(statement);
  }
  return module;
}

/** The names of members in types that are asserted on the spot. @param {string} file @returns {string[]} */
function assertedNames(file) {
  /** @type {string[]} */
  const found = [];
  walk(parseAst(fs.readFileSync(file, "utf8"), { lang: "ts" }), (node) => {
    if (node.type !== "TSAsExpression") return;
    walk(node["typeAnnotation"], (at) => {
      const key =
        at.type === "TSPropertySignature" || at.type === "TSMethodSignature" ? keyOf(at) : null;
      if (key !== null) found.push(key);
    });
  });
  return found;
}

// -- What others name ------------------------------------------------------------------------------------------------

/** Every member and every global that the language and the browser declare. @returns {Set<string>} */
export function libraryNames() {
  const require = createRequire(import.meta.url);
  const typescript = path.dirname(require.resolve("typescript/package.json"));
  const native = createRequire(path.join(typescript, "package.json")).resolve(
    `@typescript/typescript-${process.platform}-${process.arch}/package.json`,
  );
  const folder = path.join(path.dirname(native), "lib");
  /** @type {Set<string>} */
  const names = new Set();
  for (const file of fs.readdirSync(folder)) {
    if (!/^lib\..*\.d\.ts$/.test(file)) continue;
    walk(parseAst(fs.readFileSync(path.join(folder, file), "utf8"), { lang: "dts" }), (node) => {
      for (const declared of [node["key"], node["id"]]) {
        if (declared?.type === "Identifier") names.add(declared.name);
        if (declared?.type === "Literal") names.add(String(declared.value));
      }
    });
  }
  return names;
}

/** Every property that code names, and every text in it. @param {string} code @returns {Set<string>} */
function namesIn(code) {
  const { properties, texts } = wordsOf(code);
  return new Set([...properties, ...texts]);
}

/** @param {string} code @returns {{ properties: Set<string>, texts: Set<string> }} */
function wordsOf(code) {
  /** @type {Set<string>} */
  const properties = new Set();
  /** @type {Set<string>} */
  const texts = new Set();
  walk(parseAst(code), (node) => {
    if (node.type === "MemberExpression" && !node["computed"])
      properties.add(node["property"].name);
    const key = keyOf(node);
    if (key !== null) properties.add(key);
    if (node.type === "Literal" && typeof node["value"] === "string") texts.add(node["value"]);
    if (node.type === "TemplateElement") texts.add(node["value"].cooked);
  });
  return { properties, texts };
}

// -- The bundle ------------------------------------------------------------------------------------------------------

/**
 * @param {string} code a module @param {Set<string>} kept names that mean something outside of it
 * @returns {Set<string>} the names of its properties that mean nothing outside of it
 */
export function ownNames(code, kept) {
  const { properties, texts } = wordsOf(code);
  const given = givenNames(code);
  for (const name of properties)
    if (kept.has(name) || texts.has(name) || given.has(name)) properties.delete(name);
  return properties;
}

/** Names in objects that are written where something is called that the module does not declare. @param {string} code */
function givenNames(code) {
  const ast = parseAst(code);
  /** @type {Set<string>} */
  const declared = new Set();
  walk(ast, (node) => {
    const { id, params } = node;
    for (const one of [id, ...(params ?? [])])
      walk(one, (at) => void (at.type === "Identifier" && declared.add(at["name"])));
  });
  /** @type {Set<string>} */
  const names = new Set();
  walk(ast, (node) => {
    if (node.type !== "CallExpression" && node.type !== "NewExpression") return;
    const callee = rootOf(node["callee"]);
    if (callee === undefined || declared.has(callee)) return;
    for (const argument of node["arguments"])
      walk(argument.type === "ObjectExpression" ? argument : [], (at) => {
        const key = at.type === "Property" ? keyOf(at) : null;
        if (key !== null) names.add(key);
        return !at.type.endsWith("FunctionExpression");
      });
  });
  return names;
}

/**
 * Writes the numbers of constant records in the place of their members: `Tag.call` becomes 2. A record is a `const` at the top
 * whose members are literals, and of which nothing is done but to read a member by name.
 * @param {string} code @returns {string}
 */
export function withNumbers(code) {
  const ast = parseAst(code);
  /** @type {Map<string, Map<string, string>>} */
  const records = new Map();
  for (const statement of /** @type {Node[]} */ (/** @type {unknown} */ (ast.body))) {
    if (statement.type !== "VariableDeclaration" || statement["kind"] !== "const") continue;
    for (const { id, init } of statement["declarations"]) {
      if (init?.type !== "ObjectExpression" || id.type !== "Identifier") continue;
      const members = init.properties.map((/** @type {Node} */ one) => [
        keyOf(one),
        literalOf(one["value"]),
      ]);
      if (members.every((/** @type {unknown[]} */ [key, value]) => key !== null && value !== null))
        records.set(id.name, new Map(members));
    }
  }
  /** How often each name is declared or otherwise used than to read a member. @type {Map<string, number>} */
  const others = new Map();
  /** @type {Node[]} */
  const reads = [];
  walk(ast, (node) => {
    if (
      node.type === "MemberExpression" &&
      !node["computed"] &&
      node["object"].type === "Identifier"
    ) {
      if (records.get(node["object"].name)?.has(node["property"].name)) reads.push(node);
      else others.set(node["object"].name, 2);
      return false;
    }
    if (node.type === "AssignmentExpression" && node["left"].type === "MemberExpression")
      walk(node["left"], (at) => void (at.type === "Identifier" && others.set(at["name"], 2)));
    if (node.type === "Identifier") others.set(node["name"], (others.get(node["name"]) ?? 0) + 1);
    return true;
  });
  let made = "";
  let at = 0;
  for (const read of reads.sort((a, b) => a.start - b.start)) {
    const name = read["object"].name;
    // Once, where it is declared.
    if (others.get(name) !== 1) continue;
    made += code.slice(at, read.start) + records.get(name)?.get(read["property"].name);
    at = read.end;
  }
  return made + code.slice(at);
}

/** @param {Node} node @returns {string | null} a number as it is written */
function literalOf(node) {
  if (node?.type === "UnaryExpression" && node["operator"] === "-") {
    const number = literalOf(node["argument"]);
    return number === null ? null : `(-${number})`;
  }
  return node?.type === "Literal" && typeof node["value"] === "number"
    ? String(node["value"])
    : null;
}

/**
 * Leaves out methods and accessors of classes that nothing in the module names.
 * @param {string} code @param {Set<string>} own names that mean nothing outside of it
 * @returns {string}
 */
export function withoutUnnamed(code, own) {
  /** @type {Set<string>} */
  const named = new Set();
  /** @type {Node[]} */
  const members = [];
  walk(parseAst(code), (node) => {
    if (
      node.type === "MemberExpression" &&
      !node["computed"] &&
      node["property"].type === "Identifier"
    )
      named.add(node["property"].name);
    if (node.type === "Property" && keyOf(node) !== null)
      named.add(/** @type {string} */ (keyOf(node)));
    if (node.type === "MethodDefinition") members.push(node);
  });
  let left = "";
  let at = 0;
  for (const member of members.sort((a, b) => a.start - b.start)) {
    const key = keyOf(member);
    if (key === null || !own.has(key) || named.has(key) || member.start < at) continue;
    left += code.slice(at, member.start);
    at = member.end;
  }
  return left + code.slice(at);
}

/**
 * @param {string} code one module, not minified
 * @param {object} about
 * @param {string} about.entry the file whose types say what is public
 * @param {readonly string[]} about.modules the project's files that went into it
 * @param {readonly string[]} about.foreign the code of others that went into it
 * @param {readonly { file: string, name: string }[]} about.also types whose objects leave by other ways
 * @param {readonly string[]} about.sealed as of {@link publicNames}
 * @param {readonly string[]} about.unneeded methods that may be left out, if nothing names them, though a library has such a name
 * @returns {{ code: string, shortened: string[] }} the code, minified
 */
export function shorten(code, { entry, modules, foreign, also, sealed, unneeded }) {
  const kept = new Set([...libraryNames(), ...publicNames(entry, also, sealed)]);
  for (const file of modules) for (const name of assertedNames(file)) kept.add(name);
  for (const text of foreign) for (const name of namesIn(text)) kept.add(name);
  code = withNumbers(code);
  const own = ownNames(code, kept);
  for (let before = ""; before !== code;) {
    before = code;
    code = minified(withoutUnnamed(code, new Set([...own, ...unneeded])), {
      compress: { target: "es2022" },
      mangle: false,
      codegen: { removeWhitespace: false },
    });
  }
  const shortened = [...own].sort();
  const include = new RegExp(`^(?:${shortened.join("|").replaceAll("$", "\\$")})$`);
  return {
    code: minified(code, {
      compress: { target: "es2022" },
      mangle: true,
      mangleProps: { include },
    }),
    shortened,
  };
}

/** @param {string} code @param {import("rolldown/utils").MinifyOptions} options */
function minified(code, options) {
  const made = minifySync("bundle.js", code, { module: true, ...options });
  if (made.errors.length > 0) throw new Error(made.errors[0]?.message);
  return made.code;
}
