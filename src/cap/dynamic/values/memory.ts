// Role: where the bytes of a buffer or view are, by the engine's word and not by properties that can be overridden.
// State: none. Must not know: the format.

type Getter<T> = (this: unknown) => T;

/** The getter of a standard property; undefined in older engines, where no object has it either. */
export function getter<T>(prototype: object, name: string): Getter<T> | undefined {
  return Object.getOwnPropertyDescriptor(prototype, name)?.get as Getter<T> | undefined;
}

const TYPED_ARRAY = Object.getPrototypeOf(Uint8Array.prototype) as object;

class Shape {
  private readonly buffer: Getter<ArrayBuffer>;
  private readonly offset: Getter<number>;
  private readonly length: Getter<number>;

  constructor(prototype: object) {
    this.buffer = getter<ArrayBuffer>(prototype, "buffer")!;
    this.offset = getter<number>(prototype, "byteOffset")!;
    this.length = getter<number>(prototype, "byteLength")!;
  }

  /** @throws TypeError when `view` is none, as a proxy is none. */
  bufferOf(view: object): ArrayBuffer {
    return this.buffer.call(view);
  }

  /** @throws TypeError when the memory is gone: transferred away, or shrunk below the view. */
  bytesOf(view: object): Uint8Array {
    return new Uint8Array(this.buffer.call(view), this.offset.call(view), this.length.call(view));
  }
}

export const TYPED_ARRAYS = new Shape(TYPED_ARRAY);
export const DATA_VIEWS = new Shape(DataView.prototype);
export type { Shape };

const resizable = getter<boolean>(ArrayBuffer.prototype, "resizable");
const maxByteLength = getter<number>(ArrayBuffer.prototype, "maxByteLength");

/** How far a buffer may grow; -1 when it may not. */
export function growthOf(buffer: ArrayBuffer): number {
  return resizable?.call(buffer) === true ? maxByteLength!.call(buffer) : -1;
}
