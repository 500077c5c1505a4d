# Interfaces with methods of one name. capnp takes that: a method is known by its interface and its number.
@0xe7b0c9a1d2f3a4b5;

interface Store @0xe7b0c9a1d2f3a4b6 {
  # Keeps bytes.
  write @0 (bytes :Data) -> (size :UInt32);
  # Writes bytes.
  close @1 () -> ();
}

interface Log @0xe7b0c9a1d2f3a4b7 extends(Store) {
  # A store of lines, too.
  write @0 (line :Text) -> stream;
  lines @1 () -> (count :UInt32);
}

interface Journal @0xe7b0c9a1d2f3a4b8 extends(Log) {
  # Inherits both, and has none of its own.
  flush @0 () -> ();
}

interface Typed @0xe7b0c9a1d2f3a4b9 (T) {
  write @0 (value :T) -> (value :T);
  close @1 [U] (why :U) -> (why :U);

  interface Store @0xe7b0c9a1d2f3a4ba {
    # In another scope, with the name of one outside.
    write @0 () -> (there :Bool);
  }
}

interface All @0xe7b0c9a1d2f3a4bb extends(Store, Typed(Text), Typed(Text).Store, Journal) {
  # Store first, though Log would hide its method.
}
