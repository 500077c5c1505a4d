// @ts-check
// The server that the clients of the bridge's rows call, Capstan's and the floor's alike:  node serve.js server unix:PATH
//
// Says where its debug port is and which process it is, for whoever counts its processor time.

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { startWorkerd } from "../../interop/workerd/workerd.js";

const [, address = ""] = process.argv.slice(2);
const config = join(dirname(fileURLToPath(import.meta.url)), "config.capnp");
const workerd = await startWorkerd(dirname(address.replace(/^unix:/, "")), config);
process.once("SIGTERM", () => void workerd.stop().then(() => process.exit(0)));
console.log(`listening unix:${workerd.path}#${workerd.pid}`);
