// Role: writes the class of an interface's clients, its table of methods, and the type of its servers.
// State: none. Must not know: structs' fields, files.

import { docComment } from "./comment.js";
import {
  assign,
  block,
  braced,
  call,
  classHead,
  type Doc,
  group,
  indent,
  join,
  line,
  list,
  object,
  signature,
  typeArgs,
  union,
} from "./doc.js";
import type { Annotation, Brand, Method, Superclass } from "./schema.capnp.js";
import type { Schema } from "./schema.js";
import { hex, memberName, type Node } from "./schema.js";
import { isEmpty } from "./struct.js";
import type { Types, Place } from "./types.js";
import { annotations, annotationsFunction, has, quote } from "./values.js";

/** capnp's StreamResult: a method with these results is a stream method. */
const STREAM_RESULT = 0x995f9a3377c0b16en;

/** A method and the interface that declares it, as a client of another interface sees it. */
interface Callable {
  readonly method: Method;
  readonly id: number;
  readonly name: string;
  /** Whether `name` is another than the schema's: one that comes before has that. */
  readonly renamed: boolean;
  readonly doc: string;
  readonly ownerId: bigint;
  /** The interface that declares the method, as a value at the place. */
  readonly owner: string;
  readonly place: Place;
}

export function interfaceDeclarations(types: Types, node: Node): Doc[] {
  const writer = new InterfaceWriter(types, node);
  return [...writer.annotations(), writer.members(), writer.class(), writer.namespace()];
}

class InterfaceWriter {
  private readonly types: Types;
  private readonly schema: Schema;
  private readonly node: Node;
  private readonly name: string;
  private readonly own: string;
  private readonly callables: readonly Callable[];

  constructor(types: Types, node: Node) {
    this.types = types;
    this.schema = types.schema;
    this.node = node;
    this.name = types.schema.nameOf(node.id);
    this.own = types.own(node.id);
    this.callables = this.allCallables();
  }

  /** Where the types of a method of `node` stand; `value` names its type parameters there. */
  private place(value: Place["value"], method?: Method): Place {
    const implicit = method === undefined ? [] : this.implicit(method);
    return { scope: this.node.id, value, implicit };
  }

  /** Names of a generic method's type parameters. */
  private implicit(method: Method): string[] {
    const outer = this.schema.parametersOf(this.node.id).map((one) => one.name);
    return method.implicitParameters.map(({ name }) => {
      let unique = name;
      while (outer.includes(unique)) unique += "_";
      return unique;
    });
  }

  private notesOf(method: Method): string {
    return `${this.name}_${method.name}$annotations`;
  }

  /** The annotations of the interface and of its methods. */
  annotations(): Doc[] {
    const place = this.place((_, name) => name);
    const all: [string, Iterable<Annotation>][] = [
      [`${this.name}$annotations`, this.node.annotations],
    ];
    for (const method of this.node.interface.methods)
      all.push([this.notesOf(method), method.annotations]);
    return all
      .map(([name, applied]) => ({ name, notes: annotations(this.types, applied, place) }))
      .filter(({ notes }) => notes.length > 0)
      .map(({ name, notes }) => annotationsFunction(name.replace(/\$annotations$/, ""), notes));
  }

  /** The function that makes the table of methods. It runs at first use, when every class of the module is defined. */
  members(): Doc {
    const parameters = this.schema.parametersOf(this.node.id).map((one) => one.name);
    const place = this.place((_index, name) => name);
    const methods = this.node.interface.methods.map((method) => this.method(method, place));
    const supers = this.node.interface.superclasses.map((one) =>
      this.types.classOf(one.id, one.brand, place),
    );
    const typed = parameters.map((one) => `${one}: $.PointerType<$.AnyPointer>`);
    const renamed = this.callables
      .filter((one) => one.renamed)
      .map((one) => list("[", [quote(one.name), quote(hex(one.ownerId)), String(one.id)], "]"));
    const tables = object([
      ["methods: ", list("[", methods, "]")],
      ["supers: ", list("[", supers, "]")],
      ...(renamed.length === 0 ? [] : [["renamed: ", list("[", renamed, "]")] as Doc]),
    ]);
    return block(
      [list(`function ${this.name}$members(`, typed, ")"), ": $.Members"],
      [["return ", tables, ";"]],
    );
  }

  private method(method: Method, place: Place): Doc {
    const params = this.structOf(method.paramStructType, method.paramBrand, {
      ...place,
      implicit: [],
    });
    const streaming = method.resultStructType === STREAM_RESULT;
    const results = streaming
      ? "$.StreamResult"
      : this.structOf(method.resultStructType, method.resultBrand, { ...place, implicit: [] });
    const capable = !streaming && this.schema.pipelines(method.resultStructType);
    const kind = (streaming ? "s" : "") + (capable ? "" : "n");
    const args: Doc[] = [quote(memberName(method.name)), params, results];
    const data = streaming ? this.onlyData(method.paramStructType) : "";
    const notes = has(this.types, method.annotations) ? [this.notesOf(method)] : [];
    if (kind !== "" || data !== "" || notes.length > 0) args.push(quote(kind));
    if (data !== "" || notes.length > 0) args.push(quote(data));
    args.push(...notes);
    return call("$.method", ...args);
  }

  private structOf(id: bigint, brand: Brand, place: Place): string {
    return this.types.classOf(id, brand, place);
  }

  /** The one field of params that are one Data and nothing else. */
  private onlyData(id: bigint): string {
    const { struct } = this.schema.node(id);
    const field = struct.fields.length === 1 ? struct.fields.get(0) : undefined;
    if (struct.dataWordCount !== 0 || struct.pointerCount !== 1 || field?.which !== "slot")
      return "";
    const plain = field.slot.type.which === "data" && !field.slot.hadExplicitDefault;
    return plain ? memberName(field.name) : "";
  }

  class(): Doc {
    const { name, own, node } = this;
    const info = own === "" ? "$.interfaceInfo" : `$.interfaceInfo<${name}>`;
    const args: Doc[] = [
      `() => ${name}`,
      quote(node.displayName),
      quote(hex(node.id)),
      `${name}$members`,
    ];
    if (has(this.types, node.annotations)) args.push(`${name}$annotations`);
    const head0 = `static readonly _capnp: $.InterfaceInfo<${name}>`;
    const body: Doc[] = [assign(head0, true, call(info, ...args), `${info}(`)];
    const parameters = this.schema.parametersOf(node.id).map((one) => one.name);
    if (parameters.length > 0) body.push("", this.of(parameters));
    for (const one of this.callables) body.push("", this.clientMethod(one));
    const head = classHead(
      name,
      this.types.declarations(node.id),
      "$.Client",
      `${name}.Server${own}`,
    );
    return [docComment(this.schema.docOf(node.id)), braced(head, body)];
  }

  private of(names: string[]): Doc {
    const type = `${this.name}${this.own}`;
    const parameters = names.map((one) => `${one}: $.PointerType<${one}>`);
    const head = [
      `static of<${names.join(", ")}>`,
      list("(", parameters, ")"),
      `: $.InterfaceType<${type}>`,
    ];
    return block(head, [["return ", call(`$.bindInterface<${type}>`, this.name, ...names), ";"]]);
  }

  /**
   * The methods of this interface and of all it inherits, each by its own interface. The first of a name has it; another one's
   * is followed by the name of its interface, which no name of the schema can be, since they have no underscore.
   */
  private allCallables(): Callable[] {
    const seen = new Set<bigint>();
    const names = new Set<string>();
    const out: Callable[] = [];
    const bound = (index: number, name: string): string => `$.boundIn<${name}>(this, ${index})`;
    const visit = (types: Types, node: Node, owner: string, place: Place): void => {
      if (seen.has(node.id)) return;
      seen.add(node.id);
      node.interface.methods.map((method, id) => {
        const plain = memberName(method.name);
        const other = `${method.name}_${this.schema.nameOf(node.id)}`;
        let name = plain;
        for (let n = 1; names.has(name); n++) name = n === 1 ? other : `${other}_${n}`;
        names.add(name);
        const doc = this.schema.memberDoc(node.id, id);
        const renamed = name !== plain;
        out.push({ method, id, name, renamed, doc, owner, ownerId: node.id, place });
      });
      for (const parent of node.interface.superclasses) this.inherit(types, parent, place, visit);
    };
    visit(this.types, this.node, this.own === "" ? this.name : "$.typeOf(this)", this.place(bound));
    return out;
  }

  private inherit(
    types: Types,
    parent: Superclass,
    place: Place,
    visit: (types: Types, node: Node, owner: string, place: Place) => void,
  ): void {
    const node = this.schema.node(parent.id);
    visit(
      types,
      node,
      types.classOf(parent.id, parent.brand, place),
      types.within(parent.id, parent.brand, place),
    );
  }

  private clientMethod(one: Callable): Doc {
    const { method, place } = one;
    const names = this.implicit(method);
    const inner: Place = { ...place, implicit: names };
    const given: Place = { ...place, implicit: names.map((name) => `$.Given<${name}>`) };
    const params = this.structType(method.paramStructType, method.paramBrand, given);
    const init = this.structType(method.paramStructType, method.paramBrand, given, ".Init");
    const options =
      names.length === 0
        ? "$.CallOptions"
        : `$.GenericOptions<[${names.map((n) => `$.PointerType<${n}>`).join(", ")}]>`;
    const generics =
      names.length === 0 ? "" : `<${names.map((n) => `${n} = $.AnyPointer`).join(", ")}>`;
    const empty = isEmpty(this.schema, method.paramStructType);
    const first: Doc = empty
      ? `params?: ${init}`
      : ["params?: ", typeArgs("$.Fill", [params, init])];
    const streaming = method.resultStructType === STREAM_RESULT;
    const result = streaming ? "$.Streamed" : this.promise(method, inner);
    const head: Doc = [
      list(`${one.name}${generics}(`, [first, `options?: ${options}`], ")"),
      `: ${result}`,
    ];
    const body: Doc[] = [];
    if (names.length > 0)
      body.push(`const [${names.join(", ")}] = $.typesOf(options, ${names.length});`);
    const value = streaming
      ? call("$.callStream", "this", one.owner, String(one.id), "params", "options")
      : call(
          `$.callMethod<${result}>`,
          "this",
          one.owner,
          String(one.id),
          this.pipelineClass(method),
          "params",
          "options",
          ...this.genericStructs(method, inner, names),
        );
    return [docComment(one.doc), block(head, [...body, ["return ", value, ";"]])];
  }

  /** A generic method's params and results depend on the types given with the call. */
  private genericStructs(method: Method, place: Place, names: string[]): Doc[] {
    if (names.length === 0) return [];
    return [
      this.structOf(method.paramStructType, method.paramBrand, place),
      this.structOf(method.resultStructType, method.resultBrand, place),
    ];
  }

  private structType(id: bigint, brand: Brand, place: Place, part = ""): string {
    return `${this.types.ref(id, false)}${part}${this.types.args(id, brand, place)}`;
  }

  private promise(method: Method, place: Place): string {
    const results = this.structType(method.resultStructType, method.resultBrand, place);
    if (!this.schema.pipelines(method.resultStructType)) return `$.Pipeline<${results}>`;
    return this.structType(method.resultStructType, method.resultBrand, place, "$Pipeline");
  }

  private pipelineClass(method: Method): string {
    if (!this.schema.pipelines(method.resultStructType)) return "$.Pipeline";
    return `${this.types.ref(method.resultStructType, true)}$Pipeline`;
  }

  /** The type that a server class implements. */
  namespace(): Doc {
    const place = this.place((_, name) => name);
    // With other names than its superclasses' servers have, it is none of them.
    const apart = this.callables.some((one) => one.renamed);
    const superclasses = apart ? [] : this.node.interface.superclasses.toArray();
    const supers = superclasses.map((one) => {
      const args = this.types.args(one.id, one.brand, place);
      return `${this.types.ref(one.id, false)}.Server${args}`;
    });
    const body: Doc[] = this.callables
      .filter((one) => apart || one.ownerId === this.node.id)
      .map((one) => [docComment(one.doc), this.serverMethod(one)]);
    const head: Doc = group(
      `interface Server${this.types.declare(this.node.id)}`,
      supers.length === 0 ? "" : indent(line, "extends ", join(", ", supers)),
    );
    const doc = docComment(
      "What a field of this type is set from: a client, or an object to serve.",
    );
    const declared = this.types.declare(this.node.id);
    const from = union(
      `type From${declared} =`,
      `${this.name}${this.own} | Server${this.own} | null`,
      ";",
    );
    return block(`export declare namespace ${this.name}`, [block(head, body), [doc, from]]);
  }

  private serverMethod({ method, name, place: of }: Callable): Doc {
    const place: Place = { ...of, implicit: [] };
    const { resultStructType: id, resultBrand: brand } = method;
    const params = this.structType(method.paramStructType, method.paramBrand, place);
    const streaming = id === STREAM_RESULT;
    const results = streaming ? "" : this.structType(id, brand, place);
    const init = streaming ? "" : this.structType(id, brand, place, ".Init");
    const context = streaming ? "$.StreamContext" : typeArgs("$.CallContext", [results, init]);
    const answer = streaming ? "$.Later<void>" : typeArgs("$.Answer", [results, init]);
    const items: Doc[] = [`params: ${params}`, ["context: ", context]];
    return signature(name, items, answer);
  }
}
