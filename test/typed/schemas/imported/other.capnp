# Imported by features.capnp, and importing it back: modules may refer to each other.

@0xcb3c2d6a3c6a9f11;

using Features = import "../features.capnp";
using Persistent = import "/capnp/persistent.capnp".Persistent;

struct Imported {
  point @0 :Features.Point;
  kind @1 :Kind;
  enum Kind { first @0; second @1; }
}

interface Peer extends(Features.Named, Persistent(Text, AnyPointer)) {
  point @0 () -> (point :Features.Point);
}
