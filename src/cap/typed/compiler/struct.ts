// Role: writes the class of a struct or group: accessors, the plain object it is set from, its pipeline.
// State: none. Must not know: interfaces, files.

import type { Field, Type, Value } from "./schema.capnp.js";
import type { Schema } from "./schema.js";
import { capitalize, hex, memberName, type Node } from "./schema.js";
import {
  annotations,
  annotationsFunction,
  encode,
  encodeData,
  has,
  mask,
  objects,
  quote,
} from "./values.js";
import {
  assign,
  block,
  braced,
  call,
  classHead,
  type Doc,
  group,
  indent,
  line,
  list,
  numbers,
  object,
  union,
} from "./doc.js";
import { docComment } from "./comment.js";
import type { Types, Place } from "./types.js";

/** Accessors of scalars and their sizes in bits. */
const SCALARS: Readonly<Record<string, readonly [name: string, bits: number]>> = {
  bool: ["Bool", 1],
  int8: ["Int8", 8],
  int16: ["Int16", 16],
  int32: ["Int32", 32],
  int64: ["Int64", 64],
  uint8: ["Uint8", 8],
  uint16: ["Uint16", 16],
  uint32: ["Uint32", 32],
  uint64: ["Uint64", 64],
  float32: ["Float32", 32],
  float64: ["Float64", 64],
  enum: ["Uint16", 16],
};

const NO_DISCRIMINANT = 0xffff;

/** One field, with the names its parts go by. */
interface Member {
  readonly field: Field;
  readonly name: string;
  readonly doc: string;
  /** Its tag, when it is a member of the union. */
  readonly tag: number | null;
}

/** All declarations for one struct node and the groups in it. */
export function structDeclarations(types: Types, node: Node): Doc[] {
  const writer = new StructWriter(types, node);
  const out = [...writer.constants(), writer.class(), writer.namespace()];
  if (types.schema.pipelines(node.id)) out.push(writer.pipeline());
  for (const field of byCodeOrder(node))
    if (field.which === "group")
      out.push(...structDeclarations(types, types.schema.node(field.group.typeId)));
  return out;
}

function byCodeOrder(node: Node): Field[] {
  return node.struct.fields.toArray().sort((a, b) => a.codeOrder - b.codeOrder);
}

/** Whether a struct has no field at all. */
export function isEmpty(schema: Schema, id: bigint): boolean {
  return schema.node(id).struct.fields.length === 0;
}

class StructWriter {
  private readonly types: Types;
  private readonly node: Node;
  private readonly name: string;
  private readonly own: string;
  private readonly place: Place;
  private readonly members: Member[];
  private readonly union: Member[];
  private readonly taken: Set<string>;

  constructor(types: Types, node: Node) {
    this.types = types;
    this.node = node;
    this.name = types.schema.nameOf(node.id);
    this.own = types.own(node.id);
    this.place = { scope: node.id, value: (index, name) => `$.boundType<${name}>(this, ${index})` };
    const docs = node.struct.fields.map((field, i) => ({
      field,
      doc: types.schema.memberDoc(node.id, i),
    }));
    this.members = docs
      .sort((a, b) => a.field.codeOrder - b.field.codeOrder)
      .map(({ field, doc }) => ({
        field,
        doc,
        name: memberName(field.name),
        tag: field.discriminantValue === NO_DISCRIMINANT ? null : field.discriminantValue,
      }));
    this.union = this.members.filter((member) => member.tag !== null);
    this.taken = new Set(this.members.map((member) => member.name));
  }

  private get tagAt(): number {
    return this.node.struct.discriminantOffset * 2;
  }

  /** A helper's name; an accessor of the same name comes first. */
  private helper(prefix: string, member: Member): string {
    let name = prefix + capitalize(member.field.name);
    while (this.taken.has(name)) name += "_";
    return name;
  }

  /** Constants: the names of the union's members, the defaults of pointer fields. */
  constants(): Doc[] {
    const out: Doc[] = [];
    if (this.union.length > 0) {
      const names = this.union.slice().sort((a, b) => a.tag! - b.tag!);
      const table = list(
        "[",
        names.map((member) => quote(member.name)),
        "]",
      );
      out.push([`const ${this.name}$which = `, table, " as const;"]);
    }
    for (const member of this.union)
      if (member.field.which === "group") out.push(this.slots(member));
    const own = annotations(this.types, this.node.annotations, this.place);
    if (own.length > 0) out.push(annotationsFunction(this.name, own));
    const fields = this.members
      .map((member) => ({
        member,
        docs: annotations(this.types, member.field.annotations, this.place),
      }))
      .filter(({ docs }) => docs.length > 0)
      .map(({ member, docs }): Doc => [`${member.name}: `, objects(docs)]);
    if (fields.length > 0)
      out.push(
        block(`function ${this.name}$fieldAnnotations(): Record<string, $.Annotation[]>`, [
          ["return ", object(fields), ";"],
        ]),
      );
    for (const member of this.members) {
      const bytes = literalOf(member.field);
      if (bytes === null) continue;
      out.push([
        "const ",
        this.literalName(member),
        " = ",
        "/* @__PURE__ */ ",
        call("$.literal", quote(bytes)),
        ";",
      ]);
    }
    return out;
  }

  /** Where the fields of a group are, that are zeroed when it becomes the active member. */
  private slots(member: Member): Doc {
    const { bytes, bits, pointers } = slotsOf(this.types.schema, member.field.group.typeId);
    const rows = Object.entries({ bytes, bits, pointers }).map(([name, values]): Doc => [
      `${name}: `,
      numbers(values, 2 + name.length + 2, 1),
      ",",
    ]);
    return [block(`const ${this.literalName(member)}$slots: $.Slots =`, rows), ";"];
  }

  private literalName(member: Member): string {
    return `${this.name}$${member.field.name}`;
  }

  class(): Doc {
    const { schema } = this.types;
    const { node, name } = this;
    const body: Doc[] = [this.info()];
    const parameters = schema.parametersOf(node.id);
    if (parameters.length > 0 && !node.struct.isGroup)
      body.push("", this.of(parameters.map((one) => one.name)));
    if (this.union.length > 0) body.push("", this.which());
    for (const member of this.members)
      for (const part of this.accessors(member)) body.push("", part);
    body.push("", this.set(), "", this.toObject());
    const head = classHead(name, this.types.declarations(node.id), "$.Struct", "");
    return [docComment(schema.docOf(node.id)), braced(head, body)];
  }

  private info(): Doc {
    const { node, name } = this;
    const info = this.own === "" ? "$.structInfo" : `$.structInfo<${name}>`;
    const args: Doc[] = [
      `() => ${name}`,
      quote(node.displayName),
      quote(hex(node.id)),
      String(node.struct.dataWordCount),
      String(node.struct.pointerCount),
    ];
    const fields = this.members.some((member) => has(this.types, member.field.annotations));
    const own = has(this.types, node.annotations);
    if (own || fields) args.push(own ? `${name}$annotations` : "undefined");
    if (fields) args.push(`${name}$fieldAnnotations`);
    const head = `static override readonly _capnp: $.StructInfo<${name}>`;
    return assign(head, true, call(info, ...args), `${info}(`);
  }

  private of(names: string[]): Doc {
    const { name } = this;
    const parameters = names.map((one) => `${one}: $.PointerType<${one}>`);
    const head = [
      `static of<${names.join(", ")}>`,
      list("(", parameters, ")"),
      `: $.StructType<${name}${this.own}>`,
    ];
    return block(head, [
      ["return ", call(`$.bindStruct<${name}${this.own}>`, name, ...names), ";"],
    ]);
  }

  private which(): Doc {
    const value = call("$.whichOf", "this._capnp", String(this.tagAt), `${this.name}$which`);
    const doc = docComment("The active member of the union.");
    return [
      doc,
      block(`get which(): $.Which<typeof ${this.name}$which>`, [["return ", value, ";"]]),
    ];
  }

  private accessors(member: Member): Doc[] {
    const doc = docComment(member.doc);
    if (member.field.which === "group") return this.groupAccessors(member, doc);
    if (member.field.which !== "slot") return [];
    const { type } = member.field.slot;
    const read = this.types.read(type, this.place);
    const init = this.types.init(type, this.place);
    const get: Doc[] = [...this.check(member), ["return ", this.getter(member, type), ";"]];
    const put: Doc[] = [...this.setTag(member), ...this.setter(member, type)];
    const value = type.which === "void" ? "_value" : "value";
    const out: Doc[] = [
      [doc, block(`get ${member.name}(): ${read}`, get)],
      block(list(`set ${member.name}(`, [`${value}: ${init}`], ")"), put),
    ];
    return [...out, ...this.helpers(member, type)];
  }

  /** Refuses to read a member of the union that is not the active one. */
  private check(member: Member): Doc[] {
    if (member.tag === null) return [];
    return [
      [
        call(
          "$.checkTag",
          "this._capnp",
          String(this.tagAt),
          String(member.tag),
          quote(member.name),
        ),
        ";",
      ],
    ];
  }

  private setTag(member: Member): Doc[] {
    if (member.tag === null) return [];
    return [[call("$.setTag", "this._capnp", String(this.tagAt), String(member.tag)), ";"]];
  }

  private getter(member: Member, type: Type): Doc {
    const { slot } = member.field;
    const scalar = SCALARS[type.which];
    if (type.which === "void") return "null";
    if (scalar !== undefined) {
      const at = String(position(slot.offset, scalar[1]));
      return call(`$.get${scalar[0]}`, "this._capnp", at, ...mask(slot.defaultValue));
    }
    const index = String(slot.offset);
    const literal = literalOf(member.field) === null ? [] : [this.literalName(member)];
    if (type.which === "text") return call("$.getText", "this._capnp", index, ...textDefault(slot));
    if (type.which === "data") return call("$.getData", "this._capnp", index, ...literal);
    return call(
      "$.getPointer",
      "this._capnp",
      index,
      this.types.value(type, this.place),
      ...literal,
    );
  }

  private setter(member: Member, type: Type): Doc[] {
    const { slot } = member.field;
    const scalar = SCALARS[type.which];
    if (type.which === "void") return [];
    if (scalar !== undefined) {
      const at = String(position(slot.offset, scalar[1]));
      return [
        [call(`$.set${scalar[0]}`, "this._capnp", at, "value", ...mask(slot.defaultValue)), ";"],
      ];
    }
    const index = String(slot.offset);
    if (type.which === "text") return [[call("$.setText", "this._capnp", index, "value"), ";"]];
    if (type.which === "data") return [[call("$.setData", "this._capnp", index, "value"), ";"]];
    return [
      [
        call("$.setPointer", "this._capnp", index, this.types.value(type, this.place), "value"),
        ";",
      ],
    ];
  }

  /** `hasFoo` and `initFoo` of a pointer field. */
  private helpers(member: Member, type: Type): Doc[] {
    if (type.which === "void" || SCALARS[type.which] !== undefined) return [];
    const index = String(member.field.slot.offset);
    const has: Doc = call("$.has", "this._capnp", index);
    const active = member.tag === null ? has : [`this.which === ${quote(member.name)} && `, has];
    const out: Doc[] = [
      block(`${this.helper("has", member)}(): boolean`, [["return ", active, ";"]]),
    ];
    const init = this.helper("init", member);
    const tag = this.setTag(member);
    const read = this.types.read(type, this.place);
    if (type.which === "struct") {
      const value = call(
        `$.initStruct<${read}>`,
        "this._capnp",
        index,
        this.types.value(type, this.place),
      );
      out.push(block(`${init}(): ${read}`, [...tag, ["return ", value, ";"]]));
    } else if (type.which === "list") {
      const value = call(
        "$.initList",
        "this._capnp",
        index,
        this.types.value(type, this.place),
        "length",
      );
      out.push(block(`${init}(length: number): ${read}`, [...tag, ["return ", value, ";"]]));
    } else if (type.which === "data") {
      const value = call("$.initData", "this._capnp", index, "length");
      out.push(block(`${init}(length: number): ${read}`, [...tag, ["return ", value, ";"]]));
    }
    return out;
  }

  private groupAccessors(member: Member, doc: Doc): Doc[] {
    const id = member.field.group.typeId;
    const name = this.types.ref(id, true);
    const type = `${name}${this.own}`;
    const value: Doc = call(`$.getGroup<${type}>`, "this", name);
    const out: Doc[] = [
      [
        doc,
        block(`get ${member.name}(): ${type}`, [...this.check(member), ["return ", value, ";"]]),
      ],
    ];
    if (member.tag !== null) {
      const clear = call("$.clearGroup", "this._capnp", `${this.literalName(member)}$slots`);
      out.push(
        block(`${this.helper("init", member)}(): ${type}`, [
          ...this.setTag(member),
          [clear, ";"],
          ["return ", value, ";"],
        ]),
      );
    }
    return out;
  }

  private set(): Doc {
    if (this.members.length === 0)
      return block(`override set(_value: ${this.name}.Init${this.own}): void`, []);
    const body: Doc[] = [];
    if (this.union.length > 1) body.push([call("$.oneMember", "value", `${this.name}$which`), ";"]);
    for (const member of this.members) {
      const { name } = member;
      const given = `if (value.${name} !== undefined)`;
      if (member.field.which === "group") {
        const target =
          member.tag === null ? `this.${name}` : `this.${this.helper("init", member)}()`;
        body.push(group(given, indent(line, `${target}.set(value.${name});`)));
      } else body.push(group(given, indent(line, `this.${name} = value.${name};`)));
    }
    return block(`override set(value: ${this.name}.Init${this.own}): void`, body);
  }

  private toObject(): Doc {
    const type = `${this.name}.Init${this.own}`;
    const body: Doc[] = [`const out: ${type} = {};`];
    for (const member of this.members) {
      const { name } = member;
      const { which } = member.field;
      const slot = which === "slot" ? member.field.slot.type.which : "group";
      const pointer = slot !== "group" && slot !== "void" && SCALARS[slot] === undefined;
      const value =
        slot === "group"
          ? `this.${name}.toObject()`
          : pointer && slot !== "text"
            ? `$.plain(this.${name})`
            : `this.${name}`;
      const when = pointer
        ? `this.${this.helper("has", member)}()`
        : member.tag === null
          ? ""
          : `this.which === ${quote(name)}`;
      const put = `out.${name} = ${value};`;
      body.push(when === "" ? put : group(`if (${when})`, indent(line, put)));
    }
    body.push("return out;");
    return block(`override toObject(): ${type}`, this.members.length === 0 ? ["return {};"] : body);
  }

  /** The plain object that the struct is set from. */
  namespace(): Doc {
    const fields = this.members.map((member): Doc => {
      const type =
        member.field.which === "group"
          ? `${this.types.ref(member.field.group.typeId, false)}.Init${this.own}`
          : this.types.init(member.field.slot.type, this.place);
      return [docComment(member.doc), union(`${member.name}?:`, `${type} | undefined`, ";")];
    });
    const declared = this.types.declare(this.node.id);
    const init =
      fields.length === 0
        ? `type Init${declared.replace(/<|, /g, "$&_")} = object;`
        : block(`interface Init${declared}`, fields);
    const doc = docComment(
      "What a field of this type is set from: a struct to copy, or its fields.",
    );
    const from = union(
      `type From${declared} =`,
      `${this.name}${this.own} | Init${this.own} | null`,
      ";",
    );
    const types = this.node.struct.isGroup ? [init] : [init, [doc, from]];
    return block(`export declare namespace ${this.name}`, types);
  }

  /** The class of the promised struct: what a call can be pipelined on. */
  pipeline(): Doc {
    const { schema } = this.types;
    const place: Place = {
      scope: this.node.id,
      value: (index, name) => `$.boundInPipeline<${name}>(this, ${index})`,
    };
    const body: Doc[] = [];
    for (const member of this.members) {
      const part = this.pipelineOf(member, place, schema);
      if (part !== null) body.push(...(body.length > 0 ? [""] : []), part);
    }
    const name = `${this.name}$Pipeline`;
    const declared = this.types.declarations(this.node.id);
    return braced(classHead(name, declared, "$.Pipeline", `${this.name}${this.own}`), body);
  }

  private pipelineOf(member: Member, place: Place, schema: Schema): Doc | null {
    if (member.field.which === "group") {
      const id = member.field.group.typeId;
      if (!schema.pipelines(id)) return null;
      const inner = `${this.types.ref(id, true)}$Pipeline`;
      const value = call(
        `$.pipelineGroup<${inner}${this.own}>`,
        "this",
        inner,
        this.types.ref(id, true),
      );
      return block(`get ${member.name}(): ${inner}${this.own}`, [["return ", value, ";"]]);
    }
    const { type, offset } = member.field.slot;
    const read = this.types.read(type, place);
    const at = String(offset);
    if (type.which === "interface") {
      const value = call("$.pipelineClient", "this", at, this.types.value(type, place));
      return block(`get ${member.name}(): ${read}`, [["return ", value, ";"]]);
    }
    if (type.which === "anyPointer") {
      const pointer = this.types.value(type, place);
      const pipelined = read === "$.AnyPointer" ? "$.AnyPipeline" : `$.PipelineOf<${read}>`;
      const value = call("$.pipelineBound", "this", at, pointer);
      return block(`get ${member.name}(): ${pipelined}`, [["return ", value, ";"]]);
    }
    if (type.which !== "struct" || !schema.pipelines(type.struct.typeId)) return null;
    const inner = `${this.types.ref(type.struct.typeId, true)}$Pipeline`;
    const bound = `${inner}${this.types.args(type.struct.typeId, type.struct.brand, place)}`;
    const value = call(
      `$.pipelineStruct<${bound}>`,
      "this",
      at,
      inner,
      this.types.value(type, place),
    );
    return block(`get ${member.name}(): ${bound}`, [["return ", value, ";"]]);
  }
}

/** Byte offset of a scalar; of a Bool the bit. */
function position(offset: number, bits: number): number {
  return bits === 1 ? offset : (offset * bits) / 8;
}

function textDefault(slot: { hadExplicitDefault: boolean; defaultValue: Value }): string[] {
  if (
    !slot.hadExplicitDefault ||
    slot.defaultValue.which !== "text" ||
    slot.defaultValue.text === ""
  )
    return [];
  return [quote(slot.defaultValue.text)];
}

/** The bytes of a pointer field's default, or null when there is none. */
function literalOf(field: Field): string | null {
  if (field.which !== "slot" || !field.slot.hadExplicitDefault) return null;
  const value = field.slot.defaultValue;
  if (value.which === "data") return value.data.length === 0 ? null : encodeData(value.data);
  const pointer =
    value.which === "list" ? value.list : value.which === "struct" ? value.struct : null;
  return pointer === null || pointer.isNull ? null : encode(pointer);
}

/** Where the fields of a group are: what to zero when it becomes the active member. */
function slotsOf(
  schema: Schema,
  id: bigint,
): { bytes: number[]; bits: number[]; pointers: number[] } {
  const bytes: number[] = [];
  const bits: number[] = [];
  const pointers: number[] = [];
  const node = schema.node(id);
  if (node.struct.discriminantCount > 0) bytes.push(node.struct.discriminantOffset * 2, 2);
  for (const field of node.struct.fields) {
    if (field.which === "group") {
      const inner = slotsOf(schema, field.group.typeId);
      bytes.push(...inner.bytes);
      bits.push(...inner.bits);
      pointers.push(...inner.pointers);
      continue;
    }
    const { type, offset } = field.slot;
    const scalar = SCALARS[type.which];
    if (type.which === "void") continue;
    if (scalar === undefined) pointers.push(offset);
    else if (scalar[1] === 1) bits.push(offset);
    else bytes.push(position(offset, scalar[1]), scalar[1] / 8);
  }
  return { bytes, bits, pointers: [...new Set(pointers)] };
}
