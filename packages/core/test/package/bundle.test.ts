import { fileURLToPath } from "node:url";
import { createContext, runInContext } from "node:vm";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "@jest/globals";
import { build } from "esbuild";

const entry = (name: string) => fileURLToPath(new URL(`../../src/${name}`, import.meta.url));

/** As a bundler for a browser or a worker sees the package: no Node condition, nothing left outside. */
async function bundle(name: string): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [entry(name)],
    bundle: true,
    write: false,
    minify: true,
    platform: "neutral",
    conditions: ["waymark-source"],
    target: "es2023",
    format: "iife",
    globalName: "bundled",
  });
  return outputFiles.map((file) => file.text).join("\n");
}

describe("the package in a runtime that is not Node", () => {
  test.each([
    "index.ts",
    "adapter.ts",
    "testing.ts",
    "wrap/index.ts",
    "file/unsupported.ts",
    "session-store/unsupported.ts",
  ])("%s bundles without externals and loads without any host global", async (name) => {
    const context = createContext({});
    const globals = "typeof process + typeof Buffer + typeof setImmediate + typeof crypto + typeof require";
    expect(runInContext(globals, context)).toBe("undefined".repeat(5));
    const keys: unknown = runInContext(`${await bundle(name)}; Object.keys(bundled).length`, context);
    expect(keys).toBeGreaterThan(0);
  });

  test("the main entry is at most 60 kB, minified and compressed", async () => {
    expect(gzipSync(await bundle("index.ts")).byteLength).toBeLessThanOrEqual(60_000);
  });
});
