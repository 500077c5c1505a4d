# Every feature of the schema language that the installed capnp accepts.

@0xcb3c2d6a3c6a9f01;

using Other = import "imported/other.capnp";
using import "imported/other.capnp".Imported;
using Cxx = import "/capnp/c++.capnp";

$Cxx.namespace("capstan::features");
$label("the file");

const answer :Int32 = 42;
const negative :Int8 = -7;
const big :UInt64 = 0xfedcba9876543210;
const small :Int64 = -0x7fffffffffffffff;
const half :Float32 = 0.5;
const tiny :Float64 = 1.5e-300;
const infinite :Float64 = inf;
const nothing :Float32 = nan;
const greeting :Text = "héllo \"wörld\"\n";
const blob :Data = 0x"00 ff 10 80";
const yes :Bool = true;
const void :Void = void;
const favourite :Color = green;
const primes :List(Int32) = [2, 3, 5, 7, 11];
const words :List(Text) = ["one", "two"];
const matrix :List(List(Int8)) = [[1, 2], [3], []];
const origin :Point = (x = 1, y = -1, label = "origin");
const path :List(Point) = [(x = 1), (x = 2, label = "two")];
const default :Text = "a reserved word";
const boxed :Box(Text) = (value = "in a box");

annotation label @0xcb3c2d6a3c6a9f02 (*) :Text;
annotation weight @0xcb3c2d6a3c6a9f03 (field) :Float64;
annotation place @0xcb3c2d6a3c6a9f04 (struct, enumerant) :Point;
annotation marker @0xcb3c2d6a3c6a9f05 (method, param, interface) :Void;

enum Color $label("colours") {
  # What light does.
  red @0;
  green @2 $place(x = 5);
  blue @1;
  default @3;
}

struct Point $label("a point") $place(x = 3, y = 4) {
  # A place in the plane.
  x @0 :Int32 $weight(0.25) $label("across");
  y @1 :Int32;
  label @2 :Text;
}

struct Scalars {
  v @0 :Void;
  b @1 :Bool;
  i8 @2 :Int8;
  i16 @3 :Int16;
  i32 @4 :Int32;
  i64 @5 :Int64;
  u8 @6 :UInt8;
  u16 @7 :UInt16;
  u32 @8 :UInt32;
  u64 @9 :UInt64;
  f32 @10 :Float32;
  f64 @11 :Float64;
  color @12 :Color;
}

struct Defaults {
  b @0 :Bool = true;
  i8 @1 :Int8 = -8;
  i16 @2 :Int16 = -16;
  i32 @3 :Int32 = -32;
  i64 @4 :Int64 = -64;
  u8 @5 :UInt8 = 200;
  u16 @6 :UInt16 = 60000;
  u32 @7 :UInt32 = 4000000000;
  u64 @8 :UInt64 = 18000000000000000000;
  f32 @9 :Float32 = 1.25;
  f64 @10 :Float64 = -2.5;
  color @11 :Color = blue;
  text @12 :Text = "default";
  data @13 :Data = 0x"0102";
  point @14 :Point = (x = 10, label = "there");
  numbers @15 :List(UInt16) = [1, 2, 3];
  points @16 :List(Point) = [(x = 1), (y = 2)];
  flags @17 :List(Bool) = [true, false, true];
  never @18 :Float32 = nan;
}

struct Lists {
  voids @0 :List(Void);
  bools @1 :List(Bool);
  i8s @2 :List(Int8);
  i16s @3 :List(Int16);
  i32s @4 :List(Int32);
  i64s @5 :List(Int64);
  u8s @6 :List(UInt8);
  u16s @7 :List(UInt16);
  u32s @8 :List(UInt32);
  u64s @9 :List(UInt64);
  f32s @10 :List(Float32);
  f64s @11 :List(Float64);
  texts @12 :List(Text);
  datas @13 :List(Data);
  colors @14 :List(Color);
  points @15 :List(Point);
  nested @16 :List(List(List(Text)));
  caps @17 :List(Counter);
  boxes @18 :List(Box(Text));
  imported @19 :List(Other.Imported);
}

struct Shape {
  # An unnamed union, groups inside it, and a named one.
  name @0 :Text;
  union {
    nothing @1 :Void;
    circle @2 :Float64;
    square :group {
      side @3 :Float64;
      filled @4 :Bool;
      inner :union {
        dot @5 :Void;
        text @6 :Text;
      }
    }
    polygon @7 :List(Point);
    flag @8 :Bool;
    cap @9 :Counter;
    any @10 :AnyPointer;
    child @11 :Shape;
    bytes @12 :Data;
  }
  style :group {
    color @13 :Color;
    width @14 :UInt16 = 1;
  }
  state :union {
    open @15 :Void;
    closed @16 :UInt32;
  }
}

struct Outer {
  inner @0 :Inner;
  kind @1 :Inner.Kind;
  depth @2 :Int32 = .Outer.Inner.limit;

  struct Inner {
    const limit :Int32 = 12;
    text @0 :Text;
    deeper @1 :Deepest;
    enum Kind { plain @0; fancy @1; }
    struct Deepest { n @0 :Int32; up @1 :Outer; }
  }
}

struct Awkward {
  # Names that mean something to JavaScript, to capnp-ts or to generated code.
  constructor @0 :Int32;
  toString @1 :Text;
  segment @2 :UInt8;
  byteOffset @3 :UInt8;
  then @4 :Text;
  set @5 :Bool;
  toObject @6 :Bool;
  which @7 :Bool;
  hasText @8 :Bool;
  text @9 :Text;
  initItems @10 :Bool;
  items @11 :List(Text);
  class @12 :Int8;
  function @13 :Int8;
  catch @14 :Int8;
  prototype @15 :Int8;
  hasOwnProperty @16 :Bool;
}

struct List2 {
  # Types whose names are those of globals or of the runtime.
  array @0 :Uint8Array;
  promise @1 :Promise;
  struct Uint8Array { n @0 :Int32; }
  struct Promise { n @0 :Int32; }
  struct Init { n @0 :Int32; }
}
struct Promise { n @0 :Int32; }
struct Struct { n @0 :Int32; text @1 :Text; }
struct Object { n @0 :Int32; }

struct Anything {
  any @0 :AnyPointer;
  anyStruct @1 :AnyStruct;
  anyList @2 :AnyList;
  anyCap @3 :Capability;
}

struct Box(T) {
  value @0 :T;
  next @1 :Box(T);
  other @2 :Box(Point);
  pair @3 :Pair(T, Text);
  group :group {
    again @4 :T;
    count @5 :Int32;
  }
  union {
    none @6 :Void;
    some @7 :T;
  }

  struct Lid {
    under @0 :T;
    box @1 :Box(T);
  }
  lid @8 :Lid;
}

struct Pair(A, B) {
  first @0 :A;
  second @1 :B;
}

struct Bindings {
  text @0 :Box(Text);
  point @1 :Box(Point);
  numbers @2 :Pair(List(Int32), Data);
  nested @3 :Pair(Box(Text), Box(Box(Point)));
  unbound @4 :Box;
  half @5 :Pair(Text, AnyPointer);
  lid @6 :Box(Text).Lid;
  cap @7 :Box(Counter);
  map @8 :Map(Text, Point);
}

interface Counter {
  next @0 (by :Int32 = 1) -> (value :Int32);
  reset @1 ();
}

interface Named {
  name @0 () -> (name :Text);
}

interface NamedCounter extends(Counter, Named) $label("both") $marker {
  rename @0 (name :Text $marker) -> () $marker;
}

interface Map(Key, Value) {
  get @0 (key :Key) -> (value :Value, found :Bool);
  put @1 (key :Key, value :Value) -> (old :Box(Value));
  entries @2 () -> (list :List(Entry));
  sub @3 () -> (map :Map(Key, Value));

  struct Entry {
    key @0 :Key;
    value @1 :Value;
  }
}

interface TextMap extends(Map(Text, Point)) {
  size @0 () -> (size :UInt32);
}

interface Generic {
  identity @0 [T] (value :T) -> (value :T);
  swap @1 [A, B] (pair :Pair(A, B)) -> (pair :Pair(B, A));
  box @2 [T] Box(T) -> Box(T);
}

interface Everything extends(NamedCounter, TextMap) {
  shapes @0 (shape :Shape) -> (shape :Shape);
  inPlace @1 Point -> Point;
  callback @2 (target :Counter, times :Int32) -> (sum :Int32);
  makeCounter @3 (start :Int32) -> (counter :Counter, inner :Holder);
  write @4 (chunk :Data) -> stream;
  event @5 (name :Text, point :Point) -> stream;
  imported @6 (it :Imported) -> (it :Other.Imported, peer :Other.Peer);
  anything @7 (it :Anything) -> (it :Anything);
  class @8 () -> ();
  then @9 (x :Int32) -> (y :Int32);
  shadow @10 (options :Text, params :Text, context :Text) -> (this :Text);
}

struct Holder {
  counter @0 :Counter;
  deeper @1 :Holder;
  named @2 :Named;
  group :group { counter @3 :Counter; }
  box @4 :Box(Counter);
  any @5 :AnyPointer;
}
