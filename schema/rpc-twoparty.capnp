# The network of exactly two vats at the ends of one stream: what the AnyPointers of rpc.capnp are there.

@0xa184c7885cdaf2a1;

enum Side @0x9fd69ebc87b9719c {
  server @0;
  # The end that listened.
  client @1;
}

struct VatId @0xd20b909fee733a8e {
  side @0 :Side;
}

struct ThirdPartyCompletion @0xb7e329e92fda637d {
  joinId @0 :UInt32;
}

struct ThirdPartyToAwait @0x9539708bffa85a5d {}
# There is no third party here.

struct ThirdPartyToContact @0xe8e97b3b9f049b21 {}

struct JoinKeyPart @0x95b29059097fca83 {
  joinId @0 :UInt32;
  partCount @1 :UInt16;
  partNum @2 :UInt16;
}

struct JoinResult @0x9d263a3630b7ebee {
  joinId @0 :UInt32;
  succeeded @1 :Bool;
  cap @2 :AnyPointer;
}
