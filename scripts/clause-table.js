// @ts-check
// Writes docs/protocol.md from the clause table.

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { loadTable, renderTable } from "./clauses.js";

const root = fileURLToPath(new URL("..", import.meta.url));
fs.mkdirSync(path.join(root, "docs"), { recursive: true });
fs.writeFileSync(path.join(root, "docs/protocol.md"), renderTable(loadTable(root)));
