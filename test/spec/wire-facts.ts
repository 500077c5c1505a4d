// Role: the protocol's wire facts as data: ids, sizes, ordinals, places, union tags and defaults of every struct.
// Source: the published schemas of Cap'n Proto v2; conformance section 24.

/**
 * A field: name, ordinal, place (`a-b` bits of the data section, both included; `pN` a pointer; `void`), its union tag, and
 * its default when that is not zero.
 */
export type FieldFact = readonly [string, number, string, (number | null)?, string?];

export interface StructFact {
  readonly id: string;
  readonly dataWords: number;
  readonly pointers: number;
  /** Bits of the struct's own union tag, and of the named group's. */
  readonly tags?: Readonly<Record<string, string>>;
  readonly fields: readonly FieldFact[];
}

export interface FileFact {
  readonly id: string;
  readonly structs: Readonly<Record<string, StructFact>>;
  readonly enums?: Readonly<
    Record<string, { readonly id: string; readonly names: readonly string[] }>
  >;
  /** Interfaces and annotations: id by name, and methods in the order of their ordinals. */
  readonly others?: Readonly<
    Record<string, { readonly id: string; readonly methods?: readonly string[] }>
  >;
}

const struct = (
  id: string,
  dataWords: number,
  pointers: number,
  fields: readonly FieldFact[],
  tags: Readonly<Record<string, string>> = {},
): StructFact => ({ id, dataWords, pointers, fields, tags });

const variants = (...names: string[]): FieldFact[] =>
  names.map((name, tag) => [name, tag, "p0", tag]);

export const WIRE_FACTS: Readonly<Record<string, FileFact>> = {
  "rpc.capnp": {
    id: "0xb312981b2552a250",
    structs: {
      Message: struct(
        "0x91b79f1f808db032",
        1,
        1,
        variants(
          "unimplemented",
          "abort",
          "call",
          "return",
          "finish",
          "resolve",
          "release",
          "obsoleteSave",
          "bootstrap",
          "obsoleteDelete",
          "provide",
          "accept",
          "join",
          "disembargo",
          "thirdPartyAnswer",
        ),
        { "": "0-15" },
      ),
      Bootstrap: struct("0xe94ccf8031176ec4", 1, 1, [
        ["questionId", 0, "0-31"],
        ["deprecatedObjectId", 1, "p0"],
      ]),
      Call: struct(
        "0x836a53ce789d4cd4",
        3,
        3,
        [
          ["questionId", 0, "0-31"],
          ["methodId", 3, "32-47"],
          ["interfaceId", 2, "64-127"],
          ["allowThirdPartyTailCall", 8, "128-128"],
          ["noPromisePipelining", 9, "129-129"],
          ["onlyPromisePipeline", 10, "130-130"],
          ["target", 1, "p0"],
          ["params", 4, "p1"],
          ["sendResultsTo.caller", 5, "void", 0],
          ["sendResultsTo.yourself", 6, "void", 1],
          ["sendResultsTo.thirdParty", 7, "p2", 2],
        ],
        { sendResultsTo: "48-63" },
      ),
      Return: struct(
        "0x9e19b28d3db3573a",
        2,
        1,
        [
          ["answerId", 0, "0-31"],
          ["releaseParamCaps", 1, "32-32", null, "true"],
          ["noFinishNeeded", 8, "33-33"],
          ["results", 2, "p0", 0],
          ["exception", 3, "p0", 1],
          ["canceled", 4, "void", 2],
          ["resultsSentElsewhere", 5, "void", 3],
          ["takeFromOtherQuestion", 6, "64-95", 4],
          ["awaitFromThirdParty", 7, "p0", 5],
        ],
        { "": "48-63" },
      ),
      Finish: struct("0xd37d2eb2c2f80e63", 1, 0, [
        ["questionId", 0, "0-31"],
        ["releaseResultCaps", 1, "32-32", null, "true"],
        ["requireEarlyCancellationWorkaround", 2, "33-33", null, "true"],
      ]),
      Resolve: struct(
        "0xbbc29655fa89086e",
        1,
        1,
        [
          ["promiseId", 0, "0-31"],
          ["cap", 1, "p0", 0],
          ["exception", 2, "p0", 1],
        ],
        { "": "32-47" },
      ),
      Release: struct("0xad1a6c0d7dd07497", 1, 0, [
        ["id", 0, "0-31"],
        ["referenceCount", 1, "32-63"],
      ]),
      Disembargo: struct(
        "0xf964368b0fbd3711",
        1,
        2,
        [
          ["target", 0, "p0"],
          ["context.senderLoopback", 1, "0-31", 0],
          ["context.receiverLoopback", 2, "0-31", 1],
          ["context.accept", 3, "p1", 2],
        ],
        { context: "32-47" },
      ),
      Provide: struct("0x9c6a046bfbc1ac5a", 1, 2, [
        ["questionId", 0, "0-31"],
        ["target", 1, "p0"],
        ["recipient", 2, "p1"],
      ]),
      Accept: struct("0xd4c9b56290554016", 1, 2, [
        ["questionId", 0, "0-31"],
        ["provision", 1, "p0"],
        ["embargo", 2, "p1"],
      ]),
      ThirdPartyAnswer: struct("0xb6511ce6c5f0e58c", 1, 1, [
        ["completion", 0, "p0"],
        ["answerId", 1, "0-31"],
      ]),
      Join: struct("0xfbe1980490e001af", 1, 2, [
        ["questionId", 0, "0-31"],
        ["target", 1, "p0"],
        ["keyPart", 2, "p1"],
      ]),
      MessageTarget: struct(
        "0x95bc14545813fbc1",
        1,
        1,
        [
          ["importedCap", 0, "0-31", 0],
          ["promisedAnswer", 1, "p0", 1],
        ],
        { "": "32-47" },
      ),
      Payload: struct("0x9a0e61223d96743b", 0, 2, [
        ["content", 0, "p0"],
        ["capTable", 1, "p1"],
      ]),
      CapDescriptor: struct(
        "0x8523ddc40b86b8b0",
        1,
        1,
        [
          ["none", 0, "void", 0],
          ["senderHosted", 1, "32-63", 1],
          ["senderPromise", 2, "32-63", 2],
          ["receiverHosted", 3, "32-63", 3],
          ["receiverAnswer", 4, "p0", 4],
          ["thirdPartyHosted", 5, "p0", 5],
          ["attachedFd", 6, "16-23", null, "255"],
        ],
        { "": "0-15" },
      ),
      PromisedAnswer: struct("0xd800b1d6cd6f1ca0", 1, 1, [
        ["questionId", 0, "0-31"],
        ["transform", 1, "p0"],
      ]),
      "PromisedAnswer.Op": struct(
        "0xf316944415569081",
        1,
        0,
        [
          ["noop", 0, "void", 0],
          ["getPointerField", 1, "16-31", 1],
        ],
        { "": "0-15" },
      ),
      ThirdPartyCapDescriptor: struct("0xd37007fde1f0027d", 1, 1, [
        ["id", 0, "p0"],
        ["vineId", 1, "0-31"],
      ]),
      Exception: struct("0xd625b7063acf691a", 1, 3, [
        ["reason", 0, "p0"],
        ["obsoleteIsCallersFault", 1, "0-0"],
        ["obsoleteDurability", 2, "16-31"],
        ["type", 3, "32-47"],
        ["trace", 4, "p1"],
        ["details", 5, "p2"],
      ]),
      "Exception.Detail": struct("0xd6c14f121d44f8dd", 1, 1, [
        ["detailId", 0, "0-63"],
        ["data", 1, "p0"],
      ]),
    },
    enums: {
      "Exception.Type": {
        id: "0xb28c96e23f4cbd58",
        names: ["failed", "overloaded", "disconnected", "unimplemented"],
      },
    },
  },
  // Not of the protocol: capstan's own, which a peer in any language builds on.
  "js.capnp": {
    id: "0xbc79c311073cee46",
    structs: {
      Request: struct("0xc8b6e265f8b5f1de", 1, 3, [
        ["path", 0, "p0"],
        ["arguments", 1, "p1"],
        ["references", 2, "p2"],
        ["timeout", 3, "0-31"],
        ["want", 4, "32-47"],
      ]),
      Result: struct("0xb2076f8d68f06f2b", 1, 3, [
        ["value", 0, "p0"],
        ["object", 1, "p1"],
        ["references", 2, "p2"],
        ["hasValue", 3, "0-0"],
        ["isObject", 4, "1-1"],
      ]),
      MapRequest: struct("0xb9d5987232c39df1", 2, 3, [
        ["path", 0, "p0"],
        ["program", 1, "p1"],
        ["references", 2, "p2"],
        ["timeout", 3, "0-31"],
        ["want", 4, "32-47"],
        ["budget", 5, "64-95"],
      ]),
      Program: struct("0xfdc2a88d3c4eed5b", 0, 2, [
        ["steps", 0, "p0"],
        ["result", 1, "p1"],
      ]),
      "Program.Step": struct("0xd499b0fd616fd80f", 1, 3, [
        ["on", 0, "0-31"],
        ["operation", 1, "32-47"],
        ["onReference", 2, "48-48"],
        ["path", 3, "p0"],
        ["arguments", 4, "p1"],
        ["program", 5, "p2"],
      ]),
      Reference: struct("0x9e6beb64855cbfa9", 1, 1, [
        ["target", 0, "p0"],
        ["kind", 1, "0-15"],
      ]),
      End: struct("0xf659905396f2efa3", 1, 0, [["written", 0, "0-63"]]),
    },
    enums: {
      Want: { id: "0xc02cadf8b07dca62", names: ["value", "object", "either"] },
      "Reference.Kind": {
        id: "0xac9185014521ac0f",
        names: [
          "object",
          "promise",
          "variable",
          "signal",
          "aborted",
          "readable",
          "writable",
          "blob",
          "bytes",
        ],
      },
    },
    others: {
      Object: { id: "0xf4f99937eb931392", methods: ["call", "get", "map"] },
      Source: { id: "0xe6a62f5914ef1c04", methods: ["pipe"] },
      Sink: { id: "0xbce0207313793fae", methods: ["writeValue", "abort", "broken", "discard"] },
    },
  },
  "byte-stream.capnp": {
    id: "0x8f5d14e1c273738d",
    structs: {},
    others: {
      ByteStream: {
        id: "0xd2e7d8a0dc0a9766",
        methods: ["write", "end", "getSubstream", "startTls"],
      },
      "ByteStream.SubstreamCallback": {
        id: "0xb23c0a13cf65c36e",
        methods: ["ended", "reachedLimit"],
      },
    },
  },
  // What was seen on the wire, of workerd 1.20261117.1. Ids of structs are the compiler's: they never travel.
  "workerd.capnp": {
    id: "0xe6d1f0a94c3b7258",
    structs: {
      Props: struct(
        "0xbda77b589f65e040",
        1,
        1,
        [
          ["empty", 0, "void", 0],
          ["json", 1, "p0", 1],
        ],
        { "": "0-15" },
      ),
      CallParams: struct(
        "0xc2d765a7d034fb6b",
        1,
        3,
        [
          ["methodName", 0, "p0", 0],
          ["methodPath", 1, "p0", 1],
          ["operation.callWithArgs", 2, "p1", 0],
          ["operation.getProperty", 3, "void", 1],
          ["resultsStreamHandler.obsolete", 4, "p2", 0],
          ["resultsStreamHandler.externalPusher", 5, "p2", 1],
        ],
        { "": "0-15", operation: "16-31", resultsStreamHandler: "32-47" },
      ),
      CallResults: struct("0xd6ce15a38a8d9852", 1, 3, [
        ["result", 0, "p0"],
        ["callPipeline", 1, "p1"],
        ["hasDisposer", 2, "0-0"],
        ["obsolete", 3, "p2"],
      ]),
      JsValue: struct("0x80475e37ad0617dd", 0, 2, [
        ["v8Serialized", 0, "p0"],
        ["externals", 1, "p1"],
      ]),
      External: struct(
        "0x9a1a5248d66b8051",
        1,
        1,
        [
          ["invalid", 0, "void", 0],
          ["rpcTarget.cap", 1, "p0"],
          ["rpcTarget.tokenKind", 2, "16-31"],
          ["writableStream.byteStream", 3, "p0"],
          ["writableStream.encoding", 4, "16-31"],
          ["readableStream.stream", 5, "p0"],
          ["readableStream.encoding", 6, "16-31"],
          ["obsolete", 7, "void", 4],
          ["subrequestChannelToken", 8, "p0", 5],
          ["actorClassChannelToken", 9, "p0", 6],
          ["abortSignal", 10, "p0", 7],
          ["delayedSubrequestChannelToken", 11, "p0", 8],
          ["delayedActorClassChannelToken", 12, "p0", 9],
          ["socket", 13, "p0", 10],
        ],
        { "": "0-15" },
      ),
    },
    others: {
      DebugPort: { id: "0xea5b0b487aea7327", methods: ["getEntrypoint", "getActor"] },
      WorkerBootstrap: { id: "0x878048cda334ade3", methods: ["startEvent"] },
      EventDispatcher: {
        id: "0xf20697475ec1752d",
        methods: [
          "getHttpService",
          ...[1, 2, 3, 4, 5, 6, 7, 8].map((n) => `unused${n}`),
          "jsRpcSession",
        ],
      },
      JsRpcSession: { id: "0xbbfec607777f1620" },
      ExternalPusher: { id: "0xee2eb0d2e1aad430", methods: ["pushByteStream", "pushAbortSignal"] },
      AbortTrigger: { id: "0x8dec253e6cb36e31", methods: ["abort"] },
      JsRpcTarget: { id: "0xa1a96525142a9d98", methods: ["call"] },
    },
  },
  "http.capnp": {
    id: "0xb665280aaff2e632",
    structs: {
      ConnectSettings: struct("0xf981e8428b86f885", 1, 0, [["useTls", 0, "0-0"]]),
      HttpRequest: struct(
        "0xdeb08db1052a4866",
        2,
        2,
        [
          ["method", 0, "0-15"],
          ["url", 1, "p0"],
          ["headers", 2, "p1"],
          ["bodySize.unknown", 3, "void", 0],
          ["bodySize.fixed", 4, "64-127", 1],
        ],
        { bodySize: "16-31" },
      ),
      HttpResponse: struct(
        "0xf235351cf1531299",
        2,
        2,
        [
          ["statusCode", 0, "0-15"],
          ["statusText", 1, "p0"],
          ["headers", 2, "p1"],
          ["bodySize.unknown", 3, "void", 0],
          ["bodySize.fixed", 4, "64-127", 1],
        ],
        { bodySize: "16-31" },
      ),
      HttpHeader: struct(
        "0xb39047580b6fd228",
        2,
        1,
        [
          ["common.name", 0, "0-15"],
          ["common.commonValue", 1, "16-31", 0],
          ["common.value", 2, "p0", 1],
          ["uncommon", 3, "p0", 1],
        ],
        { "": "64-79", common: "32-47" },
      ),
      "HttpHeader.NameValue": struct("0xed5334c41abc0375", 0, 2, [
        ["name", 0, "p0"],
        ["value", 1, "p1"],
      ]),
    },
    enums: {
      HttpMethod: {
        id: "0x8dbd3c007383731e",
        names: [
          "get",
          "head",
          "post",
          "put",
          "delete",
          "patch",
          "purge",
          "options",
          "trace",
          "copy",
          "lock",
          "mkcol",
          "move",
          "propfind",
          "proppatch",
          "search",
          "unlock",
          "acl",
          "report",
          "mkactivity",
          "checkout",
          "merge",
          "msearch",
          "notify",
          "subscribe",
          "unsubscribe",
          "query",
          "ban",
        ],
      },
      CommonHeaderName: {
        id: "0xee4db03aab7fb4be",
        names: [
          "invalid",
          "acceptCharset",
          "acceptEncoding",
          "acceptLanguage",
          "acceptRanges",
          "accept",
          "accessControlAllowOrigin",
          "age",
          "allow",
          "authorization",
          "cacheControl",
          "contentDisposition",
          "contentEncoding",
          "contentLanguage",
          "contentLength",
          "contentLocation",
          "contentRange",
          "contentType",
          "cookie",
          "date",
          "etag",
          "expect",
          "expires",
          "from",
          "host",
          "ifMatch",
          "ifModifiedSince",
          "ifNoneMatch",
          "ifRange",
          "ifUnmodifiedSince",
          "lastModified",
          "link",
          "location",
          "maxForwards",
          "proxyAuthenticate",
          "proxyAuthorization",
          "range",
          "referer",
          "refresh",
          "retryAfter",
          "server",
          "setCookie",
          "strictTransportSecurity",
          "transferEncoding",
          "userAgent",
          "vary",
          "via",
          "wwwAuthenticate",
        ],
      },
      CommonHeaderValue: { id: "0x83e5f307c4d3785f", names: ["invalid", "gzipDeflate"] },
    },
    others: {
      HttpService: { id: "0x92963bfdad2beb6a", methods: ["startRequest", "request", "connect"] },
      "HttpService.ClientRequestContext": {
        id: "0xea3256705c0b63ba",
        methods: ["startResponse", "startWebSocket"],
      },
      "HttpService.ConnectClientRequestContext": {
        id: "0xda572939a4c3d728",
        methods: ["startConnect", "startError"],
      },
      "HttpService.ServerRequestContext": { id: "0x99ae26bfd34f3f3b" },
      WebSocket: { id: "0xb09c33a9f4caa823", methods: ["sendText", "sendData", "close"] },
    },
  },
  "rpc-twoparty.capnp": {
    id: "0xa184c7885cdaf2a1",
    structs: {
      VatId: struct("0xd20b909fee733a8e", 1, 0, [["side", 0, "0-15"]]),
      ThirdPartyCompletion: struct("0xb7e329e92fda637d", 1, 0, [["joinId", 0, "0-31"]]),
      ThirdPartyToAwait: struct("0x9539708bffa85a5d", 0, 0, []),
      ThirdPartyToContact: struct("0xe8e97b3b9f049b21", 0, 0, []),
      JoinKeyPart: struct("0x95b29059097fca83", 1, 0, [
        ["joinId", 0, "0-31"],
        ["partCount", 1, "32-47"],
        ["partNum", 2, "48-63"],
      ]),
      JoinResult: struct("0x9d263a3630b7ebee", 1, 1, [
        ["joinId", 0, "0-31"],
        ["succeeded", 1, "32-32"],
        ["cap", 2, "p0"],
      ]),
    },
    enums: { Side: { id: "0x9fd69ebc87b9719c", names: ["server", "client"] } },
  },
  "persistent.capnp": {
    id: "0xb8630836983feed7",
    structs: {
      "Persistent.SaveParams": struct("0xf76fba59183073a5", 0, 1, [["sealFor", 0, "p0"]]),
      "Persistent.SaveResults": struct("0xb76848c18c40efbf", 0, 1, [["sturdyRef", 0, "p0"]]),
    },
    others: {
      Persistent: { id: "0xc8cb212fcd9f5691", methods: ["save"] },
      persistent: { id: "0xf622595091cafb67" },
    },
  },
  "restorer.capnp": {
    id: "0xa42b44a5b63e2833",
    structs: {
      SturdyRef: struct("0xd94f1ede0d5c2022", 0, 1, [["token", 0, "p0"]]),
      Owner: struct("0xd9849b9e3d7e8238", 0, 1, [["key", 0, "p0"]]),
    },
    others: {
      Restorer: { id: "0xa116bab9fff2865e", methods: ["restore", "identify"] },
      Proof: { id: "0x9c97ff1399cf8ad2", methods: ["prove"] },
    },
  },
  "stream.capnp": {
    id: "0x86c366a91393f3f8",
    structs: { StreamResult: struct("0x995f9a3377c0b16e", 0, 0, []) },
  },
};
