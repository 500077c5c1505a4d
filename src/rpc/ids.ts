// Role: one type per kind of id, so that a peer's id where ours belongs does not compile.
// State: none. A Question's id here is the Answer's id at the peer, and the reverse; the same for Import and Export.

declare const kind: unique symbol;
type Id<K extends string> = number & { readonly [kind]: K };

/** Chosen here; names a question of ours. */
export type QuestionId = Id<"question">;
/** Chosen by the peer; names a question of the peer's, answered here. */
export type AnswerId = Id<"answer">;
/** Chosen by the peer; names a capability it exports to us. */
export type ImportId = Id<"import">;
/** Chosen here; names a capability we export. */
export type ExportId = Id<"export">;
/** Chosen here; names an embargo of ours. */
export type EmbargoId = Id<"embargo">;

/** Ids from here up are for questions that expect no Return (C-LIF-01, C-REL-20). */
export const FIRST_PIPELINE_QUESTION = 0x8000_0000;
