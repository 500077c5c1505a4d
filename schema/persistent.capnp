# Level 2: capabilities that can be saved to a token and restored later.

@0xb8630836983feed7;

interface Persistent @0xc8cb212fcd9f5691 (SturdyRef, Owner) {
  save @0 SaveParams -> SaveResults;

  struct SaveParams @0xf76fba59183073a5 {
    sealFor @0 :Owner;
    # Who alone may restore it.
  }
  struct SaveResults @0xb76848c18c40efbf {
    sturdyRef @0 :SturdyRef;
  }
}

annotation persistent @0xf622595091cafb67 (interface, field) :Void;
# Marks what can be expected to implement Persistent.
