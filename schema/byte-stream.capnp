# capnp/compat/byte-stream.capnp of Cap'n Proto, by its ids and layouts: streams of bytes, as C++ and workerd speak them. startTls is
# workerd's own.

@0x8f5d14e1c273738d;

interface ByteStream @0xd2e7d8a0dc0a9766 {
  write @0 (bytes :Data) -> stream;
  # At most 64 KiB, by custom.

  end @1 ();
  # Returns when all bytes have been taken. A stream that is dropped without this was cut off.

  getSubstream @2 (callback :SubstreamCallback, limit :UInt64 = 0xffffffffffffffff) -> (substream :ByteStream);
  # A stream whose bytes go into this one, up to `limit`: so that a vat between two streams gets out of the way.

  startTls @3 (expectedServerHostname :Text) -> ();

  interface SubstreamCallback @0xb23c0a13cf65c36e {
    ended @0 (byteCount :UInt64);
    # The substream was ended. The stream itself was not.

    reachedLimit @1 () -> (next :ByteStream);
    # The limit was reached. What was written beyond it goes into `next`.
  }
}
