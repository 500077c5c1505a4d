// The calculator as a bootstrap object.

import { type List, serve } from "capstan/typed";
import {
  Calculator,
  type Calculator_Expression as Expression,
  type Calculator_Function,
  Calculator_Operator as Operator,
  type Calculator_Value,
} from "./generated/calculator.capnp.js";

class ValueServer implements Calculator_Value.Server {
  private readonly value: number;

  constructor(value: number) {
    this.value = value;
  }

  read(): { value: number } {
    return { value: this.value };
  }
}

/** A function applied to `values`. */
type Apply = (values: readonly number[]) => number | Promise<number>;

/** An expression that outlives the message it came with. The clients in it are its own. */
type Tree =
  | { readonly literal: number }
  | { readonly parameter: number }
  | { readonly value: Calculator_Value }
  | { readonly function: Calculator_Function; readonly params: readonly Tree[] };

function treeOf(expression: Expression): Tree {
  switch (expression.which) {
    case "literal":
      return { literal: expression.literal };
    case "parameter":
      return { parameter: expression.parameter };
    case "previousResult":
      return { value: expression.previousResult.dup() };
    case "call": {
      const { call } = expression;
      return { function: call.function.dup(), params: call.params.map(treeOf) };
    }
    default:
      throw new Error(`unknown kind of expression: ${String(expression.which)}`);
  }
}

function release(tree: Tree): void {
  if ("value" in tree) tree.value[Symbol.dispose]();
  if (!("function" in tree)) return;
  tree.function[Symbol.dispose]();
  for (const param of tree.params) release(param);
}

async function evaluate(tree: Tree, parameters: readonly number[]): Promise<number> {
  if ("literal" in tree) return tree.literal;
  if ("value" in tree) return (await tree.value.read()).value;
  if ("parameter" in tree) {
    const value = parameters[tree.parameter];
    if (value === undefined) throw new Error(`no parameter with index ${tree.parameter}`);
    return value;
  }
  const params = await Promise.all(tree.params.map((param) => evaluate(param, parameters)));
  return (await tree.function.call({ params })).value;
}

class FunctionServer implements Calculator_Function.Server {
  private readonly apply: Apply;
  private readonly end: () => void;

  constructor(apply: Apply, end: () => void = () => {}) {
    this.apply = apply;
    this.end = end;
  }

  async call({ params }: { readonly params: List<number> }): Promise<{ value: number }> {
    return { value: await this.apply(params.toArray()) };
  }

  [Symbol.dispose](): void {
    this.end();
  }
}

function operate(op: Operator, left: number, right: number): number {
  switch (op) {
    case Operator.add:
      return left + right;
    case Operator.subtract:
      return left - right;
    case Operator.multiply:
      return left * right;
    case Operator.divide:
      return left / right;
    default:
      throw new Error(`unknown operator ${op}`);
  }
}

export function makeCalculator(): Calculator {
  return serve(Calculator, {
    async evaluate({ expression }) {
      const tree = treeOf(expression);
      try {
        return { value: new ValueServer(await evaluate(tree, [])) };
      } finally {
        release(tree);
      }
    },

    defFunction({ paramCount, body }) {
      if (paramCount < 0) throw new Error("a function has no negative number of parameters");
      const tree = treeOf(body);
      const apply: Apply = (values) => {
        if (values.length !== paramCount)
          throw new Error(`the function has ${paramCount} parameters, not ${values.length}`);
        return evaluate(tree, values);
      };
      return { func: new FunctionServer(apply, () => release(tree)) };
    },

    getOperator: ({ op }) => ({
      func: new FunctionServer((values) => {
        const [left, right] = values;
        if (left === undefined || right === undefined || values.length !== 2)
          throw new Error(`an operator has two parameters, not ${values.length}`);
        return operate(op, left, right);
      }),
    }),
  });
}
