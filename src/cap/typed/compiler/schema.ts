// Role: a CodeGeneratorRequest as the compiler sees it: nodes by id, their scopes, their names in the output.
// State: tables built once. Must not know: the text that is generated.

import type { Brand, CodeGeneratorRequest, Field, Method, Node } from "./schema.capnp.js";
import { RpcError } from "../../../base/errors.js";

/** A type parameter, by the scope that declares it. */
export interface Parameter {
  readonly scopeId: bigint;
  readonly index: number;
  readonly name: string;
}

/** Words that cannot name a constant. */
const RESERVED = new Set(
  (
    "await break case catch class const continue debugger default delete do else enum export extends false finally for " +
    "function if implements import in instanceof interface let new null package private protected public return static " +
    "super switch this throw true try typeof var void while with yield undefined arguments eval async of"
  ).split(" "),
);

/**
 * Members of the base classes and of every object; a field or method of that name gets an underscore behind it. A plain
 * object that does not set a field must not seem to have it.
 */
const MEMBERS = new Set(
  (
    "segment byteOffset set toObject which then catch finally dup castAs constructor toString toLocaleString valueOf " +
    "hasOwnProperty isPrototypeOf propertyIsEnumerable"
  ).split(" "),
);

/** The name of a field's or method's property. */
export function memberName(name: string): string {
  return MEMBERS.has(name) || name.startsWith("__") ? `${name}_` : name;
}

export function capitalize(name: string): string {
  return name.charAt(0).toUpperCase() + name.slice(1);
}

export function hex(id: bigint): string {
  return id.toString(16).padStart(16, "0");
}

/** What is wrong with a request, in the words of a person who runs the compiler. */
export function schemaError(message: string): RpcError {
  return new RpcError("failed", "schema-error", message);
}

/** All that one run of the compiler knows. */
export class Schema {
  readonly request: CodeGeneratorRequest;
  private readonly nodes = new Map<bigint, Node>();
  private readonly parents = new Map<bigint, bigint>();
  private readonly names = new Map<bigint, string>();
  private readonly docs = new Map<bigint, { doc: string; members: string[] }>();
  private readonly parameters = new Map<bigint, readonly Parameter[]>();
  private readonly capable = new Map<bigint, boolean>();

  constructor(request: CodeGeneratorRequest) {
    this.request = request;
    for (const node of request.nodes) this.nodes.set(node.id, node);
    for (const info of request.sourceInfo)
      this.docs.set(info.id, {
        doc: info.docComment,
        members: info.members.map((member) => member.docComment),
      });
    for (const node of this.nodes.values()) if (node.which === "file") this.name(node, "");
  }

  node(id: bigint): Node {
    const node = this.nodes.get(id);
    if (node === undefined)
      throw schemaError(`the request names type 0x${hex(id)}, but does not hold it`);
    return node;
  }

  has(id: bigint): boolean {
    return this.nodes.has(id);
  }

  /** Names what a scope holds; an inner type of `Outer` is `Outer_Inner`. */
  private name(node: Node, prefix: string): void {
    for (const nested of node.nestedNodes) this.enter(nested.id, node.id, prefix + nested.name);
    if (node.which === "struct") this.nameGroups(node, prefix);
    if (node.which !== "interface") return;
    for (const method of node.interface.methods) {
      this.nameImplicit(method.paramStructType, node.id, `${prefix}${method.name}$Params`);
      this.nameImplicit(method.resultStructType, node.id, `${prefix}${method.name}$Results`);
    }
  }

  private enter(id: bigint, parent: bigint, name: string): void {
    const node = this.nodes.get(id);
    if (node === undefined) return; // of an imported file, and not needed
    this.parents.set(id, parent);
    this.names.set(
      id,
      node.which === "const" || node.which === "annotation" ? constantName(name) : name,
    );
    this.name(node, `${name}_`);
  }

  private nameGroups(node: Node, prefix: string): void {
    for (const field of node.struct.fields)
      if (field.which === "group") this.enter(field.group.typeId, node.id, prefix + field.name);
  }

  /** The params or results that a method declares in place have no scope of their own. */
  private nameImplicit(id: bigint, parent: bigint, name: string): void {
    const node = this.nodes.get(id);
    if (node !== undefined && node.scopeId === 0n && !this.names.has(id))
      this.enter(id, parent, name);
  }

  nameOf(id: bigint): string {
    const name = this.names.get(id);
    if (name === undefined)
      throw schemaError(`type 0x${hex(id)} (${this.node(id).displayName}) has no name`);
    return name;
  }

  /** The scope that holds a node. */
  parentOf(id: bigint): bigint | undefined {
    return this.parents.get(id);
  }

  /** The file that a node belongs to. */
  fileOf(id: bigint): bigint {
    let at = id;
    for (let up = this.parents.get(at); up !== undefined; up = this.parents.get(at)) at = up;
    return at;
  }

  docOf(id: bigint): string {
    return this.docs.get(id)?.doc ?? "";
  }

  /** The comment of the member at `index` of a node's list of fields, enumerants or methods. */
  memberDoc(id: bigint, index: number): string {
    return this.docs.get(id)?.members[index] ?? "";
  }

  /** The type parameters in force inside a node, outermost scope first, each with a name of its own. */
  parametersOf(id: bigint): readonly Parameter[] {
    const known = this.parameters.get(id);
    if (known !== undefined) return known;
    const parent = this.parents.get(id);
    const all: Parameter[] = parent === undefined ? [] : [...this.parametersOf(parent)];
    const node = this.node(id);
    let index = 0;
    for (const { name } of node.parameters) {
      let unique = name;
      while (all.some((one) => one.name === unique) || this.taken(unique)) unique += "_";
      all.push({ scopeId: id, index: index++, name: unique });
    }
    this.parameters.set(id, all);
    return all;
  }

  private taken(name: string): boolean {
    for (const used of this.names.values()) if (used === name) return true;
    return false;
  }

  /** Whether results of this type can hold a capability in a place that a call can be pipelined on. */
  pipelines(id: bigint): boolean {
    const known = this.capable.get(id);
    if (known !== undefined) return known;
    this.capable.set(id, false); // a recursive type adds nothing by its own recursion
    let answer = this.holds(id);
    if (!answer && this.viaStruct(id, new Set())) answer = true;
    this.capable.set(id, answer);
    return answer;
  }

  private holds(id: bigint): boolean {
    const node = this.node(id);
    return node.which === "struct" && node.struct.fields.map((field) => field).some(isOpen);
  }

  private viaStruct(id: bigint, seen: Set<bigint>): boolean {
    if (seen.has(id)) return false;
    seen.add(id);
    if (this.holds(id)) return true;
    const node = this.node(id);
    if (node.which !== "struct") return false;
    return node.struct.fields
      .map(structIn)
      .some((inner) => inner !== null && this.viaStruct(inner, seen));
  }
}

/** Whether a field is a capability, or a pointer that could be one. */
function isOpen(field: Field): boolean {
  if (field.which !== "slot") return false;
  const { which } = field.slot.type;
  return which === "interface" || which === "anyPointer";
}

/** The struct that a field holds. */
export function structIn(field: Field): bigint | null {
  if (field.which === "group") return field.group.typeId;
  if (field.which !== "slot" || field.slot.type.which !== "struct") return null;
  return field.slot.type.struct.typeId;
}

function constantName(name: string): string {
  return RESERVED.has(name) ? `${name}_` : name;
}

export type { Brand, Field, Method, Node };
