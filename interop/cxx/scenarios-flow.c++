// Scenarios about amounts: one large message, a long stream, many calls at once.

#include <cstring>

#include "scenario.h"

namespace capstan {

using namespace interop;

namespace {

const uint PART_SIZE = 1 << 20;

// 50 parts of one mebibyte there and back. The request is built without a hint of its size, so libcapnp splits it.
void bulk(Run& run) {
  const uint count = 50;
  auto request = run.interop().bulkRequest();
  auto parts = request.initParts(count);
  for (uint i = 0; i < count; i++) {
    auto part = parts.init(i, PART_SIZE);
    for (uint j = 0; j < PART_SIZE; j++) part[j] = (i * 31 + j) % 251;
  }
  auto answer = request.send().wait(run.waitScope);
  auto back = answer.getParts();
  KJ_REQUIRE(back.size() == count);
  for (uint i = 0; i < count; i++) {
    auto part = back[count - 1 - i];
    KJ_REQUIRE(part.size() == PART_SIZE);
    for (uint j = 0; j < PART_SIZE; j++) KJ_REQUIRE(part[j] == (i * 31 + j) % 251, i, j);
  }
}

Memory::Reader readMemory(capnp::Response<Diagnostics::MemoryResults>& response) {
  return response.getMemory();
}

// 256 MiB in chunks of 64 KiB, with no more care than to wait for each write as the stream tells. Neither side may grow by
// 48 MB over what it was at the start.
void upload(Run& run) {
  const uint64_t total = 256ull << 20, limit = 48000000;
  const uint chunkSize = 64 << 10;
  auto server = run.interop();
  auto serverBefore = server.memoryRequest().send().wait(run.waitScope);
  auto ownBefore = memoryUse();
  auto& clock = kj::systemPreciseMonotonicClock();
  auto start = clock.now();

  auto sink = server.openSinkRequest().send().getSink();
  uint64_t sum = 0;
  for (uint64_t sent = 0; sent < total; sent += chunkSize) {
    auto request = sink.writeRequest(capnp::MessageSize{chunkSize / sizeof(capnp::word) + 16, 0});
    auto chunk = request.initChunk(chunkSize);
    auto value = static_cast<kj::byte>(sent / chunkSize);
    memset(chunk.begin(), value, chunkSize);
    sum += static_cast<uint64_t>(value) * chunkSize;
    request.send().wait(run.waitScope);
  }
  auto done = sink.doneRequest().send().wait(run.waitScope);
  KJ_REQUIRE(done.getBytes() == total && done.getSum() == sum, done.getBytes(), done.getSum());

  auto seconds = (clock.now() - start) / kj::MICROSECONDS / 1e6;
  auto serverAfter = server.memoryRequest().send().wait(run.waitScope);
  auto ownGrowth = memoryUse().peak - ownBefore.resident;
  auto serverGrowth = readMemory(serverAfter).getPeak() - readMemory(serverBefore).getResident();
  run.note("client grew by ", ownGrowth >> 20, " MiB");
  run.note("server grew by ", serverGrowth >> 20, " MiB");
  run.note(static_cast<uint>(total / seconds / 1e6), " MB/s");
  KJ_REQUIRE(ownGrowth < limit, "the client kept too much in memory", ownGrowth);
  KJ_REQUIRE(serverGrowth < limit, "the server kept too much in memory", serverGrowth);
}

// A write fails in the middle: the writer learns of it, from a later write or at the latest from done().
void streamError(Run& run) {
  auto open = run.interop().openSinkRequest();
  open.setFailAfter(10000);
  auto sink = open.send().getSink();
  auto writing = kj::Promise<void>(kj::READY_NOW);
  for (uint i = 0; i < 50; i++) {
    writing = writing.then([sink]() mutable {
      auto request = sink.writeRequest();
      request.initChunk(1000);
      return request.send();
    });
  }
  KJ_IF_MAYBE (error, kj::runCatchingExceptions([&]() { writing.wait(run.waitScope); })) {
    KJ_REQUIRE(error->getType() == kj::Exception::Type::OVERLOADED, *error);
  }
  run.mustFail(sink.doneRequest().send(), kj::Exception::Type::OVERLOADED, "sink is full");
}

// 10,000 calls, none of which is answered before all have arrived.
void manyCalls(Run& run) {
  const uint count = 10000;
  auto server = run.interop();
  kj::Vector<kj::Promise<void>> answers;
  for (uint i = 0; i < count; i++) {
    auto request = server.barrierRequest();
    request.setIndex(i);
    request.setTotal(count);
    answers.add(request.send().then([i](auto&& answer) {
      KJ_REQUIRE(answer.getIndex() == i, "the answer of another call", i);
    }));
  }
  kj::joinPromises(answers.releaseAsArray()).wait(run.waitScope);
}

const Scenario SCENARIOS[] = {
    {"bulk", bulk},
    {"upload", upload},
    {"stream-error", streamError},
    {"many-calls", manyCalls},
};

}  // namespace

const kj::ArrayPtr<const Scenario> FLOW_SCENARIOS = SCENARIOS;

}  // namespace capstan
