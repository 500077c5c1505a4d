// Scenarios about endings: cancellation, release to zero on both sides, a peer that is killed.

#include <csignal>
#include <unistd.h>

#include "scenario.h"

namespace capstan {

using namespace interop;

namespace {

// -------------------------------------------------------------------------------------------------- cancellation

// Starts a call that hangs on the server, drops its promise and waits until the server has seen it end.
void cancelOnServer(Run& run, Interop::Client server) {
  auto before = run.serverCounts();
  {
    auto hanging = server.hangRequest().send();
    run.eventually("the call hangs", [&]() { return run.serverCounts().hanging == before.hanging + 1; });
  }
  run.eventually("the server cancels", [&]() {
    auto now = run.serverCounts();
    return now.hanging == before.hanging && now.canceled == before.canceled + 1;
  });
}

// The server calls an object of the client; whatever ends the server's interest must cancel that call.
template <typename Start>
void cancelOnClient(Run& run, kj::StringPtr what, Start&& start) {
  auto before = run.tally.canceled;
  {
    auto interest = start();
    run.eventually(what, [&]() { return run.tally.hanging == 1; });
  }
  run.eventually(what, [&]() { return run.tally.hanging == 0 && run.tally.canceled == before + 1; });
}

void cancellation(Run& run) {
  auto server = run.interop();
  cancelOnServer(run, server);

  cancelOnClient(run, "a call forwarded by the server", [&]() {
    auto request = server.hangOnRequest();
    request.setHanger(run.newHanger());
    return request.send();
  });

  cancelOnClient(run, "a call the server drops of itself", [&]() {
    auto request = server.startHangRequest();
    request.setHanger(run.newHanger());
    return request.send().wait(run.waitScope).getHandle();
  });

  cancelOnClient(run, "a tail call", [&]() {
    auto request = server.tailRequest();
    request.setCallback(run.newCallback([&run](CallbackServer::Context context) {
      context.allowCancellation();
      return hangForever(run.tally);
    }));
    return request.send();
  });

  // Calls dropped as soon as they were made, with and without the answer on its way already.
  for (uint i = 0; i < 1000; i++) {
    auto dropped = server.helloRequest().send();
    auto root = server.rootRequest().send().getNode();
    if (i % 50 == 0) run.sleep(100 * kj::MICROSECONDS);
  }

  // A chain dropped before its first link is answered.
  {
    auto latch = std::make_shared<Latch>();
    auto gated = server.rootRequest();
    gated.setGate(run.newGate(latch));
    auto promise = gated.send();
    auto path = fiveDeep(promise.getNode()).pathRequest().send();
    run.eventually("the gate is reached", [&]() { return latch->passed == 1; });
    { auto dropped = kj::mv(promise); }
    { auto dropped = kj::mv(path); }
    latch->open();
  }
  run.eventually("nothing is left", [&]() { return run.serverCounts().objects == 0 && run.tally.objects == 0; });
}

// -------------------------------------------------------------------------------------------------- release

void release(Run& run) {
  auto server = run.interop();
  auto objects = [&]() { return run.serverCounts().objects; };

  // Objects of the server, in part, then all.
  {
    auto make = server.makeNodesRequest();
    make.setCount(1000);
    auto kept = std::vector<Node::Client>();
    {
      auto made = make.send().wait(run.waitScope);
      KJ_REQUIRE(objects() == 1000);
      for (uint i = 0; i < 500; i++) kept.push_back(made.getNodes()[i * 2]);
    }
    run.eventually("half of the nodes are gone", [&]() { return objects() == 500; });
    auto answer = kept[499].pathRequest().send().wait(run.waitScope);
    KJ_REQUIRE(answer.getPath() == "998");
  }
  run.eventually("all nodes are gone", [&]() { return objects() == 0; });

  // Objects of the client.
  auto marks = std::make_shared<std::vector<uint32_t>>();
  {
    auto hold = server.holdRequest();
    auto list = hold.initRecorders(1000);
    for (uint i = 0; i < 1000; i++) list.set(i, run.newRecorder(marks));
    auto holder = hold.send().wait(run.waitScope).getHolder();
    KJ_REQUIRE(run.tally.objects == 1000, run.tally.objects);
    KJ_REQUIRE(run.serverCounts().held == 1000);
    // Fetched back some, twice, and dropped again: the server's references must be the ones that remain.
    for (uint i = 0; i < 200; i++) {
      auto get = holder.getRequest();
      get.setIndex(i % 100);
      auto mark = get.send().getRecorder().markRequest();
      mark.setSequence(i);
      mark.send().wait(run.waitScope);
    }
    KJ_REQUIRE(marks->size() == 200 && run.tally.objects == 1000);
  }
  run.eventually("the server lets go", [&]() { return run.tally.objects == 0 && run.serverCounts().held == 0; });

  // One object sent and given back many times over, in many calls at once.
  {
    auto recorder = run.newRecorder(marks);
    kj::Vector<kj::Promise<void>> returns;
    for (uint i = 0; i < 500; i++) {
      auto request = server.returnRequest();
      request.setRecorder(recorder);
      returns.add(request.send().ignoreResult());
    }
    kj::joinPromises(returns.releaseAsArray()).wait(run.waitScope);
    KJ_REQUIRE(run.tally.objects == 1);
  }
  run.eventually("the recorder is gone", [&]() { return run.tally.objects == 0; });

  // The parameters of calls that fail, that are refused, and that are canceled.
  for (uint i = 0; i < 100; i++) {
    auto failing = server.exchangeRequest();
    failing.setSample(Sample::ORDINARY);
    failing.initValue().setObject(run.newNode("lost"));
    auto failed = failing.send();
    auto refused = server.castAs<Recorder>();
    auto canceled = server.returnRequest();
    canceled.setRecorder(run.newRecorder(marks));
    { auto dropped = canceled.send(); }
    run.mustFail(kj::mv(failed), kj::Exception::Type::FAILED, "");
  }
  run.eventually("the parameters are gone", [&]() { return run.tally.objects == 0; });

  // Results that nobody reads, and an object referenced only by an answer that is still pipelined upon.
  for (uint i = 0; i < 100; i++) server.rootRequest().send().wait(run.waitScope);
  auto path = fiveDeep(server.rootRequest().send().getNode()).pathRequest().send();
  KJ_REQUIRE(path.wait(run.waitScope).getPath() == "root/a/b/c/d/e");
  run.eventually("nothing is left", [&]() { return objects() == 0; });
}

// -------------------------------------------------------------------------------------------------- a peer that is killed

// The server kills itself while calls of every kind are under way: each fails as disconnected, and what it held is let go.
void killServer(Run& run) {
  const auto disconnected = kj::Exception::Type::DISCONNECTED;
  {
    auto server = run.interop();
    auto node = server.rootRequest().send().wait(run.waitScope).getNode();
    auto marks = std::make_shared<std::vector<uint32_t>>();
    auto hold = server.holdRequest();
    hold.initRecorders(1).set(0, run.newRecorder(marks));
    auto holder = hold.send().wait(run.waitScope).getHolder();

    auto hanging = server.hangRequest().send();
    auto callBack = server.callBackRequest();
    callBack.setCount(1);
    callBack.setCallback(run.newCallback([&run](CallbackServer::Context context) {
      context.allowCancellation();
      return hangForever(run.tally);
    }));
    auto calling = callBack.send();
    auto pipelined = calling.ignoreResult();
    run.eventually("the server has called back", [&]() { return run.tally.hanging == 1; });

    auto dying = server.dieRequest().send();
    run.mustFail(kj::mv(dying), disconnected, "");
    run.mustFail(kj::mv(hanging), disconnected, "");
    run.mustFail(kj::mv(pipelined), disconnected, "");
    run.mustFail(node.pathRequest().send(), disconnected, "");
    run.mustFail(server.helloRequest().send(), disconnected, "");
  }
  auto waited = 0;
  while (run.tally.objects > 0 || run.tally.hanging > 0) {
    KJ_REQUIRE(++waited < 1000, "the lent objects are not let go", run.tally.objects, run.tally.hanging);
    run.sleep(5 * kj::MILLISECONDS);
  }
}

// Two clients of one server: this one is killed while the server calls it, while it calls the server, and while either holds
// objects of the other.
void killClientVictim(Run& run) {
  auto server = run.interop();
  auto make = server.makeNodesRequest();
  make.setCount(10);
  auto nodes = make.send().wait(run.waitScope);
  auto hold = server.holdRequest();
  auto marks = std::make_shared<std::vector<uint32_t>>();
  auto list = hold.initRecorders(10);
  for (uint i = 0; i < 10; i++) list.set(i, run.newRecorder(marks));
  auto holder = hold.send().wait(run.waitScope).getHolder();
  auto hanging = server.hangRequest().send();
  auto abandon = server.abandonHangRequest();
  abandon.setHanger(run.newHanger());
  abandon.send().wait(run.waitScope);
  run.eventually("all is under way", [&]() {
    auto counts = run.serverCounts();
    return run.tally.hanging == 1 && counts.hanging == 1 && counts.objects == 11 && counts.held == 10;
  });
  kill(getpid(), SIGKILL);
}

// And this one looks at the server after that.
void killClientSurvivor(Run& run) {
  run.eventually("the server has let go", [&]() {
    auto counts = run.serverCounts();
    return counts.objects == 0 && counts.hanging == 0 && counts.canceled == 1 && counts.held == 0 && counts.hangsLost == 1;
  });
  auto hello = run.interop().helloRequest();
  hello.setName("survivor");
  KJ_REQUIRE(hello.send().wait(run.waitScope).getGreeting() == "Hello, survivor!");
}

const Scenario SCENARIOS[] = {
    {"cancellation", cancellation},
    {"release", release},
    {"kill-server", killServer},
    {"kill-client-victim", killClientVictim},
    {"kill-client-survivor", killClientSurvivor},
};

}  // namespace

const kj::ArrayPtr<const Scenario> ENDING_SCENARIOS = SCENARIOS;

}  // namespace capstan
