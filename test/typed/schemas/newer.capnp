# What older.capnp became, by changes that the encoding allows.

@0xdab1c0ffee000002;

struct Item @0xdab1c0ffee000010 {
  id @0 :UInt32;
  title @1 :Text;  # renamed
  tags @2 :List(Text);
  weight @3 :Float64 = 2.5;
  detail :group {
    owner @4 :Text = "nobody";
    rank @5 :Int8 = -3;
  }
}

enum Level @0xdab1c0ffee000011 { low @0; high @1; extreme @2; }

struct Number { value @0 :Int32; exact @1 :Bool = true; }
struct Name { text @0 :Text; language @1 :Text = "en"; }
struct Nothing { label @0 :Text = "was void"; }
struct Peer { service @0 :Service; address @1 :Text; }

struct Record @0xdab1c0ffee000012 {
  flag @0 :Bool;
  level @1 :Level;
  item @2 :Item;
  items @3 :List(Item);
  numbers @4 :List(Number);
  names @5 :List(Name);
  voids @6 :List(Nothing);
  peers @7 :List(Peer);
  union {
    none @8 :Void;
    count @9 :UInt8;
    text @12 :Text;
    big @13 :UInt64;
  }
  wide @10 :List(UInt32);  # not allowed by the rules; what arrives is the low half
  more @11 :Bool = true;
  late @14 :Int64 = -1;
  extra @15 :Item = (id = 99);
}

interface Base { ping @0 () -> (n :Int32 = 7); }

interface Service @0xdab1c0ffee000013 extends(Base) {
  echo @0 (record :Record, times :UInt8 = 1) -> (record :Record, times :UInt8);
  greet @1 (name :Text, politely :Bool = true) -> (text :Text, language :Text = "en");
  send @2 (bytes :Data) -> stream;
  added @3 () -> ();
}
