// The kit on node:sqlite, under node's own runner: the Node that runs it has to have the module.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { SQLiteAdapter } from "@waymark/adapter-sqlite";
import { testAdapter } from "@waymark/adapter-testkit";

testAdapter(
  {
    name: "node:sqlite",
    expects: { durability: "commit", turns: true, records: true, search: true, network: "none" },
    processEntry: new URL("../process-entry.mjs", import.meta.url),
    open: async () => {
      const folder = mkdtempSync(join(tmpdir(), "waymark-sqlite-"));
      const path = join(folder, "app.db");
      const handles = [];
      return {
        address: { driver: "node:sqlite", path },
        connect: () => {
          const db = new DatabaseSync(path);
          db.exec("PRAGMA journal_mode = WAL");
          handles.push(db);
          return new SQLiteAdapter({ db, search: true });
        },
        remove: async () => {
          for (const db of handles) db.close();
          rmSync(folder, { recursive: true, force: true });
        },
      };
    },
  },
  { describe, it, beforeAll: before, afterAll: after },
);

describe("node:sqlite alone", () => {
  const code = (work) => work().then(String, (error) => error.code);
  const turn = (id) => ({
    id,
    expect: { kind: "create", life: "l", createdAt: 1 },
    operation: { id: "o", digest: "" },
    revision: "r",
    at: 1,
    set: {},
    messages: [{ userId: null, role: "user", content: "\ufeffé😀", createdAt: 1, body: {} }],
    history: [],
  });

  it("tells what is wrong with the handle, and keeps nothing in memory alone", async (t) => {
    const db = new DatabaseSync(":memory:");
    const adapter = new SQLiteAdapter({ db });
    t.assert.strictEqual(adapter.durability, "process");
    t.assert.strictEqual(await code(() => adapter.sessionRepository.findById("s")), "STORAGE_FAILED");
    await adapter.initialize();
    db.exec("BEGIN");
    t.assert.strictEqual(await code(() => adapter.turns.commit([turn("s")])), "CLIENT_IN_TRANSACTION");
    db.exec("ROLLBACK");
    await adapter.turns.commit([turn("s")]);
    const { entries } = await adapter.turns.load("s", { last: 1 });
    t.assert.strictEqual(entries[0].content, "\ufeffé😀");
    db.exec("PRAGMA max_page_count = 20");
    const large = { ...turn("t"), messages: [{ ...turn("t").messages[0], content: "x".repeat(1e6) }] };
    t.assert.strictEqual(await code(() => adapter.turns.commit([large])), "STORAGE_FULL");
    t.assert.match((await adapter.describe()).server, /^SQLite 3\.\d+\.\d+ by node:sqlite/);
    db.close();
    t.assert.strictEqual(await code(() => adapter.turns.load("s", { last: 1 })), "STORAGE_FAILED");
  });
});
