# The envelope of a Call with params of a known type, so that the capnp tool prints them.
@0xc2d4a9b1f0e38675;

struct Message {
  union {
    unimplemented @0 :Void;
    abort @1 :Void;
    call @2 :Call;
  }
}
struct Call {
  questionId @0 :UInt32;
  target @1 :AnyPointer;
  interfaceId @2 :UInt64;
  methodId @3 :UInt16;
  params @4 :Payload;
}
struct Payload {
  content @0 :Params;
}
struct Params {
  n @0 :UInt32 = 7;
  t @1 :Text;
  d @2 :Data;
  on @3 :Bool = true;
  big @4 :Int64;
  items @5 :List(Item);
  names @6 :List(Text);
  any @7 :AnyPointer;
  real @8 :Float64;
  small @9 :UInt16;
}
struct Item {
  id @0 :UInt16;
  name @1 :Text;
}
