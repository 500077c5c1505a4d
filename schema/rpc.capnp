# The messages that two vats exchange. Capstan reads and writes these by hand (src/wire/); this file is the
# reference for people and for tools. Ids, ordinals and defaults are fixed by the protocol: never change one.

@0xb312981b2552a250;

struct Message @0x91b79f1f808db032 {
  # What one frame holds.
  union {
    unimplemented @0 :Message;
    # The receiver does not support this message of the other's, and returns it whole.
    abort @1 :Exception;
    # The connection cannot go on; nothing follows.

    bootstrap @8 :Bootstrap;
    call @2 :Call;
    return @3 :Return;
    finish @4 :Finish;

    resolve @5 :Resolve;
    release @6 :Release;
    disembargo @13 :Disembargo;

    obsoleteSave @7 :AnyPointer;
    obsoleteDelete @9 :AnyPointer;
    # Both are echoed as unimplemented.

    provide @10 :Provide;
    accept @11 :Accept;
    thirdPartyAnswer @14 :ThirdPartyAnswer;

    join @12 :Join;
  }
}

# ---- Level 0: calls ----

struct Bootstrap @0xe94ccf8031176ec4 {
  # Asks for the capability that the receiver offers to everyone.
  questionId @0 :UInt32;
  deprecatedObjectId @1 :AnyPointer;
  # Named one of several objects, long ago. Null now.
}

struct Call @0x836a53ce789d4cd4 {
  questionId @0 :UInt32;
  # Chosen by the caller; in use until Return came and Finish went (or the Return waived it).
  target @1 :MessageTarget;
  interfaceId @2 :UInt64;
  methodId @3 :UInt16;
  allowThirdPartyTailCall @8 :Bool = false;
  # Whether Return.awaitFromThirdParty is a welcome answer.
  noPromisePipelining @9 :Bool = false;
  # A promise that no call will be pipelined on the results.
  onlyPromisePipeline @10 :Bool = false;
  # Only the pipeline matters: the results themselves need not be sent.
  params @4 :Payload;
  sendResultsTo :union {
    caller @5 :Void;
    yourself @6 :Void;
    # Keep them: a Return with takeFromOtherQuestion will say which question they answer.
    thirdParty @7 :AnyPointer;
  }
}

struct Return @0x9e19b28d3db3573a {
  answerId @0 :UInt32;
  # The question it answers.
  releaseParamCaps @1 :Bool = true;
  # Drops one reference to each capability of the params, in place of Release messages.
  noFinishNeeded @8 :Bool = false;
  # The callee keeps nothing for this answer, so Finish would be idle talk.
  union {
    results @2 :Payload;
    exception @3 :Exception;
    canceled @4 :Void;
    resultsSentElsewhere @5 :Void;
    takeFromOtherQuestion @6 :UInt32;
    # The results are those of a call that the answerer made to the asker with sendResultsTo.yourself.
    awaitFromThirdParty @7 :AnyPointer;
  }
}

struct Finish @0xd37d2eb2c2f80e63 {
  # The caller is done with the answer; before the Return it cancels the call.
  questionId @0 :UInt32;
  releaseResultCaps @1 :Bool = true;
  requireEarlyCancellationWorkaround @2 :Bool = true;
  # Deliver a call that is still queued before cancelling it, as peers without this field expect.
}

# ---- Level 1: promises and references ----

struct Resolve @0xbbc29655fa89086e {
  # What has become of a senderPromise.
  promiseId @0 :UInt32;
  union {
    cap @1 :CapDescriptor;
    exception @2 :Exception;
  }
}

struct Release @0xad1a6c0d7dd07497 {
  id @0 :UInt32;
  # The export to drop references to.
  referenceCount @1 :UInt32;
}

struct Disembargo @0xf964368b0fbd3711 {
  # Chases earlier calls down a path that is about to be shortened.
  target @0 :MessageTarget;
  context :union {
    senderLoopback @1 :UInt32;
    # Send it back as receiverLoopback with this id, behind all that went before it.
    receiverLoopback @2 :UInt32;
    accept @3 :Data;
    # Lets the Accept with this embargo id go ahead.
  }
}

# ---- Level 3: introductions ----

struct Provide @0x9c6a046bfbc1ac5a {
  questionId @0 :UInt32;
  target @1 :MessageTarget;
  recipient @2 :AnyPointer;
  # In the network's own form: who will come for it.
}

struct Accept @0xd4c9b56290554016 {
  questionId @0 :UInt32;
  provision @1 :AnyPointer;
  embargo @2 :Data;
  # When not null: answer only after the Disembargo with the same bytes.
}

struct ThirdPartyAnswer @0xb6511ce6c5f0e58c {
  completion @0 :AnyPointer;
  answerId @1 :UInt32;
  # Chosen by the sender, from 2^30 up to 2^31.
}

# ---- Level 4: joining ----

struct Join @0xfbe1980490e001af {
  questionId @0 :UInt32;
  target @1 :MessageTarget;
  keyPart @2 :AnyPointer;
}

# ---- Parts of messages ----

struct MessageTarget @0x95bc14545813fbc1 {
  union {
    importedCap @0 :UInt32;
    # An export of the receiver's.
    promisedAnswer @1 :PromisedAnswer;
  }
}

struct Payload @0x9a0e61223d96743b {
  content @0 :AnyPointer;
  # Its capability pointers are indexes into the table.
  capTable @1 :List(CapDescriptor);
}

struct CapDescriptor @0x8523ddc40b86b8b0 {
  # A capability, as seen by the sender of the message.
  union {
    none @0 :Void;
    senderHosted @1 :UInt32;
    senderPromise @2 :UInt32;
    # The same, and a Resolve will follow.
    receiverHosted @3 :UInt32;
    receiverAnswer @4 :PromisedAnswer;
    thirdPartyHosted @5 :ThirdPartyCapDescriptor;
  }
  attachedFd @6 :UInt8 = 0xff;
  # Index of a file descriptor sent along; 0xff for none.
}

struct PromisedAnswer @0xd800b1d6cd6f1ca0 {
  # A capability inside the results of a call, which may be still to come.
  questionId @0 :UInt32;
  transform @1 :List(Op);
  struct Op @0xf316944415569081 {
    union {
      noop @0 :Void;
      getPointerField @1 :UInt16;
      # Index in the struct's pointer section.
    }
  }
}

struct ThirdPartyCapDescriptor @0xd37007fde1f0027d {
  id @0 :AnyPointer;
  # In the network's own form: where it lives.
  vineId @1 :UInt32;
  # An export of the sender's that stands for it until it was fetched, or for ever.
}

struct Exception @0xd625b7063acf691a {
  reason @0 :Text;
  type @3 :Type;
  enum Type @0xb28c96e23f4cbd58 {
    failed @0;
    overloaded @1;
    disconnected @2;
    unimplemented @3;
  }
  obsoleteIsCallersFault @1 :Bool;
  obsoleteDurability @2 :UInt16;
  trace @4 :Text;
  # The callee's stack, when it chooses to show it.
  details @5 :List(Detail);
  struct Detail @0xd6c14f121d44f8dd {
    # Facts for programs: an id that two applications agreed on, and its bytes.
    detailId @0 :UInt64;
    data @1 :Data;
  }
}
