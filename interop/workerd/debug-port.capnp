# As much of the interfaces behind workerd's debug port as one call of a method of a Durable Object needs. Only ids, ordinals and
# layouts travel, and those are workerd's; the names and the rest are ours.

@0xd700bd7568e1bbd7;

interface DebugPort @0xea5b0b487aea7327 {
  # The bootstrap object. Gives access to everything in the process.

  getEntrypoint @0 (service :Text, entrypoint :Text, props :AnyPointer) -> (entrypoint :WorkerBootstrap);

  getActor @1 (service :Text, entrypoint :Text, actorId :Text) -> (actor :WorkerBootstrap);
  # `entrypoint` is the class name, `actorId` 64 hexadecimal digits.
}

interface WorkerBootstrap @0x878048cda334ade3 {
  startEvent @0 (cfBlobJson :Text, fromPersistentStub :Bool) -> (dispatcher :EventDispatcher);
}

interface EventDispatcher @0xf20697475ec1752d {
  # One event; the method called on it says of which kind.

  getHttpService @0 () -> (http :Capability);
  unused1 @1 ();
  unused2 @2 ();
  unused3 @3 ();
  unused4 @4 ();
  unused5 @5 ();
  unused6 @6 ();
  unused7 @7 ();
  unused8 @8 ();

  jsRpcSession @9 () -> (topLevel :JsRpcTarget, session :JsRpcSession);
  # The session must be held until all that came of its calls is released.
}

interface JsRpcSession @0xbbfec607777f1620 {}

interface ExternalPusher @0xee2eb0d2e1aad430 {
  # Whoever is to get a stream in a value makes it: the bytes are written into `sink`, and `source` goes into the value.

  pushByteStream @0 (lengthPlusOne :UInt64) -> (source :Capability, sink :Capability);
  # `sink` is a ByteStream.
}

interface JsRpcTarget @0xa1a96525142a9d98 extends(ExternalPusher) {
  call @0 CallParams -> CallResults;
}

struct CallParams {
  union {
    methodName @0 :Text;
    methodPath @1 :List(Text);
  }

  operation :union {
    callWithArgs @2 :JsValue;
    # An Array of the arguments; null for none.

    getProperty @3 :Void;
  }

  resultsStreamHandler :union {
    obsolete @4 :AnyPointer;
    externalPusher @5 :ExternalPusher;
    # Optional: only results that hold streams need it.
  }
}

struct CallResults {
  result @0 :JsValue;
  callPipeline @1 :JsRpcTarget;
  hasDisposer @2 :Bool;
  obsolete @3 :AnyPointer;
}

struct JsValue {
  v8Serialized @0 :Data;

  externals @1 :List(External);
  # In the order in which the value names them.
}

struct External {
  union {
    invalid @0 :Void;

    rpcTarget :group {
      cap @1 :Capability;
      tokenKind @2 :UInt16;
    }

    writableStream :group {
      byteStream @3 :Capability;
      encoding @4 :UInt16;
    }

    readableStream :group {
      stream @5 :Capability;
      # The `source` of a pushByteStream.

      encoding @6 :UInt16;
    }
  }
}
