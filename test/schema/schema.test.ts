// Role: our .capnp files say what the protocol says, as the capnp tool understands them.

import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { type FieldFact, WIRE_FACTS } from "../spec/wire-facts.js";
import { capnp, schemaPath } from "./capnp-tool.js";
import { missingTool } from "../support/tools.js";

interface Found {
  id: string;
  kind: string;
  size: string;
  fields: Map<string, string>;
  tags: Map<string, string>;
  ordinals: Map<string, number>;
}

/** Reads the tool's own rendering of a schema, in which every field is annotated with its place. */
function parse(text: string): { id: string; found: Map<string, Found> } {
  const found = new Map<string, Found>();
  let id = "";
  // One entry per open brace: a declaration, or a group or union inside one.
  const open: { decl: string; group: string }[] = [];
  for (const raw of text.split("\n")) {
    const line = raw.trim();
    const at = open.at(-1) ?? { decl: "", group: "" };
    const decl = /^(struct|enum|interface|annotation) (\w+) @(0x[0-9a-f]+)[^#]*(?:#\s*(.*))?$/.exec(
      line,
    );
    const group = /^(\w+) :group \{/.exec(line);
    const union = /^(?:(\w+) :)?union \{\s*# tag bits \[(\d+), (\d+)\)/.exec(line);
    const field = /^(\w+) @(\d+)(?: :([^=;]+?))?(?: = ([^;]+))?;(?:\s*#\s*(.*))?$/.exec(line);
    const method = /^(\w+) @(\d+) (?:\w+|\(.*?\)) -> /.exec(line);
    if (line.startsWith("@0x")) id = line.slice(1, -1);
    else if (decl) {
      const name = at.decl === "" ? decl[2]! : `${at.decl}.${decl[2]}`;
      found.set(name, {
        id: decl[3]!,
        kind: decl[1]!,
        size: decl[4] ?? "",
        fields: new Map(),
        tags: new Map(),
        ordinals: new Map(),
      });
      if (line.includes("{") && !line.includes("{}")) open.push({ decl: name, group: "" });
    } else if (union) {
      const name = union[1] ?? at.group;
      found.get(at.decl)!.tags.set(name, `${union[2]}-${Number(union[3]) - 1}`);
      open.push({ decl: at.decl, group: name });
    } else if (group) open.push({ decl: at.decl, group: group[1]! });
    else if (line.startsWith("}")) open.pop();
    else if (method) found.get(at.decl)!.ordinals.set(method[1]!, Number(method[2]));
    else if (field) {
      const name = at.group === "" ? field[1]! : `${at.group}.${field[1]}`;
      const place = field[5] ?? "";
      found
        .get(at.decl)!
        .fields.set(name, `@${field[2]} ${where(place)}${tag(place)} = ${field[4] ?? ""}`);
      found.get(at.decl)!.ordinals.set(name, Number(field[2]));
    }
  }
  return { id, found };
}

function where(place: string): string {
  const bits = /bits\[(\d+), (\d+)\)/.exec(place);
  const pointer = /ptr\[(\d+)\]/.exec(place);
  if (pointer) return `p${pointer[1]}`;
  if (!bits) return "?";
  return bits[1] === bits[2] ? "void" : `${bits[1]}-${Number(bits[2]) - 1}`;
}

function tag(place: string): string {
  const found = /union tag = (\d+)/.exec(place);
  return found ? ` tag ${found[1]}` : "";
}

function expected([, ordinal, place, unionTag, fallback]: FieldFact): string {
  const tagText = unionTag === undefined || unionTag === null ? "" : ` tag ${unionTag}`;
  return `@${ordinal} ${place}${tagText} = ${fallback ?? ""}`;
}

describe.skipIf(missingTool("capnp"))("schema files against the wire facts", () => {
  for (const [file, facts] of Object.entries(WIRE_FACTS)) {
    it(`${file}: every id, ordinal, place, tag and default`, () => {
      const { id, found } = parse(capnp(["compile", "-ocapnp", schemaPath(file)]));
      expect(id).toBe(facts.id);
      for (const [name, fact] of Object.entries(facts.structs)) {
        const is = found.get(name);
        expect(is, name).toBeDefined();
        expect(is!.id, name).toBe(fact.id);
        expect(is!.size, name).toBe(`${fact.dataWords * 8} bytes, ${fact.pointers} ptrs`);
        expect(Object.fromEntries(is!.tags), name).toEqual(fact.tags);
        expect(Object.fromEntries(is!.fields), name).toEqual(
          Object.fromEntries(fact.fields.map((field) => [field[0], expected(field)])),
        );
      }
      for (const [name, fact] of Object.entries(facts.enums ?? {})) {
        const is = found.get(name)!;
        expect(is.id).toBe(fact.id);
        expect([...is.ordinals]).toEqual(fact.names.map((value, i) => [value, i]));
      }
      for (const [name, fact] of Object.entries(facts.others ?? {})) {
        expect(found.get(name)!.id).toBe(fact.id);
        expect([...found.get(name)!.ordinals]).toEqual((fact.methods ?? []).map((m, i) => [m, i]));
      }
      // Nothing beside what the facts name.
      const named = [facts.structs, facts.enums ?? {}, facts.others ?? {}].flatMap(Object.keys);
      expect([...found.keys()].sort()).toEqual(named.sort());
    });
  }
});

// The compiler derives an id that nobody wrote from the id of the scope and the name. Upstream's files write none but their
// own: so what workerd was seen to call (ByteStream, SubstreamCallback) says whether the id of the file is upstream's.
it("byte-stream.capnp: the ids seen on the wire follow from the file's, as the compiler derives them", () => {
  const { id, others } = WIRE_FACTS["byte-stream.capnp"]!;
  const stream = derived(id, "ByteStream");
  expect(stream).toBe(others!["ByteStream"]!.id);
  expect(derived(stream, "SubstreamCallback")).toBe(others!["ByteStream.SubstreamCallback"]!.id);
});

function derived(scope: string, name: string): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(scope));
  const digest = createHash("md5").update(bytes).update(name).digest();
  return `0x${(digest.readBigUInt64BE() | (1n << 63n)).toString(16)}`;
}
