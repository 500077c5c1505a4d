// Saved references of the server role: nodes that implement Persistent, and the Restorer that gives them back.

#pragma once

#include <map>
#include <memory>
#include <string>

#include "interop.capnp.h"
#include "restorer.capnp.h"
#include "support.h"

namespace capstan {

// What a reference stands for.
struct Saved {
  std::string path;
  bool sealed;
};

// By token.
using Tokens = std::shared_ptr<std::map<std::string, Saved>>;

class Vault {
public:
  explicit Vault(Tally& tally): tally(tally), tokens(std::make_shared<std::map<std::string, Saved>>()) {}

  interop::Node::Client newNode(kj::StringPtr path);
  ::Restorer::Client newRestorer();
  void forget() { tokens->clear(); }

private:
  Tally& tally;
  Tokens tokens;
};

}  // namespace capstan
