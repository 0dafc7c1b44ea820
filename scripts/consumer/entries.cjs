// What can be imported of the installed packages, by their own manifests.
const assert = require("node:assert/strict");
const { readdirSync } = require("node:fs");
const { join } = require("node:path");

const scope = join(__dirname, "node_modules", "@waymark");

exports.entries = readdirSync(scope).flatMap((name) => {
  const manifest = require(join(scope, name, "package.json"));
  // What only this repository understands would not install elsewhere.
  assert.doesNotMatch(JSON.stringify(manifest), /"(workspace|catalog):/, name);
  return Object.keys(manifest.exports)
    .filter((path) => path !== "./package.json")
    .map((path) => `@waymark/${name}${path.slice(1)}`);
});
