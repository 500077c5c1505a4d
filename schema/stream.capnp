# What a method declared `-> stream` returns: nothing, but a type by which the compiler knows it.

@0x86c366a91393f3f8;

struct StreamResult @0x995f9a3377c0b16e {}
