// CommonJS: every entry can be required, and is the same module that `import` gives.
const assert = require("node:assert/strict");
const { entries } = require("./entries.cjs");

async function main() {
  for (const name of entries) {
    const required = require(name);
    assert.ok(Object.keys(required).length > 0, `${name} exports nothing`);
    assert.deepEqual({ ...required }, { ...(await import(name)) }, `${name} is there twice`);
  }
  const { PersistenceManager, createSession } = require("@waymark/core");
  const { MemoryAdapter } = require("@waymark/adapter-memory");
  const persistence = new PersistenceManager({ adapter: new MemoryAdapter() });
  const session = createSession({ id: "s", data: { at: new Date(7) } });
  await persistence.saveTurn({ session, messages: [{ role: "user", content: "Hello" }] });
  assert.deepEqual(await persistence.loadSessionState("s"), session);
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
