// The server role:  node server.js ADDRESS interop|calculator
//
// ADDRESS is unix:PATH or tcp://HOST:PORT. Prints "listening ADDRESS" when ready and serves until it is ended by a signal.

import { listen } from "capstan/node";
import { makeCalculator } from "./calculator-server.js";
import { makeInteropServer } from "./interop-server.js";
import { dieWithParent, Tally } from "./support.js";

const [address, name] = process.argv.slice(2);
if (address === undefined || (name !== "interop" && name !== "calculator"))
  throw new Error("usage: server ADDRESS interop|calculator");

dieWithParent();
const bootstrap = name === "interop" ? makeInteropServer(new Tally()) : makeCalculator();
const listener = await listen(address, {
  bootstrap,
  onError: (error) => console.error(error.message),
});
console.log(`listening ${listener.url}`);
