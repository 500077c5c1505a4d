// The bootstrap object of the server role.

#pragma once

#include <kj/timer.h>

#include "interop.capnp.h"
#include "support.h"

namespace capstan {

// Both must outlive every object the server makes.
interop::Interop::Client makeInteropServer(Tally& tally, kj::Timer& timer);

}  // namespace capstan
