# References that are stored: what Persistent.save of persistent.capnp takes and returns in a realm of Capstan's, and the object
# that redeems it. The sections of these structs are what any realm may define for itself; other realms define other ones.

@0xa42b44a5b63e2833;

struct SturdyRef @0xd94f1ede0d5c2022 {
  # Persistent.SaveResults.sturdyRef.

  token @0 :Data;
  # 32 random bytes. Whoever has them may have the object, unless it was saved for an owner.
}

struct Owner @0xd9849b9e3d7e8238 {
  # Persistent.SaveParams.sealFor. Null there: whoever has the reference may restore it.

  key @0 :Data;
  # An X25519 public key, 32 bytes.
}

interface Restorer @0xa116bab9fff2865e {
  restore @0 (ref :AnyPointer) -> (cap :Capability);
  # `ref` is a SturdyRef of this realm. One that is unknown, revoked, expired, malformed or another owner's fails with one and the
  # same exception.

  identify @1 (owner :Owner) -> (challenge :Data, proof :Proof);
  # Says who asks. `challenge` is a nonce of 24 bytes and a crypto_box from the realm's key to the owner's; what is in it begins
  # with the ASCII text "capstan restorer 1 ", and the 32 bytes behind that are the answer.
}

interface Proof @0x9c97ff1399cf8ad2 {
  # Good for one answer, right or wrong.

  prove @0 (answer :Data) -> (restorer :Restorer);
  # `restorer` restores what was saved for that owner, and what was saved for everyone.
}
