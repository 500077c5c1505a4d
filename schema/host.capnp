# What the processes of one host say to each other, beside the calls on its objects. No peer outside of the host ever sees it.

@0xf16c1d2b8a3e4c59;

# Beside what rpc.capnp has, a CapDescriptor has a second pointer: the stored form of the reference that the capability stands for, as Data
# (src/host/references/reference.ts); and a Call that was made in a critical section of an object a fourth one: JSON, as Data, a list of the
# gates that it came by, the last first, each a list of its name and the names of the sections (src/host/gates/far.ts).

interface HostedObjects @0xd2f0a7c48be14d36 {
  # The bootstrap capability of an object process.

  reach @0 (number :UInt32, reference :Data) -> (object :Capability);
  # An object that runs in this process, or a facet of one: `reference` is as it is stored (src/host/references/reference.ts).
  # `number` is the caller's, for `broken`.
  # The object outlives its activations; once one that was called through it has broken, every call on it fails.

  attach @1 (listener :BreakListener) -> ();
  # Whom to tell. Called once, before anything is reached. Fails as disconnected when the process is about to end.
}

interface BreakListener @0xb90c6f1ae7425d83 {
  broken @0 (number :UInt32, type :UInt16, code :Text, reason :Text) -> ();
  # What was reached under that number is broken. It is said before any call on it is heard to have failed of that. `type` is that
  # of rpc.capnp's Exception.

  leaving @1 (timeout :UInt32) -> ();
  # The process is about to end. Calls made before this is heard are answered, for so many milliseconds; whoever hears it makes no
  # more and ends the connection when his are answered.
}
