// Loads the built packages as an application would, on whatever Node runs this file.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./run.mjs";

// docs/ depends on every public package, so names resolve from there.
const { resolve } = createRequire(`${root}docs/package.json`);
const load = (name) => import(pathToFileURL(resolve(name)).href);

const names = [
  "@waymark/core",
  "@waymark/core/adapter",
  "@waymark/core/file",
  "@waymark/core/session-store",
  "@waymark/core/testing",
  "@waymark/core/wrap",
  "@waymark/adapter-memory",
  "@waymark/adapter-redis",
  "@waymark/adapter-opensearch",
  "@waymark/adapter-postgres",
  "@waymark/adapter-prisma",
  "@waymark/adapter-sqlite",
  "@waymark/adapter-testkit",
];

const modules = {};
for (const name of names) {
  modules[name] = await load(name);
  assert.ok(Object.keys(modules[name]).length > 0, `${name} exports nothing`);
}

const { PersistenceManager, createSession } = modules["@waymark/core"];
const { FileAdapter } = modules["@waymark/core/file"];
const { MemoryAdapter } = modules["@waymark/adapter-memory"];
const directory = mkdtempSync(join(tmpdir(), "waymark-smoke-"));
try {
  for (const adapter of [new FileAdapter({ directory }), new MemoryAdapter()]) {
    const persistence = new PersistenceManager({ adapter });
    const session = createSession({ id: "s", data: { at: new Date(7), big: 7n } });
    await persistence.saveTurn({ session, messages: [{ role: "user", content: "hello" }] });
    assert.deepEqual(await persistence.loadSessionState("s"), session);
    assert.equal((await persistence.loadSessionHistory("s"))[0].content, "hello");
    await persistence.close();
  }
} finally {
  rmSync(directory, { recursive: true });
}

console.log(`${names.length} entries load and keep a turn on Node ${process.versions.node}`);
