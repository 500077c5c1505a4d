// Role: params and results that hold nothing but plain values: bytes are made of them only when somebody reads bytes, so
// between two objects of one vat none are made.
// State: the values, which cannot change. Must not know: calls, references.

import type { CallRequest } from "../../hook/hook.js";
import { Payload } from "../../hook/payload.js";
import type { Content } from "../../wire/content.js";
import {
  MAX_PATH,
  METHOD_MAP,
  NO_KINDS,
  NO_REFERENCES,
  OBJECT_HI,
  OBJECT_LO,
  passingRoom,
  patchRequest,
  readRequest,
  readSimpleResult,
  type Request,
  type Room,
  UNDEFINED,
  writeRequest,
  writeResult,
} from "./protocol.js";
import {
  decodeSimple,
  encodeSimple,
  isSimple,
  isSimpleList,
  NOT_SIMPLE,
  type Span,
} from "./values/index.js";

/** A Request without references. */
export class PlainRequest extends Payload implements Request {
  readonly path: readonly string[];
  readonly list: readonly unknown[] | null;
  want = 0;
  timeout = 0;

  private constructor(path: readonly string[], list: readonly unknown[] | null) {
    super(null);
    this.path = path;
    this.list = list;
  }

  /** @param list arguments as the engine listed them; null for none. @returns null when they are not all plain. */
  static of(path: readonly string[], list: readonly unknown[] | null): PlainRequest | null {
    if (path.length > MAX_PATH || (list !== null && !isSimpleList(list))) return null;
    return new PlainRequest(path, list);
  }

  /**
   * The params of `request` as one of these, if they are small and hold no references; null else, and for what cannot be
   * read. There may be lists and records in them: it is for one call, which gets them.
   */
  static read({ interfaceHi, interfaceLo, methodId, params }: CallRequest): PlainRequest | null {
    if (params instanceof PlainRequest) return params;
    if (interfaceHi !== OBJECT_HI || interfaceLo !== OBJECT_LO || methodId >= METHOD_MAP)
      return null;
    if (params.caps.length > 0) return null;
    try {
      const { path, args, references, want, timeout } = readRequest(params.content);
      if (references.kinds.length > 0) return null;
      const list = args === null ? null : decodeSimple(args);
      if (list !== null && !Array.isArray(list)) return null;
      const plain = new PlainRequest(path, list);
      plain.want = want;
      plain.timeout = timeout;
      return plain;
    } catch {
      return null;
    }
  }

  /** Borrowed. */
  get args(): Span | null {
    const { list } = this;
    return list === null || list.length === 0 ? null : encodeSimple(list);
  }

  get references(): Request["references"] {
    return NO_REFERENCES;
  }

  protected override build(): Content {
    return this.written();
  }

  protected override buildPassing(): Content {
    return this.written(passingRoom);
  }

  private written(room?: Room): Content {
    const content = writeRequest(this.path, this.args, NO_KINDS, room);
    patchRequest(content, this.want, this.timeout);
    return content;
  }
}

/** A Result with a plain value alone. */
export class PlainResult extends Payload {
  readonly value: unknown;

  private constructor(value: unknown) {
    super(null);
    this.value = value;
  }

  /** @returns null when `value` is not plain. */
  static of(value: unknown): PlainResult | null {
    return value === undefined || isSimple(value) ? new PlainResult(value) : null;
  }

  /**
   * `payload`, a Result, as one of these, if it is small and holds no references; null else, and for what cannot be read.
   * Its value may be a list or a record: it is for one receiver, who gets it.
   */
  static read(payload: Payload): PlainResult | null {
    if (payload instanceof PlainResult) return payload;
    if (payload.caps.length > 0) return null;
    const value = readSimpleResult(payload.content);
    return value === NOT_SIMPLE ? null : new PlainResult(value);
  }

  protected override build(): Content {
    return this.written().own();
  }

  protected override buildPassing(): Content {
    return this.written(passingRoom);
  }

  private written(room?: Room): Content {
    const { value } = this;
    const bytes = value === undefined ? UNDEFINED : encodeSimple(value);
    return writeResult(bytes, NO_KINDS, false, false, room);
  }
}
