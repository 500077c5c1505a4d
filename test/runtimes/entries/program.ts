// Role: a program that serves on its standard input and output. State: none. Must not know: scenarios.

import { serveStdio } from "../../../src/node.js";
import { Host } from "../server.js";

const host = new Host();
host.of(serveStdio(host.options));
