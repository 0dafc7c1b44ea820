import { readFileSync } from "node:fs";
import { expect, it } from "@jest/globals";

const example = new URL("../", import.meta.url);
const guide = readFileSync(new URL("../../docs/write-an-adapter.md", example), "utf8");

/** Imports differ where a page has in one place what the example has in several files. */
const withoutImports = (text: string) => text.replaceAll(/^import [^;]*;\n/gm, "").trim();

it("is what the guide shows, line by line", () => {
  const shown = [...guide.matchAll(/^```(?:ts|js).*\n\/\/ ((?:src|test)\/\S+)\n([\s\S]*?)^```$/gm)];
  const files = shown.map(([, file = ""]) => file);
  expect(new Set(files)).toEqual(
    new Set([
      ...["src/store.ts", "src/sessions.ts", "src/messages.ts", "src/adapter.ts"],
      ...["test/conformance.test.mjs", "test/process-entry.mjs"],
    ]),
  );
  for (const file of new Set(files)) {
    const blocks = shown.filter(([, name]) => name === file).map(([, , code = ""]) => withoutImports(code));
    const text = withoutImports(readFileSync(new URL(file, example), "utf8"));
    expect(blocks.join("\n\n")).toBe(text);
  }
});
