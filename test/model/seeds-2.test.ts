// One half of the seeds of a test run; two files, so that two processes share them.

import { it } from "vitest";
import { runHalf } from "./half.js";
import { TIMEOUT_MS } from "./drive.js";

it(
  "C-EMB-24, C-EMB-25, C-EMB-26, C-EMB-27, C-EMB-28, C-EMB-29: random programs keep to the model (half 2 of 2)",
  () => runHalf(2),
  TIMEOUT_MS,
);
