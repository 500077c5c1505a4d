// The calculator's client: expressions, functions defined on either side, pipelining of values into expressions.

import { serve } from "capstan/typed";
import {
  Calculator,
  type Calculator_Expression,
  Calculator_Function,
  Calculator_Operator as Operator,
  type Calculator_Value,
} from "./generated/calculator.capnp.js";
import { mustFail, type Run, type Scenario } from "./scenario.js";
import { expect } from "./support.js";

type Expression = Calculator_Expression.Init;

const literal = (value: number): Expression => ({ literal: value });
const parameter = (index: number): Expression => ({ parameter: index });
const apply = (of: Calculator_Function, ...params: Expression[]): Expression => ({
  call: { function: of, params },
});

async function mustRead(value: Calculator_Value, expected: number): Promise<void> {
  expect((await value.read()).value, expected, "result of the calculator");
}

async function calculate(run: Run): Promise<void> {
  using calculator = run.session.bootstrap(Calculator);
  using adding = calculator.getOperator({ op: Operator.add });
  using subtracting = calculator.getOperator({ op: Operator.subtract });
  using multiplying = calculator.getOperator({ op: Operator.multiply });
  using dividing = calculator.getOperator({ op: Operator.divide });
  const [add, subtract] = [adding.func, subtracting.func];
  const [multiply, divide] = [multiplying.func, dividing.func];

  const mustGive = async (expression: Expression, expected: number): Promise<void> => {
    using evaluation = calculator.evaluate({ expression });
    await mustRead(evaluation.value, expected);
  };
  await mustGive(literal(12.5), 12.5);

  // (7 + 8) - 9 / 2, of operators whose objects have not arrived yet.
  const sum = apply(add, literal(7), literal(8));
  await mustGive(apply(subtract, sum, apply(divide, literal(9), literal(2))), 10.5);

  // A value that is used twice before anyone has read it: v = 6 * 7; v + 1 and v - 1, in one flight.
  {
    using product = calculator.evaluate({
      expression: apply(multiply, literal(6), literal(7)),
    });
    const value: Expression = { previousResult: product.value };
    await Promise.all([
      mustGive(apply(add, value, literal(1)), 43),
      mustGive(apply(subtract, value, literal(1)), 41),
    ]);
  }

  // f(x, y) = x * 10 + y;  g(x) = f(x, x - 1) / 2;  g(5) = 27.
  {
    using defineF = calculator.defFunction({
      paramCount: 2,
      body: apply(add, apply(multiply, parameter(0), literal(10)), parameter(1)),
    });
    const less = apply(subtract, parameter(0), literal(1));
    using defineG = calculator.defFunction({
      paramCount: 1,
      body: apply(divide, apply(defineF.func, parameter(0), less), literal(2)),
    });
    await mustGive(apply(defineG.func, literal(5)), 27);
  }

  // A function of the client inside an expression of the server: 3 ^ (2 + 2) = 81, and inside a defined function.
  using power = serve(Calculator_Function, {
    call({ params }) {
      expect(params.length, 2, "parameters of a power");
      return { value: params.get(0) ** params.get(1) };
    },
  });
  await mustGive(apply(power, literal(3), apply(add, literal(2), literal(2))), 81);
  {
    using defineCube = calculator.defFunction({
      paramCount: 1,
      body: apply(power, parameter(0), literal(3)),
    });
    expect((await defineCube.func.call({ params: [4] })).value, 64, "cube");
  }

  // Too few parameters for an operator, and a parameter outside of a function.
  await mustFail(add.call({ params: [1] }), "failed");
  using stray = calculator.evaluate({ expression: parameter(0) });
  await mustFail(stray.value.read(), "failed");
}

export const CALCULATOR_SCENARIOS: Record<string, Scenario> = { calculator: calculate };
