// The calculator as a bootstrap object.

#pragma once

#include "calculator.capnp.h"

namespace capstan {

calculator::Calculator::Client makeCalculator();

}  // namespace capstan
