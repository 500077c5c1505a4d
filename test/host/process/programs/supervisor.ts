// A supervisor as a process of its own, with the options that it is given as JSON: says as JSON which processes it has, and lives on.

import fs from "node:fs";
import { HostServer } from "../../../../src/host/process/supervisor.node.js";

const server = await HostServer.start(JSON.parse(process.argv[2]!) as never);
fs.writeSync(1, `${JSON.stringify(server.processes)}\n`);
