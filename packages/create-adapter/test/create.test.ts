import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "@jest/globals";
import { createAdapter } from "../src/create.js";

let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "waymark-create-"));
});

afterEach(() => {
  rmSync(parent, { recursive: true });
});

const read = (...path: string[]) => readFileSync(join(parent, ...path), "utf8");

function textOf(folder: string): string {
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((file) => file.isFile());
  return files.map((file) => readFileSync(join(file.parentPath, file.name), "utf8")).join("\n");
}

describe("createAdapter", () => {
  it("writes a package that is called as it is told, and its adapter after it", () => {
    expect(createAdapter("tiny-kv", parent)).toBe(join(parent, "tiny-kv"));
    expect(readdirSync(join(parent, "tiny-kv")).toSorted()).toEqual(
      [".gitignore", "README.md", "package.json", "src", "test", "tsconfig.json"].toSorted(),
    );
    expect(JSON.parse(read("tiny-kv", "package.json"))).toMatchObject({ name: "tiny-kv" });
    expect(read("tiny-kv", "src", "adapter.ts")).toMatch(
      /class TinyKvAdapter .*\n +readonly name = "tiny-kv"/,
    );
    expect(read("tiny-kv", "test", "conformance.test.mjs")).toContain("new TinyKvAdapter(store)");
    expect(textOf(join(parent, "tiny-kv"))).not.toMatch(/my-?store/i);
  });

  it.each([
    ["@me/store", "store", "StoreAdapter"],
    ["waymark-adapter-dynamo-db", "waymark-adapter-dynamo-db", "DynamoDbAdapter"],
    ["fauna-adapter", "fauna-adapter", "FaunaAdapter"],
    ["adapter-7", "adapter-7", "Adapter7Adapter"],
  ])("takes %s for a name", (name, folder, className) => {
    expect(createAdapter(name, parent)).toBe(join(parent, folder));
    expect(JSON.parse(read(folder, "package.json"))).toMatchObject({ name });
    expect(read(folder, "src", "index.ts")).toContain(`{ ${className} }`);
  });

  it.each([
    "",
    "My-Store",
    "a b",
    "../a",
    "/a",
    ".a",
    "@me",
    "@me/",
    "@me/../a",
    "7up",
    "x".repeat(215),
    "a/b",
  ])("refuses %j as a name, and writes nothing", (name) => {
    expect(() => createAdapter(name, parent)).toThrow(/no name for a package/);
    expect(readdirSync(parent)).toEqual([]);
  });

  it("leaves a folder alone that has something in it", () => {
    writeFileSync(join(createAdapter("one", parent), "README.md"), "mine");
    expect(() => createAdapter("one", parent)).toThrow(/is there and is not empty/);
    expect(read("one", "README.md")).toBe("mine");
  });
});
