# The interface of the benchmark: small structs, one object that returns itself, one stream.
#
# The annotation only matters to C++; `capnp` finds the imported file beside its own schemas.

@0xfca4dbfa9f4b6071;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("capstan::bench");

interface Bench {
  add @0 (a :Int32, b :Int32) -> (sum :Int32);

  next @1 () -> (next :Bench);
  # The same object again, for chains of pipelined calls.

  openSink @2 (keeps :Bool) -> (sink :Sink);

  usage @3 () -> (cpuMicroseconds :UInt64);
  # User and system time the server process has spent until now.
}

interface Sink {
  write @0 (chunk :Data) -> stream;

  done @1 () -> (bytes :UInt64);
  # Answers after all writes, with the bytes they carried.
}
