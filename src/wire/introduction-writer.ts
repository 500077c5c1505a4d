// Role: encodes the messages of levels 3 and 4, for vats that introduce others and for what plays their peers.
// State: none. Must not know: tables, hooks. Who speaks levels 0 and 1 alone does not load this.

import type { Content } from "./content.js";
import { MessageTag } from "./descriptors.js";
import { dataWords, MessageWriter, STRUCT_1_1, STRUCT_1_2, targetWords } from "./message-writer.js";

/** A {@link MessageWriter} that also knows Provide, Accept, ThirdPartyAnswer and Join. */
export class IntroductionWriter extends MessageWriter {
  /** Level 3: `target` will be picked up by the recipient that the content names. */
  provide(
    questionId: number,
    targetKind: number,
    targetId: number,
    path: readonly number[],
    recipient: Content,
  ): void {
    this.targeted(MessageTag.provide, questionId, targetKind, targetId, path, recipient);
  }

  /** Level 4. */
  join(
    questionId: number,
    targetKind: number,
    targetId: number,
    path: readonly number[],
    keyPart: Content,
  ): void {
    this.targeted(MessageTag.join, questionId, targetKind, targetId, path, keyPart);
  }

  /** Level 3: picks up what was provided to us. */
  accept(questionId: number, provision: Content, embargo: Uint8Array | null): void {
    const flat = provision.flat();
    const inline = flat.bytes.length / 8 - 1;
    const words = 3 + inline + dataWords(embargo);
    const k = this.open(MessageTag.accept, STRUCT_1_2, words, null);
    this.w[k] = questionId;
    this.w[k + 1] = 0;
    this.inline(k + 2, k + 6, flat);
    this.data(k + 4, k + 6 + inline * 2, embargo);
    this.close(words);
  }

  /** Level 3. @param answerId in [2^30, 2^31). */
  thirdPartyAnswer(answerId: number, completion: Content): void {
    const flat = completion.flat();
    const words = 2 + flat.bytes.length / 8 - 1;
    const k = this.open(MessageTag.thirdPartyAnswer, STRUCT_1_1, words, null);
    this.w[k] = answerId;
    this.w[k + 1] = 0;
    this.inline(k + 2, k + 4, flat);
    this.close(words);
  }

  private targeted(
    tag: number,
    questionId: number,
    targetKind: number,
    targetId: number,
    path: readonly number[],
    content: Content,
  ): void {
    const flat = content.flat();
    const target = targetWords(targetKind, path);
    const words = 3 + target + flat.bytes.length / 8 - 1;
    const k = this.open(tag, STRUCT_1_2, words, null);
    this.w[k] = questionId;
    this.w[k + 1] = 0;
    this.w[k + 2] = 1 << 2;
    this.w[k + 3] = STRUCT_1_1;
    this.target(k + 6, targetKind, targetId, path);
    this.inline(k + 4, k + 6 + target * 2, flat);
    this.close(words);
  }
}
