// Takes the lock of a directory, and is killed.

import { lockDirectory } from "../../../src/host/storage/directory-lock.node.js";

await lockDirectory(process.argv[2]!);
process.kill(process.pid, "SIGKILL");
