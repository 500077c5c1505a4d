# A schema before it evolved into newer.capnp: same ids, fewer members.

@0xdab1c0ffee000001;

struct Item @0xdab1c0ffee000010 {
  id @0 :UInt32;
  name @1 :Text;
}

enum Level @0xdab1c0ffee000011 { low @0; high @1; }

struct Record @0xdab1c0ffee000012 {
  flag @0 :Bool;
  level @1 :Level;
  item @2 :Item;
  items @3 :List(Item);
  numbers @4 :List(Int32);
  names @5 :List(Text);
  voids @6 :List(Void);
  peers @7 :List(Service);
  union {
    none @8 :Void;
    count @9 :UInt8;
  }
  wide @10 :List(UInt64);
}

interface Service @0xdab1c0ffee000013 {
  echo @0 (record :Record) -> (record :Record);
  greet @1 (name :Text) -> (text :Text);
  send @2 (bytes :Data) -> ();
}
