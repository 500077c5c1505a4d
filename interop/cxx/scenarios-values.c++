// Scenarios about values: bootstrap, fields of every type, errors.

#include "everything.h"
#include "scenario.h"

namespace capstan {

using namespace interop;

namespace {

void bootstrap(Run& run) {
  auto first = run.interop();
  auto request = first.helloRequest();
  request.setName("world");
  auto answer = request.send().wait(run.waitScope);
  KJ_REQUIRE(answer.getGreeting() == "Hello, world!", answer.getGreeting());

  // A connection can be asked for its bootstrap object again, and while the first answer is still under way.
  auto second = run.interop();
  auto third = run.interop();
  auto early = third.helloRequest();
  early.setName("again");
  auto earlyAnswer = early.send();
  auto late = second.helloRequest();
  late.setName("");
  KJ_REQUIRE(late.send().wait(run.waitScope).getGreeting() == "Hello, !");
  KJ_REQUIRE(earlyAnswer.wait(run.waitScope).getGreeting() == "Hello, again!");

  // A second connection to the same server.
  auto stream = connectTo(run.io, run.address);
  capnp::TwoPartyClient other(*stream);
  auto there = other.bootstrap().castAs<Interop>().helloRequest();
  there.setName("there");
  KJ_REQUIRE(there.send().wait(run.waitScope).getGreeting() == "Hello, there!");
}

void exchangeSample(Run& run, Interop::Client server, Sample sample) {
  auto request = server.exchangeRequest();
  request.setSample(sample);
  writeSample(request.initValue(), sample, [&run](kj::StringPtr path) { return run.newNode(path); });
  auto response = request.send().wait(run.waitScope);
  checkSample(response.getValue(), sample).wait(run.waitScope);

  auto copy = server.copyRequest();
  writeSample(copy.initValue(), sample, [&run](kj::StringPtr path) { return run.newNode(path); });
  auto copied = copy.send().wait(run.waitScope);
  checkSample(copied.getValue(), sample).wait(run.waitScope);
}

void fields(Run& run) {
  auto server = run.interop();
  for (auto sample: {Sample::EMPTY, Sample::ORDINARY, Sample::EXTREME}) exchangeSample(run, server, sample);

  // No value at all: a null pointer reads as the empty sample.
  auto nothing = server.exchangeRequest();
  nothing.setSample(Sample::EMPTY);
  checkSample(nothing.send().wait(run.waitScope).getValue(), Sample::EMPTY).wait(run.waitScope);

  // A generic method, with a text, a struct and a capability in place of T.
  auto text = server.identityRequest<capnp::Text>();
  text.setValue("generic");
  KJ_REQUIRE(text.send().wait(run.waitScope).getValue() == "generic");
  auto point = server.identityRequest<Point>();
  point.initValue().setY(-77);
  KJ_REQUIRE(point.send().wait(run.waitScope).getValue().getY() == -77);
  auto object = server.identityRequest<Node>();
  object.setValue(run.newNode("own"));
  KJ_REQUIRE(object.send().getValue().pathRequest().send().wait(run.waitScope).getPath() == "own");

  // An object of a generic interface.
  auto makeCell = server.makeCellRequest();
  makeCell.setInitial("one");
  auto cell = makeCell.send().getCell();
  auto set = cell.setRequest();
  set.setValue("two");
  auto previous = set.send();
  auto get = cell.getRequest().send();
  KJ_REQUIRE(previous.wait(run.waitScope).getPrevious() == "one");
  KJ_REQUIRE(get.wait(run.waitScope).getValue() == "two");
}

// A method and an interface that the server does not have.
void callUnknown(Run& run, Interop::Client server) {
  const auto unimplemented = kj::Exception::Type::UNIMPLEMENTED;
  auto wrongInterface = server.castAs<Recorder>();
  run.mustFail(wrongInterface.markRequest().send(), unimplemented, "");
  auto typeless = capnp::Capability::Client(server).typelessRequest(capnp::typeId<Basics>(), 4711, capnp::MessageSize{4, 0});
  typeless.initAs<Point>().setX(1);
  run.mustFail(typeless.send(), unimplemented, "");
}

void errors(Run& run) {
  auto server = run.interop();
  const kj::Exception::Type types[] = {kj::Exception::Type::FAILED, kj::Exception::Type::OVERLOADED,
                                       kj::Exception::Type::DISCONNECTED, kj::Exception::Type::UNIMPLEMENTED};
  for (uint i = 0; i < 4; i++) {
    auto reason = kj::str("reason ", i, ": ünïcode");
    auto request = server.failRequest();
    request.setKind(static_cast<ErrorKind>(i));
    request.setReason(reason);
    auto promise = request.send();
    auto pipelined = promise.getNode().childRequest().send().getNode().pathRequest().send();
    run.mustFail(kj::mv(promise), types[i], reason);
    run.mustFail(kj::mv(pipelined), types[i], reason);
  }

  // An error of an object of the client, called by the server, comes back with its type.
  for (uint i = 0; i < 4; i++) {
    auto callBack = server.callBackRequest();
    callBack.setCount(1);
    callBack.setCallback(run.newCallback([type = types[i]](auto) -> kj::Promise<void> {
      return kj::Exception(type, __FILE__, __LINE__, kj::str("thrown by the client"));
    }));
    run.mustFail(callBack.send(), types[i], "thrown by the client");
  }

  callUnknown(run, server);

  // The server checks what it gets.
  auto wrong = server.exchangeRequest();
  wrong.setSample(Sample::ORDINARY);
  run.mustFail(wrong.send(), kj::Exception::Type::FAILED, "");

  // A call on a null capability, by either side.
  auto toNull = server.tailRequest();
  run.mustFail(toNull.send(), kj::Exception::Type::FAILED, "");

  // The connection has survived it all.
  KJ_REQUIRE(server.helloRequest().send().wait(run.waitScope).getGreeting() == "Hello, !");
}

const Scenario SCENARIOS[] = {
    {"bootstrap", bootstrap},
    {"fields", fields},
    {"errors", errors},
};

}  // namespace

const kj::ArrayPtr<const Scenario> VALUE_SCENARIOS = SCENARIOS;

}  // namespace capstan
