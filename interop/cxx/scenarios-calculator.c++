// The calculator's client: expressions, functions defined on either side, pipelining of values into expressions.

#include <cmath>

#include "calculator.capnp.h"
#include "scenario.h"

namespace capstan {

using calculator::Calculator;

namespace {

class Power final: public Calculator::Function::Server {
protected:
  kj::Promise<void> call(CallContext context) override {
    auto params = context.getParams().getParams();
    KJ_REQUIRE(params.size() == 2, "a power has a base and an exponent");
    context.getResults().setValue(pow(params[0], params[1]));
    return kj::READY_NOW;
  }
};

using Expression = Calculator::Expression::Builder;

Calculator::Function::Client operatorOf(Calculator::Client calculator, Calculator::Operator op) {
  auto request = calculator.getOperatorRequest();
  request.setOp(op);
  return request.send().getFunc();
}

// Makes the expression a call of the function and returns its parameters, to be filled in.
capnp::List<Calculator::Expression>::Builder initCall(Expression expression, Calculator::Function::Client function,
                                                      uint count) {
  auto call = expression.initCall();
  call.setFunction(kj::mv(function));
  return call.initParams(count);
}

void mustRead(Run& run, Calculator::Value::Client value, double expected) {
  auto read = value.readRequest().send().wait(run.waitScope).getValue();
  KJ_REQUIRE(read == expected, "the calculator is wrong", read, expected);
}

void calculate(Run& run) {
  auto calculator = run.connection.bootstrap().castAs<Calculator>();
  auto add = operatorOf(calculator, Calculator::Operator::ADD);
  auto subtract = operatorOf(calculator, Calculator::Operator::SUBTRACT);
  auto multiply = operatorOf(calculator, Calculator::Operator::MULTIPLY);
  auto divide = operatorOf(calculator, Calculator::Operator::DIVIDE);

  auto literal = calculator.evaluateRequest();
  literal.getExpression().setLiteral(12.5);
  mustRead(run, literal.send().getValue(), 12.5);

  // (7 + 8) - 9 / 2, of operators whose objects have not arrived yet.
  auto nested = calculator.evaluateRequest();
  auto minus = initCall(nested.getExpression(), subtract, 2);
  auto plus = initCall(minus[0], add, 2);
  plus[0].setLiteral(7);
  plus[1].setLiteral(8);
  auto over = initCall(minus[1], divide, 2);
  over[0].setLiteral(9);
  over[1].setLiteral(2);
  mustRead(run, nested.send().getValue(), 10.5);

  // A value that is used twice before anyone has read it: v = 6 * 7; v + 1 and v - 1, in one flight.
  auto product = calculator.evaluateRequest();
  auto factors = initCall(product.getExpression(), multiply, 2);
  factors[0].setLiteral(6);
  factors[1].setLiteral(7);
  auto value = product.send().getValue();
  auto more = calculator.evaluateRequest();
  auto moreParams = initCall(more.getExpression(), add, 2);
  moreParams[0].setPreviousResult(value);
  moreParams[1].setLiteral(1);
  auto less = calculator.evaluateRequest();
  auto lessParams = initCall(less.getExpression(), subtract, 2);
  lessParams[0].setPreviousResult(value);
  lessParams[1].setLiteral(1);
  auto moreValue = more.send().getValue();
  auto lessValue = less.send().getValue();
  mustRead(run, kj::mv(moreValue), 43);
  mustRead(run, kj::mv(lessValue), 41);

  // f(x, y) = x * 10 + y;  g(x) = f(x, x - 1) / 2;  g(5) = 27.
  auto defineF = calculator.defFunctionRequest();
  defineF.setParamCount(2);
  auto fSum = initCall(defineF.getBody(), add, 2);
  auto fProduct = initCall(fSum[0], multiply, 2);
  fProduct[0].setParameter(0);
  fProduct[1].setLiteral(10);
  fSum[1].setParameter(1);
  auto f = defineF.send().getFunc();
  auto defineG = calculator.defFunctionRequest();
  defineG.setParamCount(1);
  auto gHalf = initCall(defineG.getBody(), divide, 2);
  auto gCall = initCall(gHalf[0], f, 2);
  gCall[0].setParameter(0);
  auto gLess = initCall(gCall[1], subtract, 2);
  gLess[0].setParameter(0);
  gLess[1].setLiteral(1);
  gHalf[1].setLiteral(2);
  auto g = defineG.send().getFunc();
  auto apply = calculator.evaluateRequest();
  initCall(apply.getExpression(), g, 1)[0].setLiteral(5);
  mustRead(run, apply.send().getValue(), 27);

  // A function of the client inside an expression of the server: 3 ^ (2 + 2) = 81, and inside a defined function.
  Calculator::Function::Client power = kj::heap<Power>();
  auto callBack = calculator.evaluateRequest();
  auto powerParams = initCall(callBack.getExpression(), power, 2);
  powerParams[0].setLiteral(3);
  auto exponent = initCall(powerParams[1], add, 2);
  exponent[0].setLiteral(2);
  exponent[1].setLiteral(2);
  mustRead(run, callBack.send().getValue(), 81);

  auto defineCube = calculator.defFunctionRequest();
  defineCube.setParamCount(1);
  auto cubeParams = initCall(defineCube.getBody(), power, 2);
  cubeParams[0].setParameter(0);
  cubeParams[1].setLiteral(3);
  auto callCube = defineCube.send().getFunc().callRequest();
  callCube.initParams(1).set(0, 4);
  KJ_REQUIRE(callCube.send().wait(run.waitScope).getValue() == 64);

  // Too few parameters for an operator, and a parameter outside of a function.
  auto lonely = add.callRequest();
  lonely.initParams(1).set(0, 1);
  run.mustFail(lonely.send(), kj::Exception::Type::FAILED, "");
  auto stray = calculator.evaluateRequest();
  stray.getExpression().setParameter(0);
  run.mustFail(stray.send().getValue().readRequest().send(), kj::Exception::Type::FAILED, "");
}

const Scenario SCENARIOS[] = {
    {"calculator", calculate},
};

}  // namespace

const kj::ArrayPtr<const Scenario> CALCULATOR_SCENARIOS = SCENARIOS;

}  // namespace capstan
