// The C++ peer of the benchmark:
//
//   bench server ADDRESS                               prints "listening ADDRESS" and serves until ended by a signal
//   bench client ADDRESS WORKLOAD [SECONDS [WARMUP]]   prints one line of JSON; SECONDS is 2 and WARMUP 0.5 by default
//
// WORKLOAD and its unit:
//   sequential   a call of add(), awaited before the next                                    call
//   outstanding  1000 calls of add() sent at once, then awaited, and so on                   call
//   chain        next().next().next().add(), pipelined, awaited before the next chain        chain
//   stream-64k   write() of 64 KiB, waiting as the stream tells                              chunk
//   stream-256   write() of 256 bytes, likewise                                              chunk
//
// JSON: workload, count (units measured), seconds, perSecond, bytesPerSecond (streams), clientCpu and serverCpu (microseconds
// of user and system time per unit).

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <kj/vector.h>
#include <sys/resource.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "bench.capnp.h"
#include "support.h"

namespace capstan {

using namespace bench;

namespace {

uint64_t cpuMicroseconds() {
  struct rusage usage;
  KJ_SYSCALL(getrusage(RUSAGE_SELF, &usage));
  return (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000ull + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

// -------------------------------------------------------------------------------------------------- server

class SinkServer final: public Sink::Server {
protected:
  kj::Promise<void> write(WriteContext context) override {
    bytes += context.getParams().getChunk().size();
    return kj::READY_NOW;
  }

  kj::Promise<void> done(DoneContext context) override {
    context.getResults().setBytes(bytes);
    return kj::READY_NOW;
  }

private:
  uint64_t bytes = 0;
};

class BenchServer final: public Bench::Server {
protected:
  kj::Promise<void> add(AddContext context) override {
    auto params = context.getParams();
    context.getResults().setSum(params.getA() + params.getB());
    return kj::READY_NOW;
  }

  kj::Promise<void> next(NextContext context) override {
    context.getResults().setNext(thisCap());
    return kj::READY_NOW;
  }

  kj::Promise<void> openSink(OpenSinkContext context) override {
    context.getResults().setSink(kj::heap<SinkServer>());
    return kj::READY_NOW;
  }

  kj::Promise<void> usage(UsageContext context) override {
    context.getResults().setCpuMicroseconds(cpuMicroseconds());
    return kj::READY_NOW;
  }
};

void serve(kj::StringPtr address) {
  dieWithParent();
  auto io = kj::setupAsyncIo();
  capnp::TwoPartyServer server(kj::heap<BenchServer>());
  auto receiver = listenAndSay(io, address);
  server.listen(*receiver).wait(io.waitScope);
}

// -------------------------------------------------------------------------------------------------- client

double now() {
  return (kj::systemPreciseMonotonicClock().now() - kj::origin<kj::TimePoint>()) / kj::NANOSECONDS / 1e9;
}

struct Client {
  kj::WaitScope& waitScope;
  Bench::Client server;
  int32_t counter = 0;

  auto add(Bench::Client target) {
    auto request = target.addRequest();
    request.setA(++counter);
    request.setB(1);
    return request.send();
  }

  void check(int32_t sum, int32_t a) { KJ_REQUIRE(sum == a + 1, "the server cannot add", sum, a); }

  // Each of these works until `end` and returns how many units it completed.

  uint64_t sequential(double end) {
    uint64_t count = 0;
    while (now() < end) {
      auto sum = add(server).wait(waitScope).getSum();
      check(sum, counter);
      count++;
    }
    return count;
  }

  uint64_t outstanding(double end) {
    uint64_t count = 0;
    while (now() < end) {
      auto first = counter + 1;
      kj::Vector<capnp::RemotePromise<Bench::AddResults>> answers(1000);
      for (uint i = 0; i < 1000; i++) answers.add(add(server));
      for (uint i = 0; i < 1000; i++) check(answers[i].wait(waitScope).getSum(), first + i);
      count += 1000;
    }
    return count;
  }

  uint64_t chain(double end) {
    uint64_t count = 0;
    while (now() < end) {
      auto third = server.nextRequest().send().getNext().nextRequest().send().getNext().nextRequest().send().getNext();
      auto sum = add(third).wait(waitScope).getSum();
      check(sum, counter);
      count++;
    }
    return count;
  }

  uint64_t stream(double end, uint chunkSize) {
    uint64_t count = 0;
    auto sink = server.openSinkRequest().send().getSink();
    while (count % 64 != 0 || now() < end) {
      auto request = sink.writeRequest(capnp::MessageSize{chunkSize / sizeof(capnp::word) + 16, 0});
      memset(request.initChunk(chunkSize).begin(), static_cast<int>(count), chunkSize);
      request.send().wait(waitScope);
      count++;
    }
    auto bytes = sink.doneRequest().send().wait(waitScope).getBytes();
    KJ_REQUIRE(bytes == count * chunkSize, "the sink has lost bytes", bytes, count);
    return count;
  }

  uint64_t work(kj::StringPtr workload, double end) {
    if (workload == "sequential") return sequential(end);
    if (workload == "outstanding") return outstanding(end);
    if (workload == "chain") return chain(end);
    if (workload == "stream-64k") return stream(end, 64 << 10);
    if (workload == "stream-256") return stream(end, 256);
    KJ_FAIL_REQUIRE("no such workload", workload);
  }

  uint64_t serverCpu() { return server.usageRequest().send().wait(waitScope).getCpuMicroseconds(); }
};

void measure(kj::StringPtr address, kj::StringPtr workload, double seconds, double warmup) {
  dieWithParent();
  auto io = kj::setupAsyncIo();
  auto stream = connectTo(io, address);
  capnp::TwoPartyClient connection(*stream);
  Client client{io.waitScope, connection.bootstrap().castAs<Bench>()};
  client.work(workload, now() + warmup);

  auto serverBefore = client.serverCpu();
  auto clientBefore = cpuMicroseconds();
  auto start = now();
  auto count = client.work(workload, start + seconds);
  auto elapsed = now() - start;
  auto clientCpu = cpuMicroseconds() - clientBefore;
  auto serverCpu = client.serverCpu() - serverBefore;

  auto perUnit = [count](uint64_t microseconds) { return static_cast<double>(microseconds) / count; };
  printf("{\"peer\": \"c++\", \"library\": \"libcapnp %d.%d.%d\", \"workload\": \"%s\", ", CAPNP_VERSION_MAJOR,
         CAPNP_VERSION_MINOR, CAPNP_VERSION_MICRO, workload.cStr());
  printf("\"count\": %llu, \"seconds\": %.3f, \"perSecond\": %.1f, ", static_cast<unsigned long long>(count), elapsed,
         count / elapsed);
  if (workload.startsWith("stream-")) {
    auto chunkSize = workload == "stream-64k" ? 64 << 10 : 256;
    printf("\"bytesPerSecond\": %.0f, ", count * chunkSize / elapsed);
  }
  printf("\"clientCpu\": %.3f, \"serverCpu\": %.3f}\n", perUnit(clientCpu), perUnit(serverCpu));
}

int main(int argc, char* argv[]) {
  auto failure = kj::runCatchingExceptions([&]() {
    kj::StringPtr role = argc > 1 ? argv[1] : "";
    if (role == "server" && argc == 3) {
      serve(argv[2]);
    } else if (role == "client" && argc >= 4) {
      measure(argv[2], argv[3], argc > 4 ? atof(argv[4]) : 2, argc > 5 ? atof(argv[5]) : 0.5);
    } else {
      KJ_FAIL_REQUIRE("usage: bench server ADDRESS | bench client ADDRESS WORKLOAD [SECONDS [WARMUP]]");
    }
  });
  KJ_IF_MAYBE (error, failure) {
    fprintf(stderr, "%s\n", error->getDescription().cStr());
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace capstan

int main(int argc, char* argv[]) {
  return capstan::main(argc, argv);
}
