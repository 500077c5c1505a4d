#include "support.h"

#include <kj/debug.h>
#include <kj/vector.h>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/prctl.h>

namespace capstan {

MemoryUse memoryUse() {
  MemoryUse use = {0, 0};
  FILE* file = fopen("/proc/self/status", "r");
  KJ_REQUIRE(file != nullptr, "this program reads its memory use from /proc/self/status");
  char line[256];
  while (fgets(line, sizeof(line), file) != nullptr) {
    unsigned long long kilobytes;
    if (sscanf(line, "VmRSS: %llu", &kilobytes) == 1) use.resident = kilobytes * 1024;
    if (sscanf(line, "VmHWM: %llu", &kilobytes) == 1) use.peak = kilobytes * 1024;
  }
  fclose(file);
  return use;
}

kj::Promise<void> hangForever(Tally& tally) {
  ++tally.hanging;
  return kj::Promise<void>(kj::NEVER_DONE).attach(kj::defer([&tally]() {
    --tally.hanging;
    ++tally.canceled;
  }));
}

static const kj::StringPtr TCP_PREFIX = "tcp://"_kj;

kj::String kjAddress(kj::StringPtr address) {
  if (address.startsWith(TCP_PREFIX)) return kj::str(address.slice(TCP_PREFIX.size()));
  KJ_REQUIRE(address.startsWith("unix:"), "an address is unix:PATH or tcp://HOST:PORT", address);
  return kj::str(address);
}

kj::Own<kj::ConnectionReceiver> listenAndSay(kj::AsyncIoContext& io, kj::StringPtr address) {
  auto parsed = io.provider->getNetwork().parseAddress(kjAddress(address)).wait(io.waitScope);
  auto receiver = parsed->listen();
  if (address.startsWith(TCP_PREFIX)) {
    auto host = address.slice(0, KJ_REQUIRE_NONNULL(address.findLast(':')));
    printf("listening %s:%u\n", kj::str(host).cStr(), receiver->getPort());
  } else {
    printf("listening %s\n", address.cStr());
  }
  fflush(stdout);
  return receiver;
}

kj::Own<kj::AsyncIoStream> connectTo(kj::AsyncIoContext& io, kj::StringPtr address) {
  auto parsed = io.provider->getNetwork().parseAddress(kjAddress(address)).wait(io.waitScope);
  return parsed->connect().wait(io.waitScope);
}

void dieWithParent() {
  KJ_SYSCALL(prctl(PR_SET_PDEATHSIG, SIGTERM));
}

kj::String jsonString(kj::StringPtr text) {
  kj::Vector<char> out;
  out.add('"');
  for (char c: text) {
    if (c == '"' || c == '\\') {
      out.add('\\');
      out.add(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[8];
      snprintf(escaped, sizeof(escaped), "\\u%04x", c);
      out.addAll(kj::StringPtr(escaped));
    } else {
      out.add(c);
    }
  }
  out.add('"');
  out.add('\0');
  return kj::String(out.releaseAsArray());
}

}  // namespace capstan
