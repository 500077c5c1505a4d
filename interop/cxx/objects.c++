#include "objects.h"

namespace capstan {

kj::Promise<void> NodeServer::path(PathContext context) {
  context.getResults().setPath(ownPath);
  return kj::READY_NOW;
}

kj::Promise<void> NodeServer::child(ChildContext context) {
  auto path = kj::str(ownPath, "/", context.getParams().getName());
  auto results = context.getResults();
  results.setPath(path);
  results.setNode(kj::heap<NodeServer>(tally, kj::mv(path)));
  return kj::READY_NOW;
}

kj::Promise<void> GateServer::pass(PassContext context) {
  ++latch->passed;
  return latch->opened();
}

kj::Promise<void> RecorderServer::mark(MarkContext context) {
  context.getResults().setPosition(marks->size());
  marks->push_back(context.getParams().getSequence());
  return kj::READY_NOW;
}

kj::Promise<void> BouncerServer::bounce(BounceContext context) {
  auto depth = context.getParams().getDepth();
  if (depth == 0) {
    auto results = context.getResults();
    results.setValue(0);
    results.setNode(kj::heap<NodeServer>(tally, kj::str(name)));
    return kj::READY_NOW;
  }
  auto request = context.getParams().getOther().bounceRequest();
  request.setOther(thisCap());
  request.setDepth(depth - 1);
  return context.tailCall(kj::mv(request));
}

kj::Promise<void> HangerServer::hang(HangContext context) {
  context.allowCancellation();
  return hangForever(tally);
}

}  // namespace capstan
