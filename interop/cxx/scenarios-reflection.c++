// Scenarios in which a call comes back to the side it left: promises that turn out to be the caller's own object (embargoes and
// reflected calls) and tail calls.

#include "scenario.h"

namespace capstan {

using namespace interop;

namespace {

// -------------------------------------------------------------------------------------------------- embargoes

// Marks 0 .. count - 1 on a promise for a recorder of this client, and calls `resolve` amid them. Time passes between the
// marks, so that some are sent before the resolution is known here, some while the embargo holds, some after. All must arrive
// in order.
void markAcrossResolution(Run& run, Recorder::Client promise, Marks marks, kj::Function<void()> resolve) {
  const uint count = 400;
  kj::Vector<kj::Promise<void>> answers;
  for (uint i = 0; i < count; i++) {
    if (i == count / 4) resolve();
    auto request = promise.markRequest();
    request.setSequence(i);
    answers.add(request.send().then([i](auto&& answer) { KJ_REQUIRE(answer.getPosition() == i, "out of order", i); }));
    if (i % 4 == 3) run.sleep(100 * kj::MICROSECONDS);
  }
  kj::joinPromises(answers.releaseAsArray()).wait(run.waitScope);
  KJ_REQUIRE(marks->size() == count);
  for (uint i = 0; i < count; i++) KJ_REQUIRE((*marks)[i] == i, "out of order", i, (*marks)[i]);

  promise.whenResolved().wait(run.waitScope);
  auto last = promise.markRequest();
  last.setSequence(count);
  KJ_REQUIRE(last.send().wait(run.waitScope).getPosition() == count);
}

// The answer to a call turns out to hold the caller's object, with calls pipelined on it.
void embargoAnswer(Run& run) {
  auto server = run.interop();
  for (uint round = 0; round < 5; round++) {
    auto marks = std::make_shared<std::vector<uint32_t>>();
    auto request = server.returnRequest();
    request.setRecorder(run.newRecorder(marks));
    auto promise = request.send().getRecorder();
    markAcrossResolution(run, kj::mv(promise), marks, []() {});
  }
}

// A promise that has long arrived is resolved, by a Resolve message, to the caller's object.
void embargoResolve(Run& run) {
  auto server = run.interop();
  for (uint round = 0; round < 5; round++) {
    auto marks = std::make_shared<std::vector<uint32_t>>();
    auto latch = std::make_shared<Latch>();
    auto request = server.returnLaterRequest();
    request.setRecorder(run.newRecorder(marks));
    request.setGate(run.newGate(latch));
    auto answer = request.send().wait(run.waitScope);
    markAcrossResolution(run, answer.getRecorder(), marks, [latch]() { latch->open(); });
  }

  // Two such promises at once, and the caller's object passed on as one of them: promise of a promise of its own object.
  auto marks = std::make_shared<std::vector<uint32_t>>();
  auto latch = std::make_shared<Latch>();
  auto inner = server.returnLaterRequest();
  inner.setRecorder(run.newRecorder(marks));
  inner.setGate(run.newGate(latch));
  auto outerLatch = std::make_shared<Latch>();
  auto outer = server.returnLaterRequest();
  outer.setRecorder(inner.send().getRecorder());
  outer.setGate(run.newGate(outerLatch));
  auto promise = outer.send().getRecorder();
  markAcrossResolution(run, kj::mv(promise), marks, [latch, outerLatch]() {
    outerLatch->open();
    latch->open();
  });
}

// -------------------------------------------------------------------------------------------------- reflected calls

void reflectedCalls(Run& run) {
  auto server = run.interop();

  // Pipelined on an answer that will be the caller's object: the calls travel to the server and back, and so do their results,
  // with what is pipelined on these in turn.
  auto request = server.identityRequest<Callback>();
  request.setValue(run.newCallback([&run](CallbackServer::Context context) -> kj::Promise<void> {
    auto value = context.getParams().getValue();
    KJ_REQUIRE(value < 100, "the client refuses");
    context.getResults().setValue(value + 1);
    context.getResults().setNode(run.newNode(kj::str("own", value)));
    return kj::READY_NOW;
  }));
  auto promise = request.send().getValue();
  kj::Vector<capnp::RemotePromise<Answer>> answers;
  kj::Vector<capnp::RemotePromise<Node::PathResults>> paths;
  for (uint i = 0; i < 20; i++) {
    auto call = promise.callRequest();
    call.setValue(i);
    auto answer = call.send();
    auto child = answer.getNode().childRequest();
    child.setName("child");
    paths.add(child.send().getNode().pathRequest().send());
    answers.add(kj::mv(answer));
  }
  auto refused = promise.callRequest();
  refused.setValue(100);
  auto refusal = refused.send();
  auto behindRefusal = refusal.getNode().pathRequest().send();
  for (uint i = 0; i < 20; i++) {
    KJ_REQUIRE(answers[i].wait(run.waitScope).getValue() == i + 1, i);
    auto path = paths[i].wait(run.waitScope);
    KJ_REQUIRE(path.getPath() == kj::str("own", i, "/child"), path.getPath());
  }
  run.mustFail(kj::mv(refusal), kj::Exception::Type::FAILED, "");
  run.mustFail(kj::mv(behindRefusal), kj::Exception::Type::FAILED, "");

  // A promise that breaks: the calls in flight fail with its error, and so do later ones.
  auto latch = std::make_shared<Latch>();
  auto breaking = server.returnBrokenRequest();
  breaking.setGate(run.newGate(latch));
  breaking.setReason("broken on purpose");
  auto broken = breaking.send().wait(run.waitScope).getRecorder();
  auto inFlight = broken.markRequest().send();
  latch->open();
  run.mustFail(kj::mv(inFlight), kj::Exception::Type::OVERLOADED, "broken on purpose");
  run.mustFail(broken.markRequest().send(), kj::Exception::Type::OVERLOADED, "broken on purpose");
}

// -------------------------------------------------------------------------------------------------- tail calls

void tailCalls(Run& run) {
  auto server = run.interop();

  // The server's method ends in a call of the client's object, whose results are the client's answer.
  auto latch = std::make_shared<Latch>();
  auto request = server.tailRequest();
  request.setValue(5);
  request.setCallback(run.newCallback([&run, latch](CallbackServer::Context context) {
    return latch->opened().then([&run, context]() mutable {
      context.getResults().setValue(context.getParams().getValue() * 100);
      context.getResults().setNode(run.newNode("tail"));
    });
  }));
  auto promise = request.send();
  auto node = fiveDeep(promise.getNode());
  auto path = node.pathRequest().send();
  run.sleep(20 * kj::MILLISECONDS);
  latch->open();
  KJ_REQUIRE(promise.wait(run.waitScope).getValue() == 500);
  KJ_REQUIRE(path.wait(run.waitScope).getPath() == "tail/a/b/c/d/e");

  // An error of the callee.
  auto failing = server.tailRequest();
  failing.setCallback(run.newCallback([](auto) -> kj::Promise<void> {
    return kj::Exception(kj::Exception::Type::OVERLOADED, __FILE__, __LINE__, kj::str("no more"));
  }));
  run.mustFail(failing.send(), kj::Exception::Type::OVERLOADED, "no more");

  // A method of the client that ends in a call of the server's object, the server being the caller.
  auto bouncer = server.bouncerRequest().send().getBouncer();
  auto callBack = server.callBackRequest();
  callBack.setCount(10);
  callBack.setCallback(run.newCallback([bouncer](CallbackServer::Context context) mutable {
    return context.tailCall(bouncer.bounceRequest());
  }));
  callBack.send().wait(run.waitScope);

  // Tail calls that go to and fro between the sides, to an even and to an odd depth.
  for (uint depth: {0, 1, 2, 3, 6, 15}) {
    auto bounce = bouncer.bounceRequest();
    bounce.setOther(kj::heap<BouncerServer>(run.tally, "client"));
    bounce.setDepth(depth);
    auto answer = bounce.send();
    auto end = answer.getNode().pathRequest().send();
    KJ_REQUIRE(end.wait(run.waitScope).getPath() == (depth % 2 == 0 ? "server" : "client"), depth);
    answer.wait(run.waitScope);
  }
}

const Scenario SCENARIOS[] = {
    {"embargo-answer", embargoAnswer},
    {"embargo-resolve", embargoResolve},
    {"reflected-calls", reflectedCalls},
    {"tail-calls", tailCalls},
};

}  // namespace

const kj::ArrayPtr<const Scenario> REFLECTION_SCENARIOS = SCENARIOS;

}  // namespace capstan
