# capnp/compat/http-over-capnp.capnp of Cap'n Proto, by its ids and layouts: HTTP requests and WebSockets as calls, as C++ and
# workerd speak them. What is served here is `request`; the rest is named because its ordinals are taken.

@0xb665280aaff2e632;

using ByteStream = import "byte-stream.capnp".ByteStream;

interface HttpService @0x92963bfdad2beb6a {
  startRequest @0 (request :HttpRequest, context :ClientRequestContext) -> (requestBody :ByteStream, context :ServerRequestContext);
  # The form of `request` from before a call could be pipelined on while it runs. Not served.

  request @1 (request :HttpRequest, context :ClientRequestContext) -> (requestBody :ByteStream);
  # Returns when all is over, the response and its body included; so the body is pipelined. It is null when `request` says that
  # there are 0 bytes of it. To cancel this is to cancel the request.

  connect @2 (host :Text, headers :List(HttpHeader), down :ByteStream, context :ConnectClientRequestContext, settings :ConnectSettings) -> (up :ByteStream);
  # A tunnel. Not served.

  interface ClientRequestContext @0xea3256705c0b63ba {
    # What the server answers to: one of both, once.

    startResponse @0 (response :HttpResponse) -> (body :ByteStream);
    # `body` is null when `response` says that there are 0 bytes of it: as for HEAD and for the statuses 204, 205, 304.

    startWebSocket @1 (headers :List(HttpHeader), upSocket :WebSocket) -> (downSocket :WebSocket);
    # The client sends to `upSocket`, the server to `downSocket`.
  }

  interface ConnectClientRequestContext @0xda572939a4c3d728 {
    startConnect @0 (response :HttpResponse);
    startError @1 (response :HttpResponse) -> (body :ByteStream);
  }

  interface ServerRequestContext @0x99ae26bfd34f3f3b {}
}

struct ConnectSettings @0xf981e8428b86f885 {
  useTls @0 :Bool;
}

interface WebSocket @0xb09c33a9f4caa823 {
  # One direction. It is let go of after `close`; before that, the connection was lost.

  sendText @0 (text :Text) -> stream;
  sendData @1 (data :Data) -> stream;

  close @2 (code :UInt16, reason :Text);
  # 1005 for a close without a code.
}

struct HttpRequest @0xdeb08db1052a4866 {
  method @0 :HttpMethod;
  url @1 :Text;
  headers @2 :List(HttpHeader);
  bodySize :union {
    unknown @3 :Void;
    fixed @4 :UInt64;
  }
}

struct HttpResponse @0xf235351cf1531299 {
  statusCode @0 :UInt16;

  statusText @1 :Text;
  # Null for the usual one.

  headers @2 :List(HttpHeader);
  bodySize :union {
    unknown @3 :Void;
    fixed @4 :UInt64;
  }
}

enum HttpMethod @0x8dbd3c007383731e {
  get @0;
  head @1;
  post @2;
  put @3;
  delete @4;
  patch @5;
  purge @6;
  options @7;
  trace @8;
  copy @9;
  lock @10;
  mkcol @11;
  move @12;
  propfind @13;
  proppatch @14;
  search @15;
  unlock @16;
  acl @17;
  report @18;
  mkactivity @19;
  checkout @20;
  merge @21;
  msearch @22;
  notify @23;
  subscribe @24;
  unsubscribe @25;
  query @26;
  ban @27;
}

enum CommonHeaderName @0xee4db03aab7fb4be {
  invalid @0;
  acceptCharset @1;
  acceptEncoding @2;
  acceptLanguage @3;
  acceptRanges @4;
  accept @5;
  accessControlAllowOrigin @6;
  age @7;
  allow @8;
  authorization @9;
  cacheControl @10;
  contentDisposition @11;
  contentEncoding @12;
  contentLanguage @13;
  contentLength @14;
  contentLocation @15;
  contentRange @16;
  contentType @17;
  cookie @18;
  date @19;
  etag @20;
  expect @21;
  expires @22;
  from @23;
  host @24;
  ifMatch @25;
  ifModifiedSince @26;
  ifNoneMatch @27;
  ifRange @28;
  ifUnmodifiedSince @29;
  lastModified @30;
  link @31;
  location @32;
  maxForwards @33;
  proxyAuthenticate @34;
  proxyAuthorization @35;
  range @36;
  referer @37;
  refresh @38;
  retryAfter @39;
  server @40;
  setCookie @41;
  strictTransportSecurity @42;
  transferEncoding @43;
  userAgent @44;
  vary @45;
  via @46;
  wwwAuthenticate @47;
}

enum CommonHeaderValue @0x83e5f307c4d3785f {
  invalid @0;
  gzipDeflate @1;
  # "gzip, deflate"
}

struct HttpHeader @0xb39047580b6fd228 {
  union {
    common :group {
      name @0 :CommonHeaderName;
      union {
        commonValue @1 :CommonHeaderValue;
        value @2 :Text;
      }
    }
    uncommon @3 :NameValue;
  }

  struct NameValue @0xed5334c41abc0375 {
    name @0 :Text;
    value @1 :Text;
  }
}
