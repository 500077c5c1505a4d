// Every scenario. A new file of them is named here, and runs on every runtime from then on.

import "./calls.js";
import "./errors.js";
import "./pipelining.js";
import "./references.js";
import "./map.js";
import "./disposal.js";
import "./signals.js";
import "./values.js";
import "./order.js";
import "./streams.js";
import "./terms.js";
import "./batch.js";
import "./broken.js";

export { type Outcome, runAll, scenarios } from "../harness.js";
