# Objects of JavaScript as capabilities: what capstan's RpcTarget and RpcStub say to each other.
#
# Every object, function and pipelined result is one Object. Values are bytes, in the format of docs/js-values.md; what
# in them goes by reference is a number, the index of an entry of `references`.

@0xbc79c311073cee46;

using ByteStream = import "byte-stream.capnp".ByteStream;

const errorDetailId :UInt64 = 0xb7086d75de45c5b7;
# The id of a detail of an exception (Exception.Detail of rpc.capnp). Its data is a value: an error of a class that both sides
# may have registered, with what it has beside its message. Who does not know the id, or the class, has the exception.

interface Object @0xf4f99937eb931392 {
  # Whether it is an object of a class, a function, or the result of a call, is not told apart.

  call @0 Request -> Result;
  # Follows `path` from this object and calls what is there, with the step before it as `this`. An empty path calls the
  # object itself: it is a function.

  get @1 Request -> Result;
  # Follows `path` from this object and gives what is there; `arguments` is left out. An empty path gives what this object
  # stands for: of a result, its value; of anything else, a reference to itself.

  map @2 MapRequest -> Result;
  # Follows `path` to a list and runs `program` once for each element; the value is the list of what that gives. What is no
  # list is taken for the only element, and the value is what that gives; null and undefined are given as they are.
}

struct Request @0xc8b6e265f8b5f1de {
  path @0 :List(Text);
  # Names of properties; an element of a list is named by its index in decimal.

  arguments @1 :Data;
  # One value, a list. Null is the empty list.

  references @2 :List(Reference);
  # Lent: the callee keeps none of them after it returns, unless it refers to it again.

  timeout @3 :UInt32;
  # Milliseconds from now after which the caller gives up; 0 when it does not.

  want @4 :Want;
}

enum Want @0xc02cadf8b07dca62 {
  value @0;
  # Result.value, and nothing to pipeline on.

  object @1;
  # Result.object alone: the caller pipelines on it, and asks it by `get` for the value if it comes to need it.

  either @2;
  # Result.object; Result.value too if it is small and holds no reference.
}

struct Result @0xb2076f8d68f06f2b {
  value @0 :Data;
  # One value. Null is `undefined`, if `hasValue`.

  object @1 :Object;
  # Stands for the result: calls on it may be pipelined. A result that is an object or a function stands for itself.

  references @2 :List(Reference);
  # Given: they are the caller's from now on.

  hasValue @3 :Bool;
  # Whether `value` was sent. With `want` value it always is.

  isObject @4 :Bool;
  # The value is a reference to `object`, so there is no need to ask for it.
}

struct MapRequest @0xb9d5987232c39df1 {
  path @0 :List(Text);
  program @1 :Program;

  references @2 :List(Reference);
  # Lent. What the program uses from outside of it.

  timeout @3 :UInt32;
  want @4 :Want;

  budget @5 :UInt32;
  # Steps that may be run in all; 0 leaves it to the server.
}

struct Program @0xfdc2a88d3c4eed5b {
  # Variables are numbered (level << 16 | n). Level 0 is the outermost program. Of each, 0 is the element and n the result of
  # step n-1. In the values of a program, a reference of kind 2 stands for the variable that its index names.

  steps @0 :List(Step);

  result @1 :Data;
  # One value.

  struct Step @0xd499b0fd616fd80f {
    on @0 :UInt32;
    # A variable, or an index in `references`.

    operation @1 :UInt16;
    # The ordinal of a method of Object.

    onReference @2 :Bool;
    path @3 :List(Text);
    arguments @4 :Data;
    program @5 :Program;
    # Of an operation `map`.
  }
}

struct Reference @0x9e6beb64855cbfa9 {
  target @0 :Capability;

  kind @1 :Kind;
  # Says what `target` is, and agrees with the kind in the bytes of the value.

  enum Kind @0xac9185014521ac0f {
    object @0;
    # An Object, which the receiver goes on to hold as a reference.

    promise @1;
    # An Object, in whose place the receiver puts its value: it asks by `get` before it hands the value on.

    variable @2;
    # In a Program; in no list of references.

    signal @3;
    # An AbortSignal: an Object that is a function, and returns the reason when the signal aborts. The receiver calls it, and
    # gives the call up when it lets the signal go.

    aborted @4;
    # An AbortSignal that has aborted: the receiver asks for the reason as for a promise.

    readable @5;
    # A ReadableStream: a Source. Not lent: it is the receiver's, whether it came in arguments or in a result.

    writable @6;
    # A WritableStream: a Sink, and the receiver's in the same way.

    blob @7;
    # A Blob or File: a Source that may be piped any number of times. The receiver pipes it before it hands the value on.

    bytes @8;
    # As `readable`, of bytes alone: its sink need be no more than a ByteStream.
  }
}

# Streams. What is in a chunk or a reason is given, as in a result: it outlives the call that brings it.

interface Source @0xe6a62f5914ef1c04 {
  # Chunks to be had, once.

  pipe @0 (sink :ByteStream) -> ();
  # Writes them into `sink`, which is a Sink if they may be anything but bytes, and ends or aborts it. Returns after that;
  # to cancel this cancels what makes the chunks.
}

interface Sink @0xbce0207313793fae extends (ByteStream) {
  # Takes chunks: bytes by ByteStream.write, anything else by `writeValue`, and its end by ByteStream.end. A write is answered when
  # its chunk was taken. A sink that is let go before its end or an abort is aborted.

  writeValue @0 Result -> stream;
  # One chunk: `value` and `references`.

  abort @1 Result -> ();
  # There will be no end, for the reason that is the value.

  broken @2 () -> Result;
  # Answered when the sink takes no more, though nobody ended or aborted it, with the reason as the value. Who writes calls this
  # before the first write, and cancels it only after the end or the abort: to cancel it before lets the sink go.

  discard @3 Result -> ();
  # Like `abort`, but does not wait for the writes before it: those that were not taken are discarded.
}

struct End @0xf659905396f2efa3 {
  # The params of ByteStream.end when capstan sends them. ByteStream has none: who knows of none sees none, and sends none.

  written @0 :UInt64;
  # At least so much was written: bytes, and 1 for each `writeValue`; 0 says nothing. Where less has come a vat in between refused
  # to pass on a write, of which the writer may not know yet: then this is no end, and the stream breaks.
}
