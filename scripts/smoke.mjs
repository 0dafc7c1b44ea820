// Loads the built packages as an application would, on whatever Node runs this file.
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { root } from "./run.mjs";

// docs/ depends on every public package, so names resolve from there.
const { resolve } = createRequire(`${root}docs/package.json`);
const load = (name) => import(pathToFileURL(resolve(name)).href);

const names = [
  "@waymark/core",
  "@waymark/core/adapter",
  "@waymark/core/file",
  "@waymark/core/testing",
  "@waymark/adapter-memory",
];

for (const name of names) {
  const module = await load(name);
  assert.ok(Object.keys(module).length > 0, `${name} exports nothing`);
}

console.log(`${names.length} entries load on Node ${process.versions.node}`);
