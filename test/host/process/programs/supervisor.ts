// A supervisor as a program of its own, with the options that it is given as JSON: says as JSON which processes it has, whenever
// these are others.

import fs from "node:fs";
import { obeySignals } from "../../../../src/host/process/signals.node.js";
import { HostServer } from "../../../../src/host/process/supervisor.node.js";

const server = await HostServer.start(JSON.parse(process.argv[2]!) as never);
obeySignals(server, (error) => fs.writeSync(2, `${String(error)}\n`));
let said = "";
const say = (): void => {
  const now = JSON.stringify({ ...server.processes, port: server.address?.port });
  if (now !== said) fs.writeSync(1, `${now}\n`);
  said = now;
};
say();
setInterval(say, 10).unref();
