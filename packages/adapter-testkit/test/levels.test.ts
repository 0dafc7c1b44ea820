import { readFileSync, readdirSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { levels } from "../src/levels.js";
import { lines } from "./support/lines.js";
import { files, memory } from "./support/stores.js";

describe("the levels", () => {
  it("are all in the list", () => {
    const names = readdirSync(new URL("../src/levels", import.meta.url)).map((file) =>
      file.replace(/\.ts$/, ""),
    );
    expect(levels.map(({ name }) => name).toSorted()).toEqual(names.toSorted());
  });

  it("have tests, each with a name of its own", () => {
    const seen = new Set<string>();
    for (const harness of [memory("m"), files, lines("lines")]) {
      const names = levels.flatMap((level) => {
        const cases = level.cases(harness, "with whole turns");
        if (cases.length > 0) seen.add(level.name);
        return cases.map(({ name }) => name);
      });
      expect(new Set(names).size).toBe(names.length);
    }
    expect([...seen].toSorted()).toEqual(levels.map(({ name }) => name).toSorted());
  });

  it("name no adapter", () => {
    for (const file of readdirSync(new URL("../src/levels", import.meta.url))) {
      const text = readFileSync(new URL(`../src/levels/${file}`, import.meta.url), "utf8");
      expect(text).not.toMatch(/postgres|redis|mongo|sqlite|prisma|opensearch|"memory"/i);
    }
  });
});
