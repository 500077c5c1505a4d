// Scenarios about capabilities: pipelining, passing them both ways, callbacks.

#include <capnp/capability.h>

#include "scenario.h"

namespace capstan {

using namespace interop;

Node::Client fiveDeep(Node::Client node) {
  for (auto name: {"a", "b", "c", "d", "e"}) {
    auto request = node.childRequest();
    request.setName(name);
    node = request.send().getNode();
  }
  return node;
}

namespace {

// -------------------------------------------------------------------------------------------------- pipelining

void mustBePath(Run& run, Node::Client node, kj::StringPtr path) {
  auto answer = node.pathRequest().send().wait(run.waitScope);
  KJ_REQUIRE(answer.getPath() == path, answer.getPath(), path);
}

void pipelining(Run& run) {
  auto server = run.interop();
  mustBePath(run, fiveDeep(server.rootRequest().send().getNode()), "root/a/b/c/d/e");

  // The server cannot answer the first call before the gate opens, and it opens only after all six were sent.
  auto latch = std::make_shared<Latch>();
  auto gated = server.rootRequest();
  gated.setGate(run.newGate(latch));
  auto node = fiveDeep(gated.send().getNode());
  auto path = node.pathRequest().send();
  run.eventually("the gate is reached", [&]() { return latch->passed == 1; });
  latch->open();
  KJ_REQUIRE(path.wait(run.waitScope).getPath() == "root/a/b/c/d/e");

  // Pipelined calls keep their order, and so do those of both sides' making.
  auto marks = std::make_shared<std::vector<uint32_t>>();
  auto twice = server.markTwiceRequest();
  twice.setRecorder(run.newRecorder(marks));
  twice.setFirst(41);
  KJ_REQUIRE(twice.send().wait(run.waitScope).getSecond() == 1);
  KJ_REQUIRE((*marks == std::vector<uint32_t>{41, 42}));
}

void earlyPipeline(Run& run) {
  // The method has not answered, yet what was pipelined on its result is served.
  auto server = run.interop();
  auto latch = std::make_shared<Latch>();
  auto request = server.rootEarlyRequest();
  request.setGate(run.newGate(latch));
  auto promise = request.send();
  mustBePath(run, fiveDeep(promise.getNode()), "root/a/b/c/d/e");
  latch->open();
  mustBePath(run, promise.wait(run.waitScope).getNode(), "root");
}

// -------------------------------------------------------------------------------------------------- passing

void capabilities(Run& run) {
  auto server = run.interop();
  capnp::CapabilityServerSet<Recorder> own;
  auto marksOf = std::vector<Marks>();
  auto recorders = std::vector<Recorder::Client>();
  auto servers = std::vector<Recorder::Server*>();
  for (uint i = 0; i < 3; i++) {
    marksOf.push_back(std::make_shared<std::vector<uint32_t>>());
    auto object = kj::heap<RecorderServer>(run.tally, marksOf[i]);
    servers.push_back(object.get());
    recorders.push_back(own.add(kj::mv(object)));
  }

  // A list with a null in it and one capability twice; each comes back as the same object.
  auto hold = server.holdRequest();
  auto list = hold.initRecorders(5);
  const int order[] = {2, 0, -1, 1, 0};
  for (uint i = 0; i < 5; i++) {
    if (order[i] >= 0) list.set(i, recorders[order[i]]);
  }
  auto holder = hold.send().getHolder();
  for (uint i = 0; i < 5; i++) {
    auto get = holder.getRequest();
    get.setIndex(i);
    auto recorder = get.send().wait(run.waitScope).getRecorder();
    if (order[i] < 0) continue;
    auto& found = KJ_REQUIRE_NONNULL(own.getLocalServer(recorder).wait(run.waitScope), "not our object", i);
    KJ_REQUIRE(&found == servers[order[i]], "another object of ours", i);
  }

  auto all = holder.allRequest().send().wait(run.waitScope);
  auto recordersBack = all.getRecorders();
  KJ_REQUIRE(recordersBack.size() == 5);
  for (uint i = 0; i < 5; i++) {
    if (order[i] < 0) continue;
    Recorder::Client recorder = recordersBack[i];
    auto mark = recorder.markRequest();
    mark.setSequence(i);
    mark.send().wait(run.waitScope);
  }
  KJ_REQUIRE((*marksOf[0] == std::vector<uint32_t>{1, 4}) && (*marksOf[1] == std::vector<uint32_t>{3}) &&
             (*marksOf[2] == std::vector<uint32_t>{0}));
  auto second = all.getRecorders()[2];
  run.mustFail(second.markRequest().send(), kj::Exception::Type::FAILED, "");

  // Many objects of the server in one answer; and one of them given back to it as a parameter.
  auto make = server.makeNodesRequest();
  make.setCount(100);
  auto made = make.send().wait(run.waitScope);
  for (uint i = 0; i < 100; i++) mustBePath(run, made.getNodes()[i], kj::str(i));
  auto identity = server.identityRequest<Node>();
  identity.setValue(made.getNodes()[7]);
  mustBePath(run, identity.send().getValue(), "7");

  // A promise as a parameter, before it is known what it will be.
  auto latch = std::make_shared<Latch>();
  auto gated = server.rootRequest();
  gated.setGate(run.newGate(latch));
  auto unresolved = gated.send();
  auto echo = server.identityRequest<Node>();
  echo.setValue(unresolved.getNode());
  auto path = echo.send().getValue().pathRequest().send();
  latch->open();
  KJ_REQUIRE(path.wait(run.waitScope).getPath() == "root");
}

// -------------------------------------------------------------------------------------------------- callbacks

void callbacks(Run& run) {
  auto server = run.interop();
  auto values = std::make_shared<std::vector<uint32_t>>();

  // Each call of the callback calls the server again, with a callback of its own, before it answers.
  auto request = server.callBackRequest();
  request.setCount(100);
  request.setCallback(run.newCallback([&run, server, values](CallbackServer::Context context) mutable {
    auto value = context.getParams().getValue();
    values->push_back(value);
    auto again = server.callBackRequest();
    again.setCount(3);
    again.setCallback(run.newCallback([](CallbackServer::Context inner) -> kj::Promise<void> {
      inner.getResults().setValue(inner.getParams().getValue() * 10);
      return kj::READY_NOW;
    }));
    return again.send().then([context, value](auto&& answer) mutable {
      KJ_REQUIRE(answer.getSum() == 30, answer.getSum());
      context.getResults().setValue(value * 2);
    });
  }));
  auto sum = request.send().wait(run.waitScope).getSum();
  KJ_REQUIRE(sum == 9900, sum);

  // In their order, the first half because each was waited for and the second because they were sent so.
  KJ_REQUIRE(values->size() == 100);
  for (uint i = 0; i < 100; i++) KJ_REQUIRE((*values)[i] == i, i, (*values)[i]);
}

const Scenario SCENARIOS[] = {
    {"pipelining", pipelining},
    {"early-pipelining", earlyPipeline},
    {"capabilities", capabilities},
    {"callbacks", callbacks},
};

}  // namespace

const kj::ArrayPtr<const Scenario> OBJECT_SCENARIOS = SCENARIOS;

}  // namespace capstan
