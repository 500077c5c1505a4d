// The server role:  server ADDRESS interop|calculator
//
// ADDRESS is unix:PATH or tcp://HOST:PORT. Prints "listening ADDRESS" when ready and serves until it is ended by a signal.

#include <capnp/rpc-twoparty.h>
#include <kj/debug.h>
#include <kj/main.h>

#include "calculator-server.h"
#include "interop-server.h"
#include "support.h"

namespace capstan {
namespace {

class ServerMain {
public:
  explicit ServerMain(kj::ProcessContext& context): context(context) {}

  kj::MainFunc getMain() {
    return kj::MainBuilder(context, "interop server", "Serves the interop scenarios.")
        .expectArg("ADDRESS", KJ_BIND_METHOD(*this, setAddress))
        .expectArg("interop|calculator", KJ_BIND_METHOD(*this, setBootstrap))
        .callAfterParsing(KJ_BIND_METHOD(*this, serve))
        .build();
  }

private:
  kj::MainBuilder::Validity setAddress(kj::StringPtr value) {
    address = value;
    return true;
  }

  kj::MainBuilder::Validity setBootstrap(kj::StringPtr value) {
    if (value != "interop" && value != "calculator") return "the bootstrap object is interop or calculator";
    bootstrap = value;
    return true;
  }

  kj::MainBuilder::Validity serve() {
    dieWithParent();
    auto io = kj::setupAsyncIo();
    Tally tally;
    capnp::TwoPartyServer server(
        bootstrap == "interop" ? capnp::Capability::Client(makeInteropServer(tally, io.provider->getTimer()))
                               : capnp::Capability::Client(makeCalculator()));
    auto receiver = listenAndSay(io, address);
    server.listen(*receiver).wait(io.waitScope);
    return true;
  }

  kj::ProcessContext& context;
  kj::StringPtr address;
  kj::StringPtr bootstrap;
};

}  // namespace
}  // namespace capstan

KJ_MAIN(capstan::ServerMain)
