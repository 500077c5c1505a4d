// Writes and compares the samples of `Everything`, field by field, through the generated accessors.
// Both roles use it, so that each side's reader meets the other side's writer.

#pragma once

#include <kj/function.h>

#include "interop.capnp.h"

namespace capstan {

// Makes the node with this path that goes into a capability field.
using MakeNode = kj::Function<interop::Node::Client(kj::StringPtr path)>;

void writeSample(interop::Everything::Builder to, interop::Sample sample, MakeNode makeNode);

// Throws with the name of the first field that differs. What it returns resolves when the capabilities in `value`, which it
// calls, have answered with their paths; `value` is not read after the function returned.
kj::Promise<void> checkSample(interop::Everything::Reader value, interop::Sample sample);

}  // namespace capstan
