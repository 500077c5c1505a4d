// What both roles share: addresses, memory of this process, counters of live objects.
// Knows nothing of any scenario.

#pragma once

#include <capnp/common.h>
#include <kj/async-io.h>
#include <kj/string.h>

#include <cstdint>

namespace capstan {

using kj::uint;

struct MemoryUse {
  uint64_t resident;  // bytes in main memory now
  uint64_t peak;      // the most since this program started
};

// From /proc/self/status. Not getrusage, whose maximum is inherited from the process that started this one.
MemoryUse memoryUse();

// What this process has made and not yet lost. A server answers it as `Counts`; a client reads its own.
struct Tally {
  uint32_t objects = 0;
  uint32_t hanging = 0;
  uint32_t canceled = 0;
  uint32_t held = 0;
  uint32_t hangsLost = 0;
};

// Base of every server object: counts in `objects` while it lives. The tally must outlive the object.
class Counted {
public:
  explicit Counted(Tally& tally): tally(tally) { ++tally.objects; }
  ~Counted() { --tally.objects; }
  KJ_DISALLOW_COPY(Counted);

protected:
  Tally& tally;
};

// A promise that never resolves; it counts in `hanging` until it is dropped, and then in `canceled`.
kj::Promise<void> hangForever(Tally& tally);

// Addresses are written "unix:PATH" or "tcp://HOST:PORT"; this gives KJ's form.
kj::String kjAddress(kj::StringPtr address);

// Starts to listen and prints one line, "listening ADDRESS", with the port the system chose when the port asked for was 0.
// That line is the sign that a client may connect.
kj::Own<kj::ConnectionReceiver> listenAndSay(kj::AsyncIoContext& io, kj::StringPtr address);

kj::Own<kj::AsyncIoStream> connectTo(kj::AsyncIoContext& io, kj::StringPtr address);

// Ends this process when its parent ends, so that a runner that dies leaves no server behind.
void dieWithParent();

// The text as a JSON string, quotes included.
kj::String jsonString(kj::StringPtr text);

}  // namespace capstan
