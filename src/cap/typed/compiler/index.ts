// Role: the schema compiler as a library: a CodeGeneratorRequest in, the text of TypeScript modules out.
// State: none. Must not know: files, processes, the `capnp` tool (see src/cli).

import { limitsWith } from "../../../base/limits.js";
import { Frame } from "../../../wire/frame.js";
import { parseFrame } from "../../../wire/framer.js";
import { PayloadCopier } from "../../../wire/validate.js";
import { readMessage } from "../runtime/segment.js";
import { type CompileOptions, moduleName, ModuleWriter } from "./module.js";
import { CodeGeneratorRequest } from "./schema.capnp.js";
import { Schema, schemaError } from "./schema.js";

export type { CompileOptions };

/** One generated module. */
export interface CompiledModule {
  /** The schema file as it was given to `capnp`. */
  readonly source: string;
  /** Where to put it, from the root of the output: `dir/name.capnp.ts`. */
  readonly path: string;
  readonly text: string;
  /** Schema files whose modules this one imports, as they were named in the schema; a leading slash means the import path. */
  readonly imports: readonly string[];
}

const LIMITS = /* @__PURE__ */ limitsWith({
  messageWords: 64 * 1024 * 1024,
  traversalWords: 256 * 1024 * 1024,
  nesting: 256,
});

/**
 * Generates TypeScript for every file that a request asks for.
 *
 * @param request the bytes of a CodeGeneratorRequest, as `capnp compile -o-` writes them.
 * @throws RpcError `schema-error` when the bytes are no such request, or use what this compiler does not know.
 * @example for (const { path, text } of compile(bytes)) writeFileSync(path, text);
 */
export function compile(request: Uint8Array, options: CompileOptions = {}): CompiledModule[] {
  const schema = new Schema(readRequest(request));
  return schema.request.requestedFiles.map((file) => {
    const { text, imports } = new ModuleWriter(schema, file, options).write();
    const path = `${moduleName(file.filename)}.ts`;
    return { source: file.filename, path, text, imports: imports.map((one) => one.name) };
  });
}

function readRequest(bytes: Uint8Array): CodeGeneratorRequest {
  if (bytes.length === 0)
    throw schemaError("no CodeGeneratorRequest was given: the input is empty");
  try {
    const frame = new Frame();
    parseFrame(bytes, frame, LIMITS);
    const content = new PayloadCopier(LIMITS).copy(frame, 0, frame.segStart[0]!);
    return CodeGeneratorRequest._capnp.read(readMessage(content.bytes), 0);
  } catch (thrown) {
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    throw schemaError(`the input is not a CodeGeneratorRequest: ${message}`);
  }
}
