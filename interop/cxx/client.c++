// The client role:  client ADDRESS SCENARIO
//
// Connects, plays one scenario, prints one line of JSON, {"scenario", "ok", "notes" or "error"}, and exits 0 when all was as
// expected and 1 when not. Without arguments lists the scenarios.

#include <cstdio>

#include "scenario.h"

namespace capstan {

Tally Run::serverCounts() {
  auto counts = interop().countsRequest().send().wait(waitScope).getCounts();
  return Tally{counts.getObjects(), counts.getHanging(), counts.getCanceled(), counts.getHeld(), counts.getHangsLost()};
}

void Run::eventually(kj::StringPtr what, kj::Function<bool()> condition) {
  for (uint i = 0; i < 2000; i++) {
    if (condition()) return;
    sleep(5 * kj::MILLISECONDS);
  }
  auto counts = serverCounts();
  KJ_FAIL_REQUIRE("waited in vain", what, tally.objects, tally.hanging, tally.canceled, counts.objects, counts.hanging,
                  counts.canceled, counts.held, counts.hangsLost);
}

namespace {

template <typename Function>
void eachScenario(Function&& function) {
  for (auto list: {VALUE_SCENARIOS, OBJECT_SCENARIOS, REFLECTION_SCENARIOS, ENDING_SCENARIOS, FLOW_SCENARIOS,
                   CALCULATOR_SCENARIOS, SAVING_SCENARIOS}) {
    for (auto& scenario: list) function(scenario);
  }
}

void play(kj::StringPtr address, const Scenario& scenario, kj::Vector<kj::String>& notes) {
  auto io = kj::setupAsyncIo();
  Tally tally;  // outlives the connection, which destroys the lent objects
  auto stream = connectTo(io, address);
  capnp::TwoPartyClient connection(*stream);
  Run run{io, io.waitScope, io.provider->getTimer(), connection, address, tally, {}};
  scenario.run(run);
  notes = kj::mv(run.notes);
}

int main(int argc, char* argv[]) {
  if (argc != 3) {
    eachScenario([](const Scenario& scenario) { printf("%s\n", scenario.name.cStr()); });
    return 2;
  }
  const Scenario* found = nullptr;
  eachScenario([&](const Scenario& scenario) {
    if (scenario.name == argv[2]) found = &scenario;
  });
  if (found == nullptr) {
    fprintf(stderr, "no scenario is called %s\n", argv[2]);
    return 2;
  }

  dieWithParent();
  kj::Vector<kj::String> notes;
  auto failure = kj::runCatchingExceptions([&]() { play(argv[1], *found, notes); });
  auto head = kj::str("{\"scenario\": ", jsonString(found->name), ", ");
  KJ_IF_MAYBE (error, failure) {
    auto where = kj::str(error->getFile(), ":", error->getLine(), ": ", error->getDescription());
    printf("%s\"ok\": false, \"error\": %s}\n", head.cStr(), jsonString(where).cStr());
    return 1;
  }
  auto quoted = KJ_MAP(text, notes) { return jsonString(text); };
  printf("%s\"ok\": true, \"notes\": [%s]}\n", head.cStr(), kj::strArray(quoted, ", ").cStr());
  return 0;
}

}  // namespace
}  // namespace capstan

int main(int argc, char* argv[]) {
  return capstan::main(argc, argv);
}
