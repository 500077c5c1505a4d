# What a server of the interop scenarios offers, the same in every language.
#
# A server's bootstrap object is an `Interop`. A scenario is a client program; it passes when every answer is the expected
# one. Where a scenario needs the order of events to be sure, it says so with a `Gate`, never with time. Every object that a
# method below makes counts in `Diagnostics.counts` from its birth until its last reference is gone.
#
# The annotation only matters to C++; `capnp` finds the imported file beside its own schemas.

@0x9bfec039fec442ea;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("capstan::interop");

# ------------------------------------------------------------------------------------------------ values and errors

interface Basics {
  hello @0 (name :Text) -> (greeting :Text);
  # "Hello, <name>!"

  exchange @1 (sample :Sample, value :Everything) -> (value :Everything);
  # The server compares each field of `value` with the sample, fails with the name of the first that differs, and answers
  # with the sample written by its own setters. The fields that constants cannot hold are described at `Everything`.

  copy @2 (value :Everything) -> (value :Everything);
  # Answers with the same value, copied as a whole, capabilities and pointers of any type included.

  fail @3 (kind :ErrorKind, reason :Text) -> (node :Node);
  # Fails as told. A call pipelined on `node` fails with the same type and reason.

  identity @4 [T] (value :T) -> (value :T);
  # A generic method.

  makeCell @5 (initial :Text) -> (cell :Cell(Text));
  # An object of a generic interface.
}

enum Sample {
  empty @0;     # no field set: a null pointer or a default everywhere
  ordinary @1;  # the constant `ordinary`
  extreme @2;   # the constant `extreme`
}

enum ErrorKind {
  # The types of exception of the protocol, in their order on the wire.
  failed @0;
  overloaded @1;
  disconnected @2;
  unimplemented @3;
}

interface Cell(T) {
  get @0 () -> (value :T);
  set @1 (value :T) -> (previous :T);
}

enum Color {
  red @0;
  green @1;
  blue @2;
}

struct Point {
  x @0 :Int32;
  y @1 :Int32;
  label @2 :Text;
}

struct Pair(A, B) {
  first @0 :A;
  second @1 :B;
}

struct Everything {
  # Every kind of field. `object` and the pointers of any type cannot be given in a constant; `exchange` handles them so: for
  # `empty` all are null; else `object` holds a Node of the sender with path "field", `anyPointer` the Text "any", `anyStruct`
  # a Point (x = 7), `anyList` the List(Int32) [1, 2, 3], and `objects` three Nodes of paths "0", "1", "2", the middle one null.

  nothing @0 :Void;
  flag @1 :Bool;
  int8 @2 :Int8;
  int16 @3 :Int16;
  int32 @4 :Int32;
  int64 @5 :Int64;
  uint8 @6 :UInt8;
  uint16 @7 :UInt16;
  uint32 @8 :UInt32;
  uint64 @9 :UInt64;
  float32 @10 :Float32;
  float64 @11 :Float64;
  text @12 :Text;
  data @13 :Data;
  point @14 :Point;
  color @15 :Color;

  voids @16 :List(Void);
  flags @17 :List(Bool);
  int8s @18 :List(Int8);
  int16s @19 :List(Int16);
  int32s @20 :List(Int32);
  int64s @21 :List(Int64);
  uint8s @22 :List(UInt8);
  uint16s @23 :List(UInt16);
  uint32s @24 :List(UInt32);
  uint64s @25 :List(UInt64);
  float32s @26 :List(Float32);
  float64s @27 :List(Float64);
  texts @28 :List(Text);
  datas @29 :List(Data);
  points @30 :List(Point);
  colors @31 :List(Color);
  matrix @32 :List(List(Int32));

  defaultFlag @33 :Bool = true;
  defaultInt @34 :Int32 = -1234;
  defaultLong @35 :UInt64 = 18446744073709551615;
  defaultFloat @36 :Float64 = 2.5;
  defaultColor @37 :Color = blue;
  defaultText @38 :Text = "capstan";
  defaultData @39 :Data = 0x"c0 ff ee";
  defaultPoint @40 :Point = (x = 3, y = -4, label = "origin");
  defaultInts @41 :List(Int32) = [10, -20, 30];

  location :group {
    latitude @42 :Float64;
    name @43 :Text;
  }

  choice :union {
    none @44 :Void;
    number @45 :Int64;
    words @46 :Text;
    place :group {
      row @47 :UInt16;
      column @48 :UInt16;
    }
    spot @49 :Point;
  }

  boxed @50 :Pair(Text, Point);

  object @51 :Node;
  objects @52 :List(Node);
  anyPointer @53 :AnyPointer;
  anyStruct @54 :AnyStruct;
  anyList @55 :AnyList;
}

const ordinary :Everything = (
  flag = true, int8 = -8, int16 = -1600, int32 = -320000, int64 = -64000000000,
  uint8 = 8, uint16 = 1600, uint32 = 320000, uint64 = 64000000000,
  float32 = 1.5, float64 = -2.25, text = "plain text", data = 0x"00 01 02 fe ff",
  point = (x = 1, y = 2, label = "here"), color = green,
  voids = [void, void, void], flags = [true, false, true, true, false, false, true, false, true],
  int8s = [-1, 0, 1], int16s = [-256, 0, 256], int32s = [-70000, 0, 70000], int64s = [-5000000000, 0, 5000000000],
  uint8s = [0, 1, 2], uint16s = [0, 1, 512], uint32s = [0, 1, 70000], uint64s = [0, 1, 5000000000],
  float32s = [0.5, -0.5], float64s = [0.1, 1e10, -3.5],
  texts = ["a", "", "ccc"], datas = [0x"aa", "", 0x"bb cc"],
  points = [(x = 1, label = "one"), (y = 2), ()], colors = [blue, red, green],
  matrix = [[1, 2], [], [3]],
  defaultFlag = false, defaultInt = 5, defaultLong = 6, defaultFloat = 7.5, defaultColor = red,
  defaultText = "other", defaultData = 0x"01", defaultPoint = (x = 9), defaultInts = [1],
  location = (latitude = 52.5, name = "Berlin"),
  choice = (place = (row = 3, column = 4)),
  boxed = (first = "first", second = (x = 5, y = 6, label = "second"))
);

const extreme :Everything = (
  flag = true, int8 = -128, int16 = -32768, int32 = -2147483648, int64 = -9223372036854775808,
  uint8 = 255, uint16 = 65535, uint32 = 4294967295, uint64 = 18446744073709551615,
  float32 = 3.4028234663852886e38, float64 = 1.7976931348623157e308,
  text = "naïve façade — 日本語 🚀", data = "",
  point = (x = 2147483647, y = -2147483648, label = ""), color = blue,
  voids = [], flags = [true], int8s = [-128, 127], int16s = [-32768, 32767], int32s = [-2147483648, 2147483647],
  int64s = [-9223372036854775808, 9223372036854775807, -1], uint8s = [255], uint16s = [65535], uint32s = [4294967295],
  uint64s = [18446744073709551615, 9007199254740993],
  float32s = [inf, -inf, nan, 1.401298464324817e-45], float64s = [inf, -inf, nan, 5e-324],
  texts = ["🚀"], datas = [], points = [], colors = [], matrix = [[], [-2147483648]],
  defaultFlag = true, defaultInt = -1234, defaultLong = 0, defaultFloat = -inf, defaultColor = blue,
  defaultText = "", defaultData = "", defaultPoint = (), defaultInts = [],
  location = (latitude = -90, name = ""),
  choice = (words = "chosen"),
  boxed = (first = "", second = ())
);
# Values at the ends of their ranges, and fields set to what their default is, which are zeros on the wire.

# ------------------------------------------------------------------------------------------------ capabilities

interface Node {
  # An object of a tree that grows as it is asked for.

  path @0 () -> (path :Text);
  child @1 (name :Text) -> (node :Node, path :Text);
  # The child's path is "<own path>/<name>".
}

interface Gate {
  pass @0 ();
  # Answers when the owner of the gate opens it.
}

interface Recorder {
  mark @0 (sequence :UInt32) -> (position :UInt32);
  # Appends `sequence` to the list of its owner and answers how many calls came before: out of that the caller, and out of the
  # list the owner, know whether the calls arrived in the order of their sending.
}

interface Callback {
  call @0 (value :UInt32) -> Answer;
}

struct Answer {
  # A named struct, because a method that ends in a tail call has the results of the callee.
  value @0 :UInt32;
  node @1 :Node;
}

interface Bouncer {
  bounce @0 (other :Bouncer, depth :UInt32) -> Answer;
  # With `depth` 0 answers `value` = 0 and a Node with path "<own name>"; else makes a tail call other.bounce(self, depth - 1).
}

interface Hanger {
  hang @0 ();
  # Never answers. Counts as canceled when the caller loses interest.
}

interface Handle {}
# Something that lasts as long as it is referenced.

interface Holder {
  # Keeps the capabilities it was given until its own last reference is gone.

  get @0 (index :UInt32) -> (recorder :Recorder);
  all @1 () -> (recorders :List(Recorder));
}

interface Objects {
  root @0 (gate :Gate) -> (node :Node);
  # A Node with path "root". With a gate that is not null, answers only after the gate lets it pass.

  rootEarly @1 (gate :Gate) -> (node :Node);
  # As `root`, but calls pipelined on `node` are served before the method answers.

  makeNodes @2 (count :UInt32) -> (nodes :List(Node));
  # Nodes with paths "0", "1", ...

  hold @3 (recorders :List(Recorder)) -> (holder :Holder);

  return @4 (recorder :Recorder) -> (recorder :Recorder);
  # Gives back what it got.

  returnLater @5 (recorder :Recorder, gate :Gate) -> (recorder :Recorder);
  # Answers at once with a promise, which becomes what it got after the gate lets it pass.

  returnBroken @6 (gate :Gate, reason :Text) -> (recorder :Recorder);
  # Answers at once with a promise, which breaks with type `overloaded` and this reason after the gate lets it pass.

  callBack @7 (callback :Callback, count :UInt32) -> (sum :UInt64);
  # Calls call(0) .. call(count - 1): the first half one after the other, the second half all at once. Answers the sum of the
  # values. An error of the callback is the error of this method.

  tail @8 (callback :Callback, value :UInt32) -> Answer;
  # A tail call of callback.call(value).

  bouncer @9 () -> (bouncer :Bouncer);
  # The server's own, of name "server".

  hangOn @10 (hanger :Hanger) -> ();
  # Calls hanger.hang() and answers when it does; canceling this cancels that.

  startHang @11 (hanger :Hanger) -> (handle :Handle);
  # Calls hanger.hang() and cancels it when the handle is gone.

  markTwice @12 (recorder :Recorder, first :UInt32) -> (second :UInt32);
  # Calls recorder.mark(first) and mark(first + 1) without waiting between; answers the position of the latter.

  abandonHang @13 (hanger :Hanger) -> ();
  # Calls hanger.hang() on the server's own account and answers at once: nothing but the loss of the connection ends that call.
}

# ------------------------------------------------------------------------------------------------ load and flow

interface Flow {
  hang @0 ();
  # Never answers. Counts as canceled when the caller loses interest.

  barrier @1 (index :UInt32, total :UInt32) -> (index :UInt32);
  # Answers nobody until `total` calls are there, then all of them.

  bulk @2 (parts :List(Data)) -> (parts :List(Data));
  # Byte j of part i must be (i * 31 + j) mod 251; answers the parts in reverse order.

  openSink @3 (failAfter :UInt64) -> (sink :Sink);
  # With `failAfter` > 0, the write after that many bytes fails with type `overloaded` and reason "sink is full".
}

interface Sink {
  write @0 (chunk :Data) -> stream;
  # Pauses for a millisecond after each megabyte, so that a caller who does not wait runs far ahead.

  done @1 () -> (bytes :UInt64, sum :UInt64);
  # How many bytes came and the sum of all their values.
}

# ------------------------------------------------------------------------------------------------ saved references

interface Saving {
  # The server's realm uses the structs of schema/restorer.capnp, and what is sealed for an owner its restorer refuses.

  savedNode @0 (path :Text) -> (node :Node);
  # A new Node of this path that also implements Cap'n Proto's Persistent. What is restored is another Node of the path.

  restorer @1 () -> (restorer :Capability);
  # A Restorer of schema/restorer.capnp.

  forget @2 ();
  # Revokes every reference that was saved.
}

# ------------------------------------------------------------------------------------------------ the server seen from inside

interface Diagnostics {
  counts @0 () -> (counts :Counts);

  memory @1 () -> (memory :Memory);

  die @2 ();
  # Kills the server process with SIGKILL in the middle of this call.
}

struct Counts {
  objects @0 :UInt32;   # objects made by the methods above and alive now, on behalf of all connections
  hanging @1 :UInt32;   # calls of `hang` that are in progress
  canceled @2 :UInt32;  # calls of `hang` that were canceled, ever
  held @3 :UInt32;      # capabilities in all holders
  hangsLost @4 :UInt32; # calls made by `abandonHang` that failed with type `disconnected`, ever
}

struct Memory {
  resident @0 :UInt64;  # bytes of the process in main memory now
  peak @1 :UInt64;      # the most there ever were
}

# ------------------------------------------------------------------------------------------------ the bootstrap object

interface Interop extends(Basics, Objects, Flow, Saving, Diagnostics) {}
# All of it is inherited, so every call carries the id of a superclass. (Last, because C++ wants superclasses first.)
