// What a client scenario is, and the few helpers all of them share.
//
// A scenario throws when an answer is not the expected one. Its locals go before the connection does, so server objects that it
// lends own what they touch.

#pragma once

#include <capnp/rpc-twoparty.h>
#include <kj/async-io.h>
#include <kj/debug.h>
#include <kj/vector.h>

#include "interop.capnp.h"
#include "objects.h"
#include "support.h"

namespace capstan {

struct Run {
  kj::AsyncIoContext& io;
  kj::WaitScope& waitScope;
  kj::Timer& timer;
  capnp::TwoPartyClient& connection;
  kj::StringPtr address;
  Tally& tally;  // the objects this client lends
  kj::Vector<kj::String> notes;

  interop::Interop::Client interop() { return connection.bootstrap().castAs<interop::Interop>(); }

  template <typename... Parts>
  void note(Parts&&... parts) {
    notes.add(kj::str(kj::fwd<Parts>(parts)...));
  }

  // The server's counts, as of after every call that this client sent before.
  Tally serverCounts();

  // Asks again and again until the condition holds; throws after ten seconds. For what nobody tells: releases, cancellations.
  void eventually(kj::StringPtr what, kj::Function<bool()> condition);

  void sleep(kj::Duration duration) { timer.afterDelay(duration).wait(waitScope); }

  interop::Node::Client newNode(kj::StringPtr path) { return kj::heap<NodeServer>(tally, kj::str(path)); }
  interop::Recorder::Client newRecorder(Marks marks) { return kj::heap<RecorderServer>(tally, kj::mv(marks)); }
  interop::Gate::Client newGate(std::shared_ptr<Latch> latch) { return kj::heap<GateServer>(tally, kj::mv(latch)); }
  interop::Hanger::Client newHanger() { return kj::heap<HangerServer>(tally); }
  interop::Callback::Client newCallback(CallbackServer::Function function) {
    return kj::heap<CallbackServer>(tally, kj::mv(function));
  }

  // Waits for the promise and throws unless it fails with this type and a description that ends in `reason`.
  template <typename T>
  void mustFail(T&& promise, kj::Exception::Type type, kj::StringPtr reason) {
    KJ_IF_MAYBE (error, kj::runCatchingExceptions([&]() { promise.wait(waitScope); })) {
      KJ_REQUIRE(error->getType() == type, "the call failed with another type of error", *error);
      KJ_REQUIRE(error->getDescription().endsWith(reason), "the call failed for another reason", *error, reason);
    } else {
      KJ_FAIL_REQUIRE("a call that must fail was answered", reason);
    }
  }
};

// child("a") of the node, child("b") of that, and so on to "e", pipelined.
interop::Node::Client fiveDeep(interop::Node::Client node);

struct Scenario {
  kj::StringPtr name;
  void (*run)(Run&);
};

extern const kj::ArrayPtr<const Scenario> VALUE_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> OBJECT_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> REFLECTION_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> ENDING_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> FLOW_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> CALCULATOR_SCENARIOS;
extern const kj::ArrayPtr<const Scenario> SAVING_SCENARIOS;

}  // namespace capstan
