import { writeFileSync } from "node:fs";
import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import type { SearchQuery } from "@waymark/core/adapter";
import { SQLiteAdapter } from "../src/index.js";
import { openSqlJs, said, storesPerTest } from "./stores.js";

const newStore = storesPerTest();
let sessions = 0;

async function say(manager: PersistenceManager, ...texts: string[]) {
  const session = createSession({ id: `s${sessions++}` });
  await manager.saveTurn({ session, messages: texts.map(said) });
  return session;
}

const snippets = async (manager: PersistenceManager, text: string) =>
  (await manager.search({ text })).map(({ snippet }) => snippet);

/** FTS5 compares its index with the texts, and throws where they differ. */
const check = (store: ReturnType<typeof newStore>) =>
  store
    .open()
    .exec("INSERT INTO agent_messages_search (agent_messages_search, rank) VALUES ('integrity-check', 1)");

const made = "SELECT name FROM sqlite_master WHERE name LIKE '%search%'";

describe("the index", () => {
  it("is made where search is asked for, of what is there, and kept right by those who do not ask", async () => {
    const store = newStore();
    const without = new PersistenceManager({ adapter: store.connect() });
    const session = await say(without, "an old word", "another");
    expect(store.query(made)).toEqual([]);
    await expect(without.search({ text: "word" })).rejects.toMatchObject({ code: "CAPABILITY_MISSING" });
    const adapters = [store.connect({ search: true }), store.connect({ search: true })];
    await Promise.all(adapters.map((adapter) => adapter.initialize()));
    const [manager = without] = adapters.map((adapter) => new PersistenceManager({ adapter }));
    expect(await snippets(manager, "word")).toEqual(["an old word"]);
    await without.saveTurn({ session, messages: [said("a new word")] });
    store.open().exec("UPDATE agent_messages SET content = 'masked' WHERE sequence = 1");
    expect(await snippets(manager, "word")).toEqual(["a new word"]);
    expect(await snippets(manager, "MASKED")).toEqual(["masked"]);
    check(store);
    await without.trimMessages(session.id ?? "", 1);
    check(store);
    await without.eraseUser("nobody");
    await without.deleteSession(session.id ?? "");
    check(store);
    expect(store.query("SELECT count(*) AS n FROM agent_messages_search_ids")).toEqual([{ n: 0 }]);
    expect(await snippets(manager, "word")).toEqual([]);
  });

  it("keeps no word of what was erased", async () => {
    const store = newStore();
    const manager = new PersistenceManager({ adapter: store.connect({ search: true }) });
    await say(manager, "what others say");
    const session = createSession({ id: "erased" });
    await manager.saveTurn({ session, userId: "ada", messages: [said("my xylophone")] });
    await say(manager, "what others say later");
    const words = () =>
      store
        .query("SELECT block FROM agent_messages_search_data")
        .map(({ block }) => String(block))
        .join();
    expect(words()).toContain("xylophone");
    await manager.eraseUser("ada");
    expect(words()).not.toContain("xylophone");
    check(store);
    expect(await snippets(manager, "later")).toEqual(["what others say later"]);
  });

  it("is not made by an adapter inside a transaction of the application", async () => {
    const store = newStore();
    await store.connect().initialize();
    const db = store.open();
    const manager = new PersistenceManager({
      adapter: store.connect({ db, search: true, transaction: true }),
    });
    db.exec("BEGIN");
    await say(manager, "a word");
    await expect(manager.search({ text: "word" })).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    db.exec("COMMIT");
    expect(store.query(made)).toEqual([]);
    await store.connect({ search: true }).initialize();
    db.exec("BEGIN");
    expect(await snippets(manager, "word")).toEqual(["a word"]);
    db.exec("ROLLBACK");
  });

  it("shows what it finds, by another case and with other accents too", async () => {
    const store = newStore();
    const manager = new PersistenceManager({ adapter: store.connect({ search: true }) });
    const around = (text: string) => `${"so it goes ".repeat(100)}${text}${" and on".repeat(100)}`;
    for (const text of ["Café", "RAPPE\u0301", "한국", "straße"]) await say(manager, around(text));
    for (const [text, shown] of [
      ["CAFE", "Café"],
      ["rappé", "RAPPE\u0301"],
      ["한국", "한국"],
      ["STRAßE", "straße"],
    ])
      expect(await snippets(manager, text ?? "")).toEqual([expect.stringContaining(shown ?? "")]);
  });

  it("finds the same after VACUUM, which may number the messages anew", async () => {
    const store = newStore();
    const manager = new PersistenceManager({ adapter: store.connect({ search: true }) });
    const first = await say(manager, "one word");
    await say(manager, "two words");
    await manager.deleteSession(first.id ?? "");
    store.open().exec("VACUUM");
    await say(manager, "three words");
    check(store);
    expect(await snippets(manager, "words")).toEqual(["three words", "two words"]);
  });

  it.each([
    { sessions: 'Ses"sions', messages: "it's [Messages]" },
    { sessions: "select", messages: "ünï; DROP TABLE x" },
    { sessions: "?1", messages: 'a""b' },
  ])("lies beside tables of any name: $messages", async (tables) => {
    const store = newStore();
    const manager = new PersistenceManager({ adapter: store.connect({ tables, search: true }) });
    const other = new PersistenceManager({ adapter: store.connect({ search: true }) });
    const session = await say(manager, "one word");
    await say(other, "another word");
    expect(await snippets(manager, "word")).toEqual(["one word"]);
    await manager.deleteSession(session.id ?? "");
    expect(await snippets(manager, "word")).toEqual([]);
    expect(await snippets(other, "word")).toEqual(["another word"]);
  });

  it("is not made over something else of its name", async () => {
    const store = newStore();
    store.open().exec("CREATE TABLE agent_messages_search (mine)");
    await expect(store.connect({ search: true }).initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining('"agent_messages_search"'),
    });
    await store.connect().initialize();
  });

  it("is not asked of a file that can only be read, which is told as such", async () => {
    const store = newStore();
    await store.connect().initialize();
    const db = store.open({ readonly: true });
    const expected = { code: "STORAGE_FAILED", message: expect.stringContaining("only be read") };
    await expect(store.connect({ db, search: true }).initialize()).rejects.toMatchObject(expected);
    const tables = { sessions: "others", messages: "other_messages" };
    await expect(store.connect({ db, tables }).initialize()).rejects.toMatchObject(expected);
    await store.connect({ search: true }).initialize();
    const reading = new PersistenceManager({ adapter: store.connect({ db, search: true }) });
    expect(await reading.search({ text: "word" })).toEqual([]);
  });

  it("of a turn that is not stored has none of it", async () => {
    const store = newStore();
    const adapter = store.connect({ search: true });
    const manager = new PersistenceManager({ adapter });
    const session = await say(manager, "kept");
    const stale = { ...session };
    await manager.saveTurn({ session, messages: [said("second")] });
    stale.data = { n: 1 };
    const next = new PersistenceManager({ adapter, conflict: "reject" });
    await expect(
      next.saveTurn({ session: { ...stale, version: "x.1" }, messages: [said("lost")] }),
    ).rejects.toThrow();
    expect(await snippets(manager, "lost")).toEqual([]);
    check(store);
  });
});

describe("sql.js, which has no FTS5", () => {
  it("keeps everything, and does not search", async () => {
    const adapter = new SQLiteAdapter({ db: openSqlJs(), search: true });
    const manager = new PersistenceManager({ adapter });
    await say(manager, "word");
    expect(adapter.search).toBeUndefined();
    await expect(manager.search({ text: "word" })).rejects.toMatchObject({ code: "CAPABILITY_MISSING" });
  });

  it("says why it cannot write where another process has made the index", async () => {
    const store = newStore();
    await store.connect({ search: true }).initialize();
    const bytes = store.open().serialize();
    writeFileSync(`${store.path}.copy`, bytes);
    const manager = new PersistenceManager({
      adapter: new SQLiteAdapter({ db: openSqlJs(`${store.path}.copy`) }),
    });
    await expect(say(manager, "word")).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("FTS5"),
    });
  });
});

it("with 100,000 messages, every search goes by an index", async () => {
  const store = newStore();
  const db = store.open();
  const adapter = store.connect({ search: true });
  await adapter.initialize();
  db.exec(`
    WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1000)
    INSERT INTO agent_sessions (id, life, user_id, revision, version, status, first_sequence, last_sequence, created_at,
        updated_at, updated_day, dirty, operation_count, operations, state)
      SELECT 's' || n, 'l', 'u' || (n % 100), 'r', 'l.0', 'active', 1, 100, 1, 1, 0, 0, 0, '', '{}' FROM n;
    WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n < 99999)
    INSERT INTO agent_messages (session_id, log, sequence, role, content, created_at, body)
      SELECT 's' || (n / 100 + 1), 'l', n % 100 + 1, 'user', 'common common' || (n % 10) || ' rare' || (n % 5000), n, '{}' FROM n;
    ANALYZE`);
  const plans: string[] = [];
  const prepare = (text: string) => {
    const statement = db.prepare<unknown[], unknown>(text);
    return Object.assign(Object.create(statement), {
      run: (...values: unknown[]) => statement.run(...values),
      get: (...values: unknown[]) => statement.get(...values),
      safeIntegers: (isOn: boolean) => statement.safeIntegers(isOn),
      all: (...values: unknown[]) => {
        const plan = db.prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`).all(...values);
        if (text.includes("_search")) plans.push(plan.map(({ detail }) => detail).join("\n"));
        return statement.all(...values);
      },
    });
  };
  const watched = new SQLiteAdapter({ db: { prepare, pragma: (text) => db.pragma(text) }, search: true });
  await watched.initialize();
  plans.length = 0;
  const queries: readonly Omit<SearchQuery, "limit">[] = [
    { text: "rare7" },
    { text: '"common7 rare7" -common3' },
    { text: "rare7", userId: "u7" },
    { text: "rare7", userId: "u7", expiresAfter: 5, from: 0, to: 1e6 },
    { text: "common", sessionId: "s7" },
  ];
  for (const query of queries) {
    const first = await watched.search?.query({ ...query, limit: 1 });
    if (first?.next != null) await watched.search?.query({ ...query, limit: 20, cursor: first.next });
  }
  expect(plans.length).toBeGreaterThan(queries.length);
  for (const plan of plans) {
    expect(plan).toMatch(/VIRTUAL TABLE INDEX/);
    expect(plan).not.toMatch(/SCAN (n|m|s|agent_\w+)\b/);
  }
}, 60_000);
