// Small objects that a server makes and that a client lends: nodes, gates, recorders, callbacks, bouncers, hangers.
// Each counts in the tally it is given. What outlives an object, or is looked at from outside, is in a shared record.

#pragma once

#include <kj/async.h>
#include <kj/function.h>

#include <memory>
#include <vector>

#include "interop.capnp.h"
#include "support.h"

namespace capstan {

class NodeServer: public interop::Node::Server, private Counted {
public:
  NodeServer(Tally& tally, kj::String path): Counted(tally), ownPath(kj::mv(path)) {}

protected:
  kj::Promise<void> path(PathContext context) override;
  kj::Promise<void> child(ChildContext context) override;

private:
  kj::String ownPath;
};

// A gate's state: whoever holds it can open it, once.
class Latch {
public:
  Latch(): Latch(kj::newPromiseAndFulfiller<void>()) {}
  void open() { fulfiller->fulfill(); }
  kj::Promise<void> opened() { return promise.addBranch(); }

  uint passed = 0;  // how many calls of `pass` have come

private:
  explicit Latch(kj::PromiseFulfillerPair<void> pair)
      : promise(pair.promise.fork()), fulfiller(kj::mv(pair.fulfiller)) {}

  kj::ForkedPromise<void> promise;
  kj::Own<kj::PromiseFulfiller<void>> fulfiller;
};

class GateServer final: public interop::Gate::Server, private Counted {
public:
  GateServer(Tally& tally, std::shared_ptr<Latch> latch): Counted(tally), latch(kj::mv(latch)) {}

protected:
  kj::Promise<void> pass(PassContext context) override;

private:
  std::shared_ptr<Latch> latch;
};

// The sequence numbers a recorder was called with, in the order of the calls.
using Marks = std::shared_ptr<std::vector<uint32_t>>;

class RecorderServer final: public interop::Recorder::Server, private Counted {
public:
  RecorderServer(Tally& tally, Marks marks): Counted(tally), marks(kj::mv(marks)) {}

protected:
  kj::Promise<void> mark(MarkContext context) override;

private:
  Marks marks;
};

// Answers each call with what the function makes of it; the function may call back into the other side.
class CallbackServer final: public interop::Callback::Server, private Counted {
public:
  using Context = capnp::CallContext<interop::Callback::CallParams, interop::Answer>;
  using Function = kj::Function<kj::Promise<void>(Context context)>;
  CallbackServer(Tally& tally, Function function): Counted(tally), function(kj::mv(function)) {}

protected:
  kj::Promise<void> call(CallContext context) override { return function(context); }

private:
  Function function;
};

class BouncerServer final: public interop::Bouncer::Server, private Counted {
public:
  BouncerServer(Tally& tally, kj::StringPtr name): Counted(tally), name(name) {}

protected:
  kj::Promise<void> bounce(BounceContext context) override;

private:
  kj::StringPtr name;
};

class HangerServer final: public interop::Hanger::Server, private Counted {
public:
  explicit HangerServer(Tally& tally): Counted(tally) {}

protected:
  kj::Promise<void> hang(HangContext context) override;
};

}  // namespace capstan
