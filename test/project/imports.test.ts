// The direction of imports: that each kind of wrong edge is found, and that right ones are let be.

import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { projectFiles } from "../../scripts/lib.js";
import { checkImports, ROOMS } from "../../scripts/imports.js";

const DEPENDENCIES = new Set(["capnp-ts", "ws"]);

/** What is said of a project that holds these files alone. */
function said(files: Record<string, string>): string[] {
  return checkImports(new Map(Object.entries(files)), DEPENDENCIES).map(
    ({ file, line, what }) => `${file}:${line}: ${what}`,
  );
}

describe("direction of imports", () => {
  it("lets a file import its own room and every room above it", () => {
    const files: Record<string, string> = {};
    let above = "";
    for (const room of ROOMS) {
      files[`src/${room}/a.ts`] = `${above}import "./b.js";\n`;
      files[`src/${room}/b.ts`] = "export const b = 1;\n";
      above += `import "../${room}/a.js";\n`;
    }
    files["src/index.ts"] = `export * from "./cli/a.js";\nexport * from "./base/a.js";\n`;
    files["src/demo/main.node.ts"] = `${above}import "node:net";\n`;
    expect(said(files)).toEqual([]);
  });

  it("finds an upward edge, also one of types alone", () => {
    expect(
      said({
        "src/wire/a.ts": `import { b } from "../rpc/b.js";\n\nimport type { C } from "../cap/typed/c.js";`,
        "src/rpc/b.ts": "export const b = 1;",
        "src/cap/typed/c.ts": "export type C = 1;",
      }),
    ).toEqual([
      `src/wire/a.ts:1: imports "../rpc/b.js" upward: wire stands above rpc in the table`,
      `src/wire/a.ts:3: imports "../cap/typed/c.js" upward: wire stands above cap in the table`,
    ]);
  });

  it("finds a room that imports an entry point, and a folder that is no room", () => {
    expect(
      said({
        "src/vat/a.ts": `import "../index.js";`,
        "src/index.ts": "",
        "src/attic/a.ts": `import "./b.js";`,
        "src/attic/b.ts": "",
      }),
    ).toEqual([
      `src/vat/a.ts:1: imports "../index.js" upward: vat stands above the entry point src/index.ts in the table`,
      "src/attic/a.ts:1: stands in a folder that the table of rooms does not have",
    ]);
  });

  it("finds a cycle once, whichever way it is written, but not one of types", () => {
    expect(
      said({
        "src/hook/a.ts": `export * from "./b.js";`,
        "src/hook/b.ts": `import {\n  type C,\n  c,\n} from "./c.js";`,
        "src/hook/c.ts": `const a = await import("./a.js");`,
        "src/hook/d.ts": `import type { E } from "./e.js";\nlet x: import("./e.js").E;`,
        "src/hook/e.ts": `import { d } from "./d.js";`,
      }),
    ).toEqual([
      "src/hook/c.ts:1: closes a cycle of imports: src/hook/a.ts -> src/hook/b.ts -> src/hook/c.ts -> src/hook/a.ts",
    ]);
    expect(said({ "src/hook/a.ts": `import "./a.js";` })).toHaveLength(1);
  });

  it("finds a Node built-in outside *.node.ts, with and without its prefix", () => {
    const text = `import net from "node:net";\nimport "fs/promises";\nconst os = require("node:os");\n`;
    expect(said({ "src/transport/tcp.ts": text })).toEqual([
      `src/transport/tcp.ts:1: imports "node:net", and is not called *.node.ts`,
      `src/transport/tcp.ts:2: imports "fs/promises": write "node:fs/promises"`,
      `src/transport/tcp.ts:3: imports "node:os", and is not called *.node.ts`,
    ]);
    expect(said({ "src/transport/tcp.node.ts": `import net from "node:net";` })).toEqual([]);
  });

  it("finds a portable file that imports a Node file, but for the entry point", () => {
    const files = {
      "src/transport/tcp.node.ts": "",
      "src/node.ts": `import "./transport/tcp.node.js";`,
    };
    expect(said(files)).toEqual([]);
    expect(said({ ...files, "src/index.ts": `export * from "./transport/tcp.node.js";` })).toEqual([
      `src/index.ts:1: imports "./transport/tcp.node.js": only *.node.ts and src/node.ts may import a Node file`,
    ]);
  });

  it("finds npm modules where they may not be", () => {
    expect(
      said({
        "src/transport/web-socket.ts": `import { WebSocket } from "ws";`,
        "src/wire/struct.ts": `import * as capnp from "capnp-ts/src/index.js";`,
        "src/cap/typed/struct.ts": `import * as capnp from "capnp-ts";`,
        "src/transport/web-socket.node.ts": `import { WebSocket } from "ws";\nimport "@types/node";`,
      }),
    ).toEqual([
      `src/transport/web-socket.ts:1: imports "ws", which needs Node, and is not called *.node.ts`,
      `src/wire/struct.ts:1: imports "capnp-ts/src/index.js", which only src/cap/typed/ may`,
      `src/transport/web-socket.node.ts:2: imports "@types/node", which package.json does not give its users`,
    ]);
  });

  it("holds generated code to capstan/typed, anywhere in the project", () => {
    expect(
      said({
        "src/typed.ts": "",
        "src/demo/a.capnp.ts": `import * as $ from "../typed.js";\nimport * as b from "./b.capnp.js";`,
        "src/demo/b.capnp.ts": `import * as $ from "capstan/typed";`,
        "test/a.capnp.ts": `import * as $ from "capnp-ts";\nimport { x } from "../src/rpc/x.js";`,
        "src/rpc/x.ts": "",
      }),
    ).toEqual([
      `test/a.capnp.ts:1: generated code imports "capnp-ts", but may import only capstan/typed and generated code`,
      `test/a.capnp.ts:2: generated code imports "../src/rpc/x.js", but may import only capstan/typed and generated code`,
    ]);
  });

  it("finds an import of a file that is not there or not of src", () => {
    expect(
      said({ "src/rpc/a.ts": `import "./gone.js";\nimport "../../test/t.js";`, "test/t.ts": "" }),
    ).toEqual([
      `src/rpc/a.ts:1: imports "./gone.js", which is not there (relative imports end in .js)`,
      `src/rpc/a.ts:2: imports "../../test/t.js", outside src`,
    ]);
  });

  it("takes no comment, string or regular expression for an import", () => {
    const text = [
      `// import "node:fs";`,
      `/* import "node:net"; */`,
      "const code = `",
      `import * as os from "node:os";`,
      '${`nested ${"}"} export * from "node:tls"`}',
      `import "node:dns";`,
      '${f({ a: { b: 1 } })} import "node:vm";',
      "`;",
      `const quote = /["'\`/]/g, half = 4 / 2;`,
      `const text = 'import "node:http"';`,
      `import "./b.js";`,
    ].join("\n");
    expect(said({ "src/cap/a.ts": text, "src/cap/b.ts": "" })).toEqual([]);
    expect(said({ "src/cap/a.ts": text })).toEqual([
      `src/cap/a.ts:11: imports "./b.js", which is not there (relative imports end in .js)`,
    ]);
    const hole = 'const text = `${f({ a: 1 }, import("node:fs"))}`;';
    expect(said({ "src/cap/a.ts": hole })).toHaveLength(1);
  });

  it("holds in this project", () => {
    const root = path.join(import.meta.dirname, "../..");
    const names = projectFiles(root).filter((file) => /\.[jt]s$/.test(file));
    const files = new Map(
      names.map((name) => [name, fs.readFileSync(path.join(root, name), "utf8")]),
    );
    const { dependencies, peerDependencies } = JSON.parse(
      fs.readFileSync(path.join(root, "package.json"), "utf8"),
    );
    const given = Object.keys({ ...dependencies, ...peerDependencies });
    expect(names).toContain("src/base/errors.ts");
    expect(checkImports(files, new Set(given))).toEqual([]);
  });
});
