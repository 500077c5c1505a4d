#include "interop-server.h"

#include <kj/debug.h>

#include <csignal>
#include <cstring>
#include <unistd.h>
#include <vector>

#include "everything.h"
#include "objects.h"
#include "saving.h"

namespace capstan {

using namespace interop;

namespace {

kj::Exception::Type typeOf(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::FAILED: return kj::Exception::Type::FAILED;
    case ErrorKind::OVERLOADED: return kj::Exception::Type::OVERLOADED;
    case ErrorKind::DISCONNECTED: return kj::Exception::Type::DISCONNECTED;
    case ErrorKind::UNIMPLEMENTED: return kj::Exception::Type::UNIMPLEMENTED;
  }
  KJ_FAIL_REQUIRE("unknown kind of error", static_cast<uint>(kind));
}

kj::Exception makeError(ErrorKind kind, kj::StringPtr reason) {
  return kj::Exception(typeOf(kind), __FILE__, __LINE__, kj::str(reason));
}

class CellServer final: public Cell<capnp::Text>::Server, private Counted {
public:
  CellServer(Tally& tally, kj::StringPtr value): Counted(tally), value(kj::str(value)) {}

protected:
  kj::Promise<void> get(GetContext context) override {
    context.getResults().setValue(value);
    return kj::READY_NOW;
  }

  kj::Promise<void> set(SetContext context) override {
    context.getResults().setPrevious(value);
    value = kj::str(context.getParams().getValue());
    return kj::READY_NOW;
  }

private:
  kj::String value;
};

class HolderServer final: public Holder::Server, private Counted {
public:
  HolderServer(Tally& tally, capnp::List<Recorder>::Reader recorders): Counted(tally) {
    for (uint i = 0; i < recorders.size(); i++) held.push_back(recorders[i]);
    tally.held += held.size();
  }
  ~HolderServer() { tally.held -= held.size(); }

protected:
  kj::Promise<void> get(GetContext context) override {
    auto index = context.getParams().getIndex();
    KJ_REQUIRE(index < held.size(), "no recorder with this index", index);
    context.getResults().setRecorder(held[index]);
    return kj::READY_NOW;
  }

  kj::Promise<void> all(AllContext context) override {
    auto list = context.getResults().initRecorders(held.size());
    for (uint i = 0; i < held.size(); i++) list.set(i, held[i]);
    return kj::READY_NOW;
  }

private:
  std::vector<Recorder::Client> held;
};

// Keeps a call going until it is dropped.
class HandleServer final: public Handle::Server, private Counted {
public:
  HandleServer(Tally& tally, kj::Promise<void> call)
      : Counted(tally), call(call.eagerlyEvaluate([](kj::Exception&&) {})) {}

private:
  kj::Promise<void> call;
};

class SinkServer final: public Sink::Server, private Counted {
public:
  SinkServer(Tally& tally, kj::Timer& timer, uint64_t failAfter): Counted(tally), timer(timer), failAfter(failAfter) {}

protected:
  kj::Promise<void> write(WriteContext context) override {
    auto chunk = context.getParams().getChunk();
    if (failAfter > 0 && bytes + chunk.size() > failAfter) return makeError(ErrorKind::OVERLOADED, "sink is full");
    auto megabytesBefore = bytes >> 20;
    bytes += chunk.size();
    for (auto byte: chunk) sum += byte;
    if (bytes >> 20 == megabytesBefore) return kj::READY_NOW;
    return timer.afterDelay(1 * kj::MILLISECONDS);
  }

  kj::Promise<void> done(DoneContext context) override {
    auto results = context.getResults();
    results.setBytes(bytes);
    results.setSum(sum);
    return kj::READY_NOW;
  }

private:
  kj::Timer& timer;
  uint64_t failAfter;
  uint64_t bytes = 0;
  uint64_t sum = 0;
};

class InteropServer final: public Interop::Server, private kj::TaskSet::ErrorHandler {
public:
  InteropServer(Tally& tally, kj::Timer& timer): tally(tally), timer(timer), vault(tally), abandoned(*this) {}

protected:
  // -------------------------------------------------------------------------------------------- Basics

  kj::Promise<void> hello(HelloContext context) override {
    context.getResults().setGreeting(kj::str("Hello, ", context.getParams().getName(), "!"));
    return kj::READY_NOW;
  }

  kj::Promise<void> exchange(ExchangeContext context) override {
    auto params = context.getParams();
    auto sample = params.getSample();
    return checkSample(params.getValue(), sample).then([this, sample, context]() mutable {
      writeSample(context.getResults().initValue(), sample, [this](kj::StringPtr path) { return newNode(path); });
    });
  }

  kj::Promise<void> copy(CopyContext context) override {
    context.getResults().setValue(context.getParams().getValue());
    return kj::READY_NOW;
  }

  kj::Promise<void> fail(FailContext context) override {
    auto params = context.getParams();
    return makeError(params.getKind(), params.getReason());
  }

  kj::Promise<void> identity(IdentityContext context) override {
    context.getResults().getValue().set(context.getParams().getValue());
    return kj::READY_NOW;
  }

  kj::Promise<void> makeCell(MakeCellContext context) override {
    context.getResults().setCell(kj::heap<CellServer>(tally, context.getParams().getInitial()));
    return kj::READY_NOW;
  }

  // -------------------------------------------------------------------------------------------- Objects

  kj::Promise<void> root(RootContext context) override {
    kj::Promise<void> ready = kj::READY_NOW;
    if (context.getParams().hasGate()) ready = context.getParams().getGate().passRequest().send().ignoreResult();
    return ready.then([this, context]() mutable { context.getResults().setNode(newNode("root")); });
  }

  kj::Promise<void> rootEarly(RootEarlyContext context) override {
    auto node = newNode("root");
    capnp::PipelineBuilder<Objects::RootEarlyResults> pipeline;
    pipeline.setNode(node);
    context.setPipeline(pipeline.build());
    return context.getParams().getGate().passRequest().send().then([context, node](auto&&) mutable {
      context.getResults().setNode(kj::mv(node));
    });
  }

  kj::Promise<void> makeNodes(MakeNodesContext context) override {
    auto count = context.getParams().getCount();
    auto nodes = context.getResults().initNodes(count);
    for (uint i = 0; i < count; i++) nodes.set(i, newNode(kj::str(i)));
    return kj::READY_NOW;
  }

  kj::Promise<void> hold(HoldContext context) override {
    context.getResults().setHolder(kj::heap<HolderServer>(tally, context.getParams().getRecorders()));
    return kj::READY_NOW;
  }

  kj::Promise<void> return_(ReturnContext context) override {
    context.getResults().setRecorder(context.getParams().getRecorder());
    return kj::READY_NOW;
  }

  kj::Promise<void> returnLater(ReturnLaterContext context) override {
    auto params = context.getParams();
    auto recorder = params.getRecorder();
    context.getResults().setRecorder(params.getGate().passRequest().send().then(
        [recorder](auto&&) mutable -> Recorder::Client { return kj::mv(recorder); }));
    return kj::READY_NOW;
  }

  kj::Promise<void> returnBroken(ReturnBrokenContext context) override {
    auto params = context.getParams();
    auto error = makeError(ErrorKind::OVERLOADED, params.getReason());
    context.getResults().setRecorder(params.getGate().passRequest().send().then(
        [error = kj::mv(error)](auto&&) mutable -> kj::Promise<Recorder::Client> { return kj::mv(error); }));
    return kj::READY_NOW;
  }

  kj::Promise<void> callBack(CallBackContext context) override {
    auto params = context.getParams();
    auto callback = params.getCallback();
    auto count = params.getCount();
    return callInTurn(callback, 0, count / 2, context).then([this, callback, count, context]() mutable {
      kj::Vector<kj::Promise<void>> calls;
      for (uint i = count / 2; i < count; i++) calls.add(callOnce(callback, i, context));
      return kj::joinPromises(calls.releaseAsArray());
    });
  }

  kj::Promise<void> tail(TailContext context) override {
    auto params = context.getParams();
    auto request = params.getCallback().callRequest();
    request.setValue(params.getValue());
    return context.tailCall(kj::mv(request));
  }

  kj::Promise<void> bouncer(BouncerContext context) override {
    context.getResults().setBouncer(kj::heap<BouncerServer>(tally, "server"));
    return kj::READY_NOW;
  }

  kj::Promise<void> hangOn(HangOnContext context) override {
    context.allowCancellation();
    return context.getParams().getHanger().hangRequest().send().ignoreResult();
  }

  kj::Promise<void> startHang(StartHangContext context) override {
    auto call = context.getParams().getHanger().hangRequest().send().ignoreResult();
    context.getResults().setHandle(kj::heap<HandleServer>(tally, kj::mv(call)));
    return kj::READY_NOW;
  }

  kj::Promise<void> markTwice(MarkTwiceContext context) override {
    auto params = context.getParams();
    auto recorder = params.getRecorder();
    auto first = recorder.markRequest();
    first.setSequence(params.getFirst());
    auto firstAnswer = first.send();
    auto second = recorder.markRequest();
    second.setSequence(params.getFirst() + 1);
    auto secondAnswer = second.send();
    return firstAnswer.then([secondAnswer = kj::mv(secondAnswer)](auto&&) mutable { return kj::mv(secondAnswer); })
        .then([context](auto&& answer) mutable { context.getResults().setSecond(answer.getPosition()); });
  }

  kj::Promise<void> abandonHang(AbandonHangContext context) override {
    abandoned.add(context.getParams().getHanger().hangRequest().send().ignoreResult());
    return kj::READY_NOW;
  }

  // -------------------------------------------------------------------------------------------- Flow

  kj::Promise<void> hang(HangContext context) override {
    context.allowCancellation();
    return hangForever(tally);
  }

  kj::Promise<void> barrier(BarrierContext context) override {
    auto params = context.getParams();
    context.getResults().setIndex(params.getIndex());
    auto pair = kj::newPromiseAndFulfiller<void>();
    waiting.push_back(kj::mv(pair.fulfiller));
    if (waiting.size() == params.getTotal()) {
      for (auto& fulfiller: waiting) fulfiller->fulfill();
      waiting.clear();
    }
    return kj::mv(pair.promise);
  }

  kj::Promise<void> bulk(BulkContext context) override {
    // Each part is fetched once: libcapnp counts every fetch against its limit of 64 MiB per message.
    auto from = context.getParams().getParts();
    auto count = from.size();
    auto to = context.getResults().initParts(count);
    for (uint i = 0; i < count; i++) {
      auto part = from[i];
      for (size_t j = 0; j < part.size(); j++) {
        KJ_REQUIRE(part[j] == (i * 31 + j) % 251, "a byte of the message is wrong", i, j, part[j]);
      }
      to.set(count - 1 - i, part);
    }
    context.releaseParams();
    return kj::READY_NOW;
  }

  kj::Promise<void> openSink(OpenSinkContext context) override {
    context.getResults().setSink(kj::heap<SinkServer>(tally, timer, context.getParams().getFailAfter()));
    return kj::READY_NOW;
  }

  // -------------------------------------------------------------------------------------------- Saving

  kj::Promise<void> savedNode(SavedNodeContext context) override {
    context.getResults().setNode(vault.newNode(context.getParams().getPath()));
    return kj::READY_NOW;
  }

  kj::Promise<void> restorer(RestorerContext context) override {
    context.getResults().setRestorer(vault.newRestorer());
    return kj::READY_NOW;
  }

  kj::Promise<void> forget(ForgetContext context) override {
    vault.forget();
    return kj::READY_NOW;
  }

  // -------------------------------------------------------------------------------------------- Diagnostics

  kj::Promise<void> counts(CountsContext context) override {
    auto counts = context.getResults().initCounts();
    counts.setObjects(tally.objects);
    counts.setHanging(tally.hanging);
    counts.setCanceled(tally.canceled);
    counts.setHeld(tally.held);
    counts.setHangsLost(tally.hangsLost);
    return kj::READY_NOW;
  }

  kj::Promise<void> memory(MemoryContext context) override {
    auto use = memoryUse();
    auto memory = context.getResults().initMemory();
    memory.setResident(use.resident);
    memory.setPeak(use.peak);
    return kj::READY_NOW;
  }

  kj::Promise<void> die(DieContext context) override {
    kill(getpid(), SIGKILL);
    return kj::NEVER_DONE;
  }

private:
  Node::Client newNode(kj::StringPtr path) { return kj::heap<NodeServer>(tally, kj::str(path)); }

  static kj::Promise<void> callOnce(Callback::Client callback, uint32_t value, CallBackContext context) {
    auto request = callback.callRequest();
    request.setValue(value);
    return request.send().then([context](auto&& answer) mutable {
      auto results = context.getResults();
      results.setSum(results.getSum() + answer.getValue());
    });
  }

  static kj::Promise<void> callInTurn(Callback::Client callback, uint32_t from, uint32_t to, CallBackContext context) {
    if (from == to) return kj::READY_NOW;
    return callOnce(callback, from, context).then([callback, from, to, context]() mutable {
      return callInTurn(kj::mv(callback), from + 1, to, context);
    });
  }

  void taskFailed(kj::Exception&& exception) override {
    if (exception.getType() == kj::Exception::Type::DISCONNECTED) ++tally.hangsLost;
  }

  Tally& tally;
  kj::Timer& timer;
  Vault vault;
  kj::TaskSet abandoned;
  std::vector<kj::Own<kj::PromiseFulfiller<void>>> waiting;
};

}  // namespace

Interop::Client makeInteropServer(Tally& tally, kj::Timer& timer) {
  return kj::heap<InteropServer>(tally, timer);
}

}  // namespace capstan
