// What a configuration says, what of it is wrong, and where; what is not understood is named.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ModuleConfig, NO_CONFIG, readConfig } from "../../../src/host/module/config.js";
import { findConfig, readConfigFile } from "../../../src/host/module/config-file.node.js";
import { patternOf, ruleFor } from "../../../src/host/module/rules.js";
import { RpcError } from "../../../src/index.js";

const room = { name: "ROOMS", class_name: "Room" };

function problem(tree: unknown): string {
  try {
    readConfig(tree, "w.toml");
  } catch (thrown) {
    expect(RpcError.of(thrown)?.code).toBe("config-invalid");
    return (thrown as Error).message;
  }
  return "none";
}

describe("a configuration", () => {
  it("names the module, its objects, variables and where to listen", () => {
    const config = readConfig(
      {
        $schema: "x",
        name: "chat",
        main: "src/worker.ts",
        compatibility_date: "2026-01-01",
        vars: { GREETING: "hello", LIMITS: { each: [1, true, null] } },
        durable_objects: { bindings: [room, { ...room, name: "SAME", script_name: "chat" }] },
        dev: { port: 9000, ip: "::1" },
      },
      "w.toml",
    );
    expect(config).toMatchObject({
      name: "chat",
      main: "src/worker.ts",
      vars: { GREETING: "hello", LIMITS: { each: [1, true, null] } },
      bindings: [
        { name: "ROOMS", className: "Room", storedAs: "Room" },
        { name: "SAME", className: "Room", storedAs: "Room" },
      ],
      port: 9000,
      address: "::1",
      warnings: [],
    });
  });

  it("says of which classes the objects are collected", () => {
    const bindings = [
      { ...room, collect: false },
      { name: "PARTS", class_name: "Part", collect: true },
      { name: "SAME", class_name: "Part" },
    ];
    expect(readConfig({ durable_objects: { bindings } }, "w.toml")).toMatchObject({
      collect: ["Part"],
      warnings: [],
    });
    expect(NO_CONFIG.collect).toEqual([]);
  });

  it("says what lives in a workerd, and what Workers there may call", () => {
    const at = { url: "unix:/run/w", service: "main" };
    const capstan = {
      workerd: [
        { ...at, name: "ROOMS", class_name: "Room", unique_key: "k" },
        { ...at, name: "GREETER" },
        { ...at, name: "NAMED", entrypoint: "Greeter", props: { a: [1] } },
        { name: "DESK", url: "tcp://127.0.0.1:1", connect_host: "rpc.test" },
      ],
      expose: { port: 9001, ip: "::1", entrypoint: "Chat" },
    };
    expect(readConfig({ capstan }, "w.toml")).toMatchObject({
      workerd: [
        {
          name: "ROOMS",
          url: "unix:/run/w",
          to: { kind: "objects", service: "main", className: "Room", uniqueKey: "k" },
        },
        { name: "GREETER", to: { kind: "entrypoint", entrypoint: null, props: null } },
        { name: "NAMED", to: { entrypoint: "Greeter", props: '{"a":[1]}' } },
        { name: "DESK", to: { kind: "socket", connectHost: "rpc.test" } },
      ],
      exposed: { port: 9001, address: "::1", entrypoint: "Chat" },
      warnings: [],
    });
    expect(readConfig({ capstan: { expose: { port: 1 } } }, "w.toml").exposed).toEqual({
      port: 1,
      address: null,
      entrypoint: null,
    });
  });

  it("may say nothing", () => {
    expect(NO_CONFIG).toMatchObject({ name: null, main: null, bindings: null, vars: {} });
    expect(NO_CONFIG.storedName("Room")).toBe("Room");
  });

  it("has what it does not understand named", () => {
    const tree = {
      kv_namespaces: [{ binding: "KV", id: "1" }],
      triggers: { crons: ["* * * * *"] },
      dev: { port: 1, local_protocol: "https" },
      observability: { enabled: true },
      migrations: [
        { tag: "v1", new_classes: ["Old"] },
        { tag: "v2", deleted_classes: ["Old"] },
      ],
    };
    expect(readConfig(tree, "w.toml").warnings).toEqual([
      "w.toml: migrations deletes Old: its objects stay in the data directory until they are deleted there",
      "w.toml: dev.local_protocol is not understood",
      "w.toml: kv_namespaces is not understood: the module does without it",
      "w.toml: triggers is not understood: the module does without it",
    ]);
  });

  it.each([
    [[], "w.toml must be a table, not a list"],
    [{ main: 1 }, "w.toml: main must be a string, not a number"],
    [{ main: "" }, "w.toml: main is empty"],
    [{ durable_objects: {} }, "w.toml: durable_objects has no bindings"],
    [
      { durable_objects: { bindings: {} } },
      "w.toml: durable_objects.bindings must be a list, not a table",
    ],
    [
      { durable_objects: { bindings: [{ name: "A" }] } },
      "w.toml: durable_objects.bindings[0] has no class_name",
    ],
    [
      { durable_objects: { bindings: [{ ...room, name: "a b" }] } },
      `w.toml: durable_objects.bindings[0].name is "a b", which is no name in JavaScript`,
    ],
    [
      { durable_objects: { bindings: [{ ...room, clas: 1 }] } },
      "w.toml: durable_objects.bindings[0].clas is none of name, class_name, script_name, environment, collect",
    ],
    [
      { durable_objects: { bindings: [{ ...room, collect: "yes" }] } },
      "w.toml: durable_objects.bindings[0].collect must be true or false, not a string",
    ],
    [
      { durable_objects: { bindings: [{ ...room, script_name: "other" }] } },
      "w.toml: durable_objects.bindings[0].script_name names another Worker: only classes of this module can be bound here, those of one in workerd by [[capstan.workerd]]",
    ],
    [
      { durable_objects: { bindings: [room, room] } },
      "w.toml: durable_objects.bindings[1] is called ROOMS, as something else in env",
    ],
    [
      { vars: { ROOMS: 1 }, durable_objects: { bindings: [room] } },
      "w.toml: durable_objects.bindings[0] is called ROOMS, as something else in env",
    ],
    [
      { vars: { since: new Date(0) } },
      "w.toml: vars.since must be a string, a number, true or false, or a list or table of these",
    ],
    [{ capstan: { workers: 1 } }, "w.toml: capstan.workers is none of workerd, expose"],
    [{ capstan: { workerd: {} } }, "w.toml: capstan.workerd must be a list, not a table"],
    [{ capstan: { workerd: [{}] } }, "w.toml: capstan.workerd[0] has no name"],
    [
      { capstan: { workerd: [{ name: "A", url: "http://a" }] } },
      "w.toml: capstan.workerd[0].url is no address of a workerd: workerd is at unix:/path or tcp://host:port, not at http://a",
    ],
    [
      { capstan: { workerd: [{ name: "A", url: "tcp://a:1" }] } },
      "w.toml: capstan.workerd[0] has no service",
    ],
    [
      { capstan: { workerd: [{ name: "A", url: "tcp://a:1", service: "s", class_name: "C" }] } },
      "w.toml: capstan.workerd[0] has no unique_key",
    ],
    [
      { capstan: { workerd: [{ name: "A", url: "tcp://a:1", connect_host: "h", service: "s" }] } },
      "w.toml: capstan.workerd[0].service is none of name, url, connect_host",
    ],
    [
      { vars: { A: 1 }, capstan: { workerd: [{ name: "A", url: "tcp://a:1", service: "s" }] } },
      "w.toml: capstan.workerd[0] is called A, as something else in env",
    ],
    [{ capstan: { expose: {} } }, "w.toml: capstan.expose has no port"],
    [
      { capstan: { expose: { port: 1, entrypoint: "a b" } } },
      `w.toml: capstan.expose.entrypoint is "a b", which is no name in JavaScript`,
    ],
    [{ dev: { port: 65_536 } }, "w.toml: dev.port must be a port, from 0 to 65535"],
    [
      { rules: [{ type: "Txt", globs: [] }] },
      "w.toml: rules[0].type must be one of Text, Data, CompiledWasm, ESModule, CommonJS",
    ],
    [{ rules: [{ type: "Text" }] }, "w.toml: rules[0] has no globs"],
    [
      { rules: [{ type: "Text", globs: ["*"], fallthrough: "no" }] },
      "w.toml: rules[0].fallthrough must be true or false, not a string",
    ],
    [{ migrations: [{ new_classes: ["A"] }] }, "w.toml: migrations[0] has no tag"],
    [
      { migrations: [{ tag: "1" }, { tag: "1" }] },
      "w.toml: migrations[1].tag is 1, as an earlier one",
    ],
  ])("that is wrong says where: %j", (tree, message) => {
    expect(problem(tree)).toBe(message);
  });
});

describe("migrations", () => {
  const stored = (migrations: unknown, className: string): string =>
    readConfig(
      { migrations, durable_objects: { bindings: [{ name: "X", class_name: className }] } },
      "w",
    ).bindings![0]!.storedAs;

  it("lead a renamed class to what it has stored under its first name", () => {
    const steps = [
      { tag: "1", new_classes: ["Room"], new_sqlite_classes: ["User"] },
      { tag: "2", renamed_classes: [{ from: "Room", to: "Channel" }] },
      { tag: "3", renamed_classes: [{ from: "Channel", to: "Space" }] },
    ];
    expect(stored(steps, "Space")).toBe("Room");
    expect(stored(steps, "User")).toBe("User");
    expect(stored(steps, "Unannounced")).toBe("Unannounced");
  });

  it("have a class that nobody announced be renamed, too", () => {
    expect(stored([{ tag: "1", renamed_classes: [{ from: "Room", to: "Space" }] }], "Space")).toBe(
      "Room",
    );
  });

  it("give a new class of an old name storage of its own", () => {
    const again = [
      { tag: "1", new_classes: ["Room"] },
      { tag: "2", deleted_classes: ["Room"] },
      { tag: "3", new_classes: ["Room"] },
    ];
    expect(stored(again, "Room")).toBe("Room@3");
    const renamed = [
      { tag: "1", new_classes: ["Room"] },
      { tag: "2", renamed_classes: [{ from: "Room", to: "Space" }] },
      { tag: "3", new_classes: ["Room"] },
    ];
    expect([stored(renamed, "Space"), stored(renamed, "Room")]).toEqual(["Room", "Room@3"]);
  });

  it("may not name a class that is gone, or is there", () => {
    const steps = [
      { tag: "1", new_classes: ["Room"] },
      { tag: "2", renamed_classes: [{ from: "Room", to: "Space" }] },
    ];
    expect(() => stored(steps, "Room")).toThrow(
      "durable_objects.bindings[0].class_name is Room, a class that was renamed",
    );
    expect(problem({ migrations: [...steps, { tag: "3", deleted_classes: ["Room"] }] })).toBe(
      "w.toml: migrations[2].deleted_classes[0] names the class Room, which is not there any more",
    );
    expect(problem({ migrations: [...steps, { tag: "3", new_classes: ["Space"] }] })).toBe(
      "w.toml: migrations[2].new_classes[0] names the class Space, which is there already",
    );
  });
});

describe("rules", () => {
  it.each([
    ["**/*.txt", ["a.txt", "b/c/a.txt"], ["a.txt.js", "txt"]],
    ["*.md", ["a.md", "./a.md"], ["b/a.md"]],
    ["page/**", ["page/a", "page/b/c.css"], ["pages/a"]],
    ["a?.{css,s[ac]ss}", ["ab.css", "ab.scss", "ab.sass"], ["a.css", "abc.css", "ab.stss"]],
    ["[!a].t", ["b.t"], ["a.t"]],
    ["a+(b).t", ["a+(b).t"], ["aab.t"]],
  ])("by the glob %s", (glob, right, wrong) => {
    for (const file of right) expect(patternOf(glob).test(file), file).toBe(true);
    for (const file of wrong) expect(patternOf(glob).test(file), file).toBe(false);
  });

  const typesOf = (rules: unknown): (string | null)[] => {
    const config: ModuleConfig = readConfig({ rules }, "w");
    return ["a.txt", "b/a.css", "a.bin", "a.wasm", "a.ts"].map((file) =>
      ruleFor(config.rules, file),
    );
  };

  it("stand before those that are there by default", () => {
    const css = { type: "Text", globs: ["**/*.css"], fallthrough: true };
    expect(typesOf([css])).toEqual(["Text", "Text", "Data", "CompiledWasm", null]);
    expect(typesOf([{ ...css, fallthrough: false }])).toEqual([
      null,
      "Text",
      "Data",
      "CompiledWasm",
      null,
    ]);
    expect(typesOf([{ type: "Data", globs: ["*.txt"] }])[0]).toBe("Data");
    expect(typesOf([{ type: "ESModule", globs: ["*.txt"] }])[0]).toBe(null);
  });
});

describe("a file of configuration", () => {
  let folder = "";
  beforeAll(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), "capstan-config-"));
  });
  afterAll(() => fs.rmSync(folder, { recursive: true, force: true }));
  const put = (name: string, text: string): string => {
    const file = path.join(folder, name);
    fs.writeFileSync(file, text);
    return file;
  };

  it("is TOML, or JSON with comments", () => {
    const toml = put(
      "wrangler.toml",
      `name = "chat"\n[[durable_objects.bindings]]\nname = "ROOMS"\nclass_name = "Room"\n`,
    );
    const json = put(
      "wrangler.jsonc",
      `{ // comment\n "name": "chat", "durable_objects": { "bindings": [{ "name": "ROOMS", "class_name": "Room", }] } }`,
    );
    for (const file of [toml, json])
      expect(readConfigFile(file)).toMatchObject({
        name: "chat",
        bindings: [{ name: "ROOMS", className: "Room" }],
      });
    expect(findConfig(folder)).toBe(json);
    expect(findConfig(path.join(folder, "none"))).toBe(null);
  });

  it("says where it is malformed, or that it is not there", () => {
    const of = (name: string, text: string): string => {
      try {
        readConfigFile(put(name, text));
      } catch (thrown) {
        expect(RpcError.of(thrown)?.code).toBe("config-invalid");
        return path.basename((thrown as Error).message.split(": ").slice(0, 1)[0]!);
      }
      return "none";
    };
    expect(of("bad.toml", `name = "a"\nmain = \n`)).toMatch(/^bad\.toml:2:\d+$/);
    expect(of("bad.json", `{\n  "name": "a",,\n}`)).toBe("bad.json:2:15");
    expect(() => readConfigFile(path.join(folder, "none.toml"))).toThrow(
      /none\.toml cannot be read/,
    );
  });
});
