#include "calculator-server.h"

#include <capnp/message.h>
#include <kj/debug.h>

#include "support.h"

namespace capstan {

using calculator::Calculator;

namespace {

using Numbers = kj::Array<double>;

class ValueServer final: public Calculator::Value::Server {
public:
  explicit ValueServer(double value): value(value) {}

protected:
  kj::Promise<void> read(ReadContext context) override {
    context.getResults().setValue(value);
    return kj::READY_NOW;
  }

private:
  double value;
};

kj::Promise<double> evaluate(Calculator::Expression::Reader expression, kj::ArrayPtr<const double> parameters);

kj::Promise<double> callFunction(Calculator::Function::Client function, kj::ArrayPtr<const double> arguments) {
  auto request = function.callRequest();
  auto list = request.initParams(arguments.size());
  for (uint i = 0; i < arguments.size(); i++) list.set(i, arguments[i]);
  return request.send().then([](auto&& response) { return response.getValue(); });
}

kj::Promise<Numbers> evaluateAll(capnp::List<Calculator::Expression>::Reader list,
                                 kj::ArrayPtr<const double> parameters) {
  auto values = kj::heapArrayBuilder<kj::Promise<double>>(list.size());
  for (auto expression: list) values.add(evaluate(expression, parameters));
  return kj::joinPromises(values.finish());
}

// `expression` and `parameters` are read before this returns.
kj::Promise<double> evaluate(Calculator::Expression::Reader expression, kj::ArrayPtr<const double> parameters) {
  switch (expression.which()) {
    case Calculator::Expression::LITERAL: return expression.getLiteral();

    case Calculator::Expression::PREVIOUS_RESULT:
      return expression.getPreviousResult().readRequest().send().then(
          [](auto&& response) { return response.getValue(); });

    case Calculator::Expression::PARAMETER: {
      auto index = expression.getParameter();
      KJ_REQUIRE(index < parameters.size(), "no parameter with this index", index);
      return parameters[index];
    }

    case Calculator::Expression::CALL: {
      auto call = expression.getCall();
      auto function = call.getFunction();
      return evaluateAll(call.getParams(), parameters).then([function](Numbers&& arguments) mutable {
        return callFunction(kj::mv(function), arguments);
      });
    }
  }
  KJ_FAIL_REQUIRE("unknown kind of expression", static_cast<uint>(expression.which()));
}

class DefinedFunction final: public Calculator::Function::Server {
public:
  DefinedFunction(uint parameterCount, Calculator::Expression::Reader body): parameterCount(parameterCount) {
    message.setRoot(body);
  }

protected:
  kj::Promise<void> call(CallContext context) override {
    auto list = context.getParams().getParams();
    KJ_REQUIRE(list.size() == parameterCount, "wrong number of parameters", list.size(), parameterCount);
    auto parameters = kj::heapArray<double>(list.size());
    for (uint i = 0; i < list.size(); i++) parameters[i] = list[i];
    auto body = message.getRoot<Calculator::Expression>().asReader();
    return evaluate(body, parameters).then([context](double value) mutable { context.getResults().setValue(value); });
  }

private:
  uint parameterCount;
  capnp::MallocMessageBuilder message;
};

class OperatorFunction final: public Calculator::Function::Server {
public:
  explicit OperatorFunction(Calculator::Operator op): op(op) {}

protected:
  kj::Promise<void> call(CallContext context) override {
    auto parameters = context.getParams().getParams();
    KJ_REQUIRE(parameters.size() == 2, "an operator has two parameters", parameters.size());
    context.getResults().setValue(apply(parameters[0], parameters[1]));
    return kj::READY_NOW;
  }

private:
  double apply(double left, double right) const {
    switch (op) {
      case Calculator::Operator::ADD: return left + right;
      case Calculator::Operator::SUBTRACT: return left - right;
      case Calculator::Operator::MULTIPLY: return left * right;
      case Calculator::Operator::DIVIDE: return left / right;
    }
    KJ_FAIL_REQUIRE("unknown operator", static_cast<uint>(op));
  }

  Calculator::Operator op;
};

class CalculatorServer final: public Calculator::Server {
protected:
  kj::Promise<void> evaluate(EvaluateContext context) override {
    return capstan::evaluate(context.getParams().getExpression(), nullptr).then([context](double value) mutable {
      context.getResults().setValue(kj::heap<ValueServer>(value));
    });
  }

  kj::Promise<void> defFunction(DefFunctionContext context) override {
    auto params = context.getParams();
    KJ_REQUIRE(params.getParamCount() >= 0, "a function has no negative number of parameters");
    context.getResults().setFunc(kj::heap<DefinedFunction>(params.getParamCount(), params.getBody()));
    return kj::READY_NOW;
  }

  kj::Promise<void> getOperator(GetOperatorContext context) override {
    context.getResults().setFunc(kj::heap<OperatorFunction>(context.getParams().getOp()));
    return kj::READY_NOW;
  }
};

}  // namespace

Calculator::Client makeCalculator() {
  return kj::heap<CalculatorServer>();
}

}  // namespace capstan
