// Scenarios about saved references.

#include <capnp/message.h>
#include <capnp/persistent.capnp.h>

#include "restorer.capnp.h"
#include "scenario.h"

namespace capstan {

using namespace interop;

namespace {

// What a program would keep on disk.
using Kept = kj::Own<capnp::MallocMessageBuilder>;

// Any client can be asked; the reference is copied as it is, whatever it may be.
Kept save(Run& run, capnp::Capability::Client client, bool sealed = false) {
  auto request = client.castAs<capnp::Persistent<capnp::AnyPointer, capnp::AnyPointer>>().saveRequest();
  if (sealed) {
    auto key = request.getSealFor().initAs<::Owner>().initKey(32);
    for (auto& byte: key) byte = 9;
  }
  auto response = request.send().wait(run.waitScope);
  auto kept = kj::heap<capnp::MallocMessageBuilder>();
  kept->getRoot<capnp::AnyPointer>().set(response.getSturdyRef());
  return kept;
}

Node::Client restore(::Restorer::Client restorer, Kept& kept) {
  auto request = restorer.restoreRequest();
  request.getRef().set(kept->getRoot<capnp::AnyPointer>().asReader());
  return request.send().getCap().castAs<Node>();
}

void mustBePath(Run& run, Node::Client node, kj::StringPtr path) {
  KJ_REQUIRE(node.pathRequest().send().wait(run.waitScope).getPath() == path, path);
}

void mustBeRefused(Run& run, Node::Client node) {
  KJ_IF_MAYBE (error, kj::runCatchingExceptions([&]() { node.pathRequest().send().wait(run.waitScope); })) {
    KJ_REQUIRE(error->getType() == kj::Exception::Type::FAILED, *error);
    KJ_REQUIRE(strstr(error->getDescription().cStr(), "not accepted") != nullptr, *error);
  } else {
    KJ_FAIL_REQUIRE("a reference that is none was restored");
  }
}

void savedReferences(Run& run) {
  auto server = run.interop();
  auto make = [&](kj::StringPtr path) {
    auto request = server.savedNodeRequest();
    request.setPath(path);
    return request.send().getNode();
  };

  // Pipelined: the node is only promised.
  auto kept = save(run, make("kept"));
  auto sealed = save(run, make("sealed"), true);
  auto plain = server.makeNodesRequest();
  plain.setCount(1);
  auto nodes = plain.send().wait(run.waitScope);
  run.mustFail(kj::evalNow([&]() {
    return nodes.getNodes()[0].castAs<capnp::Persistent<>>().saveRequest().send().ignoreResult();
  }), kj::Exception::Type::UNIMPLEMENTED, "");

  // Another connection, where nothing of the first is known.
  auto stream = connectTo(run.io, run.address);
  capnp::TwoPartyClient other(*stream);
  auto restorer = other.bootstrap().castAs<Interop>().restorerRequest().send().getRestorer().castAs<::Restorer>();
  auto node = restore(restorer, kept);
  mustBePath(run, node, "kept");
  auto again = save(run, node);
  mustBePath(run, restore(restorer, again), "kept");
  mustBePath(run, restore(restorer, kept), "kept");
  mustBeRefused(run, restore(restorer, sealed));

  capnp::MallocMessageBuilder forged;
  auto token = forged.initRoot<::SturdyRef>().initToken(32);
  for (auto& byte: token) byte = 7;
  auto request = restorer.restoreRequest();
  request.getRef().set(forged.getRoot<capnp::AnyPointer>().asReader());
  mustBeRefused(run, request.send().getCap().castAs<Node>());

  server.forgetRequest().send().wait(run.waitScope);
  mustBeRefused(run, restore(restorer, kept));
  // What was restored before lives on.
  mustBePath(run, node, "kept");
}

const Scenario SCENARIOS[] = {{"saved-references", savedReferences}};

}  // namespace

const kj::ArrayPtr<const Scenario> SAVING_SCENARIOS = SCENARIOS;

}  // namespace capstan
