// Role: one name for reading and building the few structs of interfaces of our own.

export { ListReader, StructReader } from "./struct-reader.js";
export { ContentBuilder, StructBuilder } from "./struct-builder.js";
