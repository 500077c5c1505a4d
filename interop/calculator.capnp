# The calculator interface that Cap'n Proto implementations ship as their sample, in our own words.
#
# The file id, the declaration names and the ordinals are those of the sample, because every id on the wire follows from
# them: a stock calculator client or server of another language talks to the roles of this folder.

@0x85150b117366d14b;

using Cxx = import "/capnp/c++.capnp";
$Cxx.namespace("capstan::calculator");

interface Calculator {
  # The bootstrap object: makes values and functions, which live as objects of their own.

  evaluate @0 (expression :Expression) -> (value :Value);
  # Answers at once or later with the value; a caller can pipeline `read` or use the value in a further expression.

  struct Expression {
    # A tree. A node stands for a number.

    union {
      literal @0 :Float64;
      # This number.

      previousResult @1 :Value;
      # The number an earlier evaluation gives, not necessarily known to the caller.

      parameter @2 :UInt32;
      # The parameter with this index; only inside the body of a defined function.

      call :group {
        # The function applied to the values of the nodes below.

        function @3 :Function;
        params @4 :List(Expression);
      }
    }
  }

  interface Value {
    read @0 () -> (value :Float64);
  }

  defFunction @1 (paramCount :Int32, body :Expression) -> (func :Function);
  # Makes a function of `paramCount` parameters, evaluated on the server.

  interface Function {
    # May live on either side: a client can pass one of its own, and the server calls it back.

    call @0 (params :List(Float64)) -> (value :Float64);
  }

  getOperator @2 (op :Operator) -> (func :Function);
  # One of the four basic operations as a function of two parameters.

  enum Operator {
    add @0;
    subtract @1;
    multiply @2;
    divide @3;
  }
}
