# As much as Capstan needs of the interfaces that workerd, Cloudflare's open-source runtime, serves and calls. Only ids, ordinals
# and layouts travel, and those are workerd's; the names and the rest are ours. workerd does not declare them stable: what it
# sends is read whatever its size, and a member of a union that is not here is refused by its number.

@0xe6d1f0a94c3b7258;

using ByteStream = import "byte-stream.capnp".ByteStream;
using HttpService = import "http.capnp".HttpService;

interface DebugPort @0xea5b0b487aea7327 {
  # The bootstrap object of the debug port. Gives access to everything in the process.

  getEntrypoint @0 (service :Text, entrypoint :Text, props :Props) -> (entrypoint :WorkerBootstrap);
  # `entrypoint` is null for the default export, `props` for none.

  getActor @1 (service :Text, entrypoint :Text, actorId :Text) -> (actor :WorkerBootstrap);
  # `entrypoint` is the name of the class, `actorId` 64 hexadecimal digits, of which only the number is checked.
}

struct Props {
  union {
    empty @0 :Void;
    json @1 :Text;
  }
}

interface WorkerBootstrap @0x878048cda334ade3 {
  # An entry point or a durable object. The bootstrap object of a socket with `capnpConnectHost`.

  startEvent @0 (cfBlobJson :Text, fromPersistentStub :Bool) -> (dispatcher :EventDispatcher);
}

interface EventDispatcher @0xf20697475ec1752d {
  # One event; the one call that is made on it says of which kind.

  getHttpService @0 () -> (http :HttpService);
  # Answers one request.

  unused1 @1 () -> ();
  unused2 @2 () -> ();
  unused3 @3 () -> ();
  unused4 @4 () -> ();
  unused5 @5 () -> ();
  unused6 @6 () -> ();
  unused7 @7 () -> ();
  unused8 @8 () -> ();

  jsRpcSession @9 () -> (topLevel :JsRpcTarget, session :JsRpcSession);
  # `session` must be held until all that came of the one call on `topLevel` is released: letting go of it cancels that.
}

interface JsRpcSession @0xbbfec607777f1620 {}

interface ExternalPusher @0xee2eb0d2e1aad430 {
  # Whoever is to get a stream or a signal in a value makes it before the value is sent, and gets the `source` or `signal` back in
  # it, as an external.

  pushByteStream @0 (lengthPlusOne :UInt64) -> (source :Capability, sink :ByteStream);
  # `lengthPlusOne` is 0 where the length is not known.

  pushAbortSignal @1 () -> (signal :Capability, trigger :AbortTrigger);
}

interface AbortTrigger @0x8dec253e6cb36e31 {
  abort @0 (reason :JsValue);
}

interface JsRpcTarget @0xa1a96525142a9d98 extends(ExternalPusher) {
  # A function, or an object with members. Streams and signals in the arguments are pushed to it.

  call @0 CallParams -> CallResults;
}

struct CallParams {
  union {
    methodName @0 :Text;

    methodPath @1 :List(Text);
    # Empty for the target itself.
  }

  operation :union {
    callWithArgs @2 :JsValue;
    # An Array of the arguments; null for none.

    getProperty @3 :Void;
  }

  resultsStreamHandler :union {
    obsolete @4 :AnyPointer;

    externalPusher @5 :ExternalPusher;
    # Where streams and signals in the results are pushed to.
  }
}

struct CallResults {
  result @0 :JsValue;

  callPipeline @1 :JsRpcTarget;
  # Stands for the result, for calls that are made on it before it is there.

  hasDisposer @2 :Bool;
  # Whether to let go of `callPipeline` is to dispose the result.

  obsolete @3 :AnyPointer;
}

struct JsValue {
  v8Serialized @0 :Data;
  # See docs/v8-values.md.

  externals @1 :List(External);
  # What goes beside the bytes, in the order in which they name it.
}

struct External {
  union {
    invalid @0 :Void;

    rpcTarget :group {
      cap @1 :JsRpcTarget;
      tokenKind @2 :UInt16;
    }

    writableStream :group {
      byteStream @3 :ByteStream;
      encoding @4 :UInt16;
      # 0 for plain bytes. Others are refused.
    }

    readableStream :group {
      stream @5 :Capability;
      # The `source` of a pushByteStream.

      encoding @6 :UInt16;
    }

    obsolete @7 :Void;

    subrequestChannelToken @8 :Data;
    # A stub of a service or a durable object. Means something to the workerd that made it.

    actorClassChannelToken @9 :Data;
    # Refused, as what follows is, but for abortSignal.

    abortSignal @10 :Capability;
    # The `signal` of a pushAbortSignal.

    delayedSubrequestChannelToken @11 :Capability;
    delayedActorClassChannelToken @12 :Capability;
    socket @13 :AnyPointer;
  }
}
