#include "saving.h"

#include <capnp/persistent.capnp.h>
#include <kj/debug.h>

#include <random>

#include "objects.h"

namespace capstan {

namespace {

using Persistent = capnp::Persistent<::SturdyRef, ::Owner>;

std::string newToken() {
  std::random_device random;
  std::string token(32, '\0');
  for (auto& byte: token) byte = static_cast<char>(random());
  return token;
}

// Node and Persistent are no relatives: the object is both.
class SavedNodeServer final: public NodeServer, public Persistent::Server {
public:
  SavedNodeServer(Tally& tally, kj::StringPtr path, Tokens tokens)
      : NodeServer(tally, kj::str(path)), path(path.cStr()), tokens(kj::mv(tokens)) {}

protected:
  kj::Promise<void> save(SaveContext context) override {
    auto token = newToken();
    (*tokens)[token] = Saved{path, context.getParams().hasSealFor()};
    auto bytes = capnp::Data::Reader(reinterpret_cast<const kj::byte*>(token.data()), token.size());
    context.getResults().initSturdyRef().setToken(bytes);
    return kj::READY_NOW;
  }

  DispatchCallResult dispatchCall(
      uint64_t interfaceId, uint16_t methodId,
      capnp::CallContext<capnp::AnyPointer, capnp::AnyPointer> context) override {
    if (interfaceId == capnp::typeId<Persistent>()) {
      return Persistent::Server::dispatchCall(interfaceId, methodId, context);
    }
    return NodeServer::dispatchCall(interfaceId, methodId, context);
  }

private:
  std::string path;
  Tokens tokens;
};

class RestorerServer final: public ::Restorer::Server, private Counted {
public:
  RestorerServer(Tally& tally, Tokens tokens): Counted(tally), tokens(kj::mv(tokens)) {}

protected:
  kj::Promise<void> restore(RestoreContext context) override {
    auto token = context.getParams().getRef().getAs<::SturdyRef>().getToken();
    auto found = tokens->find(std::string(reinterpret_cast<const char*>(token.begin()), token.size()));
    KJ_REQUIRE(found != tokens->end() && !found->second.sealed, "the reference is not accepted");
    context.getResults().setCap(kj::heap<SavedNodeServer>(tally, found->second.path.c_str(), tokens));
    return kj::READY_NOW;
  }

private:
  Tokens tokens;
};

}  // namespace

interop::Node::Client Vault::newNode(kj::StringPtr path) {
  return kj::heap<SavedNodeServer>(tally, path, tokens);
}

::Restorer::Client Vault::newRestorer() {
  return kj::heap<RestorerServer>(tally, tokens);
}

}  // namespace capstan
