import { spawn } from "node:child_process";
import { once } from "node:events";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import {
  type Commit,
  type Filter,
  createTurnStore,
  encodeCursor,
  operationWindow,
  systemEnvironment,
} from "@waymark/core/adapter";
import Database from "better-sqlite3";
import { SQLiteAdapter, type SQLiteHandle } from "../src/index.js";
import { openSqlJs, openStore, said, storesPerTest } from "./stores.js";

const newStore = storesPerTest();
let names = 0;
const newName = (prefix: string) => `${prefix}${names++}`;

function append(id: string, content: string): Commit {
  return {
    id,
    expect: { kind: "append" },
    operation: { id: newName("o"), digest: "" },
    revision: newName("r"),
    at: 1,
    set: {},
    messages: [{ userId: null, role: "user", content, createdAt: 1, body: {} }],
    history: [],
  };
}

const creation = (id: string): Commit => ({
  ...append(id, "0"),
  expect: { kind: "create", life: newName("l"), createdAt: 1 },
});

/** Sessions that are stored, by their ids. */
async function stored(adapter: SQLiteAdapter, count: number): Promise<string[]> {
  await adapter.initialize();
  const ids = Array.from({ length: count }, () => newName("s"));
  await adapter.turns.commit(ids.map(creation));
  return ids;
}

const entry = {
  ...{ sessionId: "s", log: "l", sequence: 1, userId: null },
  ...{ role: "user", content: "x", createdAt: 1, body: {} },
};

/** Every kind of call. */
const callsOf = ({ sessionRepository, messageRepository, turns }: SQLiteAdapter) => [
  () => sessionRepository.findById("s"),
  () => sessionRepository.find({}, { limit: 1 }),
  () => sessionRepository.delete("s", "r"),
  () => messageRepository.insert([entry]),
  () => messageRepository.findBySessionId("s", { log: "l", from: 1, to: 2 }),
  () => messageRepository.deleteBySessionId("s", { log: "l" }),
  () => turns.commit([append("s", "x")]),
  () => turns.load("s", { last: 1 }),
];

/** A handle that tells which statements are run. */
function watched(db: Database.Database): { db: SQLiteHandle; ran: string[] } {
  const ran: string[] = [];
  const prepare = (text: string) => {
    const statement = db.prepare(text);
    const told =
      <T>(call: (...values: unknown[]) => T) =>
      (...values: unknown[]): T => {
        ran.push(text);
        return call.apply(statement, values);
      };
    return {
      run: told(statement.run),
      get: told(statement.get),
      all: told(statement.all),
      safeIntegers: (isOn: boolean) => statement.safeIntegers(isOn),
    };
  };
  return { db: { prepare, pragma: (text: string) => db.pragma(text) }, ran };
}

const handles = {
  "better-sqlite3": () => newStore().open(),
  "sql.js": () => openSqlJs(),
};

describe.each(Object.entries(handles))("%s", (_name, open) => {
  it("refuses to work in a transaction of the application, and leaves it as it is", async () => {
    const db = open();
    const adapter = new SQLiteAdapter({ db });
    await adapter.initialize();
    db.exec("CREATE TABLE mine (n)");
    db.exec("BEGIN");
    db.exec("INSERT INTO mine VALUES (1)");
    for (const call of callsOf(adapter))
      await expect(call()).rejects.toMatchObject({ code: "CLIENT_IN_TRANSACTION", retryable: true });
    db.exec("ROLLBACK");
    expect(await adapter.turns.commit([creation("s")])).toMatchObject([{ status: "committed" }]);
    db.exec("BEGIN");
    db.exec("COMMIT");
    expect(await adapter.turns.load("s", { last: 1 })).toMatchObject({ row: { last: 1 } });
  });

  it("a turn that meets a transaction is stored when that has ended", async () => {
    const db = open();
    const manager = new PersistenceManager({ adapter: new SQLiteAdapter({ db }) });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session, messages: [said("1")] });
    db.exec("BEGIN");
    const saving = manager.saveTurn({ session, messages: [said("2")] });
    await Promise.resolve();
    db.exec("COMMIT");
    await saving;
    expect((await manager.loadSessionHistory("s")).map(({ content }) => content)).toEqual(["1", "2"]);
    await manager.close();
  });

  it("says that the application has closed the handle", async () => {
    const db = open();
    const adapter = new SQLiteAdapter({ db });
    await adapter.initialize();
    await adapter.sessionRepository.findById("s");
    db.close();
    for (const call of callsOf(adapter))
      await expect(call()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        retryable: false,
        message: expect.stringContaining("closed the handle"),
      });
  });

  it("stays open, and keeps what the application does with it", async () => {
    const db = open();
    const adapter = new SQLiteAdapter({ db });
    const manager = new PersistenceManager({ adapter });
    await manager.saveTurn({ session: createSession({ id: "s" }), messages: [said("1")] });
    await manager.close();
    db.exec("CREATE TABLE mine (n)");
    expect(await adapter.sessionRepository.findById("s")).not.toBeNull();
  });

  it("texts come back as they were: a byte order mark, a large one; what it cannot keep is refused", async () => {
    const adapter = new SQLiteAdapter({ db: open() });
    const [id = "", other = ""] = await stored(adapter, 2);
    const texts = ["\ufeffa", "\ufeff", "\ufeff\ufeffb", "é😀", "x".repeat(4 * 1024 * 1024), ".", ""];
    for (const text of texts) await adapter.turns.commit([append(id, text)]);
    const loaded = await adapter.turns.load(id, { last: 7 });
    expect(loaded?.entries.map(({ content }) => content)).toEqual(texts);
    for (const text of ["a\0b", "\0", "\ud800"]) {
      const outcomes = await adapter.turns.commit([append(id, text), append(other, "fine")]);
      expect(outcomes).toMatchObject([
        { status: "failed", error: { code: "STORAGE_FAILED", retryable: false } },
        { status: "committed" },
      ]);
      await expect(adapter.turns.commit([append(id, text)])).rejects.toMatchObject({
        code: "STORAGE_FAILED",
      });
    }
    expect((await adapter.turns.load(id, { last: 1 }))?.row.last).toBe(8);
    const found = await adapter.sessionRepository.find({ userId: "\ud800" }, { limit: 1 });
    expect(found.items).toEqual([]);
  });

  it("says that the tables are missing", async () => {
    const adapter = new SQLiteAdapter({ db: open() });
    for (const call of callsOf(adapter))
      await expect(call()).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: expect.stringContaining("initialize()"),
      });
  });

  it.each(["TABLE agent_sessions (id)", "TABLE Agent_Messages (id)", "VIEW agent_messages AS SELECT 1"])(
    "leaves alone what it did not make: %s",
    async (made) => {
      const db = open();
      db.exec(`CREATE ${made}`);
      const error: unknown = await new SQLiteAdapter({ db }).initialize().catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "STORAGE_FAILED", message: expect.stringContaining("`tables`") });
      const tables = { sessions: "waymark_s", messages: "waymark_m" };
      await new SQLiteAdapter({ db, tables }).initialize();
    },
  );

  it("refuses tables of a newer version, and leaves them as they are", async () => {
    const db = open();
    const adapter = new SQLiteAdapter({ db });
    await adapter.initialize();
    db.exec("INSERT INTO agent_sessions_schema VALUES (7)");
    await expect(adapter.initialize()).rejects.toMatchObject({
      code: "STATE_TOO_NEW",
      message: expect.stringMatching(/"agent_sessions".*schema 7.*knows 1/s),
    });
    expect(await adapter.describe()).toMatchObject({ schemaVersion: 7, writable: false });
  });

  it.each([
    { sessions: 'Ses"sions', messages: "it's [Messages]" },
    { sessions: "select", messages: "ünï; DROP TABLE x" },
    { sessions: "?1", messages: "a".repeat(300) },
  ])("tables may have any name: $sessions", async (tables) => {
    const db = open();
    const adapter = new SQLiteAdapter({ db, tables });
    await adapter.initialize();
    await adapter.initialize();
    const manager = new PersistenceManager({ adapter });
    const session = createSession({ id: "s" });
    await manager.saveTurn({ session, messages: [said("1")] });
    await manager.saveTurn({ session, messages: [said("2")] });
    expect((await manager.open("s"))?.messages.length).toBe(2);
    expect((await adapter.sessionRepository.find({}, { limit: 1 })).items.length).toBe(1);
    await new SQLiteAdapter({ db }).initialize();
    await manager.close();
  });

  it("a table in `temp` of the same name is another one", async () => {
    const db = open();
    const adapter = new SQLiteAdapter({ db });
    await adapter.initialize();
    db.exec("CREATE TEMP TABLE agent_sessions (id)");
    expect(await adapter.turns.commit([creation("s")])).toMatchObject([{ status: "committed" }]);
    expect(await new SQLiteAdapter({ db }).sessionRepository.findById("s")).not.toBeNull();
  });

  it("a database in UTF-16 is refused, for its other order", async () => {
    const db = open();
    db.exec("PRAGMA encoding = 'UTF-16'");
    db.exec("CREATE TABLE mine (n)");
    const isChanged = JSON.stringify(db.prepare("PRAGMA encoding").get([])).includes("UTF-16");
    const initialized = new SQLiteAdapter({ db }).initialize();
    // In a file that has its header already the encoding does not change.
    if (isChanged) await expect(initialized).rejects.toThrow("UTF-16");
    else await initialized;
  });
});

describe("options", () => {
  it.each(["", "a\0b", "\ud800", "sqlite_x", "AGENT_MESSAGES", "agent_messages"])(
    "refuses a name that SQLite would refuse or take for another: %j",
    (sessions) => {
      expect(() => new SQLiteAdapter({ db: openSqlJs(), tables: { sessions } })).toThrow(
        expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
      );
    },
  );

  it.each([null, undefined, {}, "app.db", { prepare: 1 }])("refuses what is no handle: %j", (db) => {
    expect(() => new SQLiteAdapter({ db: db as never })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("refuses a `file` for a handle that has one", () => {
    const db = newStore().open();
    expect(() => new SQLiteAdapter({ db, file: "x.db" })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("knows what is durable: a file, and nothing in memory", () => {
    expect(newStore().connect().durability).toBe("commit");
    expect(new SQLiteAdapter({ db: new Database(":memory:") }).durability).toBe("process");
    expect(new SQLiteAdapter({ db: new Database("") }).durability).toBe("process");
    expect(new SQLiteAdapter({ db: openSqlJs() }).durability).toBe("process");
    expect(new SQLiteAdapter({ db: openSqlJs(), file: "x.db" }).durability).toBe("flush");
  });

  it("a handle that reads numbers as bigint changes nothing", async () => {
    const db = newStore().open();
    db.defaultSafeIntegers(true);
    const adapter = new SQLiteAdapter({ db });
    const [id = ""] = await stored(adapter, 1);
    await adapter.turns.commit([append(id, "1")]);
    expect(await adapter.turns.load(id, { last: 2 })).toMatchObject({
      row: { last: 2, createdAt: 1, dirty: false },
      entries: [{ sequence: 1 }, { sequence: 2 }],
    });
    expect(await adapter.describe()).toMatchObject({ schemaVersion: 1, writable: true });
  });
});

describe("settings", () => {
  it.each(["MEMORY", "OFF"])("a journal that a kill would tear is refused: %s", async (mode) => {
    const db = new Database(newStore().path).unsafeMode();
    db.pragma(`journal_mode = ${mode}`);
    await expect(new SQLiteAdapter({ db }).initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("journal_mode"),
    });
    db.close();
  });

  it("describes engine, driver, journal and durability", async () => {
    const db = newStore().open();
    db.pragma("synchronous = FULL");
    const adapter = new SQLiteAdapter({ db });
    expect(await adapter.describe()).toMatchObject({ schemaVersion: 0, writable: false });
    await adapter.initialize();
    expect(await adapter.describe()).toEqual({
      server: expect.stringMatching(
        /^SQLite 3\.\d+\.\d+ by better-sqlite3 \(journal_mode wal, synchronous full\)$/,
      ),
      schemaVersion: 1,
      writable: true,
    });
    db.pragma("query_only = ON");
    expect(await adapter.describe()).toMatchObject({ writable: false });
  });
});

describe("a file that cannot be used", () => {
  it("only readable: reads are answered, writes are refused", async () => {
    const store = newStore();
    const [id = ""] = await stored(store.connect(), 1);
    const adapter = store.connect({ db: store.open({ readonly: true }) });
    await adapter.initialize();
    expect((await adapter.turns.load(id, { last: 1 }))?.entries.length).toBe(1);
    expect(await adapter.describe()).toMatchObject({ writable: false });
    await expect(adapter.turns.commit([append(id, "1")])).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("only be read"),
    });
  });

  it("no database: told as damage, and left as it is", async () => {
    const store = newStore();
    writeFileSync(store.path, "This is a letter, and no database. ".repeat(100));
    const adapter = new SQLiteAdapter({ db: openSqlJs(store.path) });
    await expect(adapter.initialize()).rejects.toMatchObject({ code: "STORAGE_DAMAGED", retryable: false });
    const db = new Database(store.path);
    expect(() => new SQLiteAdapter({ db })).not.toThrow();
    await expect(new SQLiteAdapter({ db }).initialize()).rejects.toMatchObject({ code: "STORAGE_DAMAGED" });
    db.close();
  });

  it("a row that is no JSON any more: told as damage, and its neighbours go on", async () => {
    const store = newStore();
    const adapter = store.connect();
    const [damaged = "", fine = ""] = await stored(adapter, 2);
    const beside = store.open();
    beside.prepare("UPDATE agent_sessions SET state = '{', system = '{' WHERE id = ?").run(damaged);
    for (const call of [
      () => adapter.sessionRepository.findById(damaged),
      () => adapter.turns.load(damaged, { last: 1 }),
      () => adapter.turns.commit([append(damaged, "1")]),
    ])
      await expect(call()).rejects.toMatchObject({ code: "STORAGE_DAMAGED" });
    const outcomes = await adapter.turns.commit([append(damaged, "1"), append(fine, "1")]);
    expect(outcomes).toMatchObject([
      { status: "failed", error: { code: "STORAGE_DAMAGED" } },
      { status: "committed" },
    ]);
    expect(beside.prepare("SELECT state FROM agent_sessions WHERE id = ?").pluck().get(damaged)).toBe("{");
  });

  it("moved away: told with a journal that notices it", async () => {
    const store = newStore();
    const db = new Database(store.path);
    const adapter = new SQLiteAdapter({ db });
    const [id = ""] = await stored(adapter, 1);
    renameSync(store.path, join(store.folder, "elsewhere.db"));
    await expect(adapter.turns.commit([append(id, "1")])).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    db.close();
  });

  it("full: told, nothing is half written, and it goes on when there is room", async () => {
    const db = newStore().open();
    const adapter = new SQLiteAdapter({ db });
    const ids = await stored(adapter, 2);
    const [id = ""] = ids;
    const pages = Number(db.pragma("page_count", { simple: true }));
    db.pragma(`max_page_count = ${pages + 4}`);
    const large = () => append(id, "x".repeat(100_000));
    const expected = { code: "STORAGE_FULL", retryable: true };
    await expect(adapter.turns.commit([large()])).rejects.toMatchObject(expected);
    await expect(adapter.turns.commit([append(ids[1] ?? "", "1"), large()])).rejects.toMatchObject(expected);
    const lasts = async () =>
      (await Promise.all(ids.map((each) => adapter.turns.load(each, { last: 1 })))).map(
        (each) => each?.row.last,
      );
    expect(await lasts()).toEqual([1, 1]);
    db.pragma("max_page_count = 100000");
    expect(await adapter.turns.commit([large()])).toMatchObject([{ status: "committed" }]);
    expect(await lasts()).toEqual([2, 1]);
  });
});

describe("other connections", () => {
  it("who holds the database is waited for, with the event loop free", async () => {
    const store = newStore();
    const adapter = store.connect({ db: store.open({ timeout: 0 }) });
    const [id = ""] = await stored(adapter, 1);
    const holder = store.open();
    holder.exec("BEGIN IMMEDIATE");
    const committing = adapter.turns.commit([append(id, "1")]);
    await new Promise((resolve) => setImmediate(resolve));
    expect((await adapter.turns.load(id, { last: 9 }))?.entries.length).toBe(1);
    holder.exec("ROLLBACK");
    expect(await committing).toMatchObject([{ status: "committed" }]);
  });

  it("who does not let go is told of: nothing was written, and it may be sent again", async () => {
    const store = newStore();
    const adapter = store.connect({ db: store.open({ timeout: 0 }) });
    const [id = ""] = await stored(adapter, 1);
    const holder = store.open();
    holder.exec("BEGIN IMMEDIATE");
    const commit = append(id, "1");
    await expect(adapter.turns.commit([commit])).rejects.toMatchObject({
      code: "STORAGE_LOCKED",
      retryable: true,
    });
    holder.exec("ROLLBACK");
    expect(await adapter.turns.commit([commit])).toMatchObject([{ status: "committed" }]);
  }, 20_000);

  it("an iterator of the application on the handle is waited for", async () => {
    const db = newStore().open();
    const adapter = new SQLiteAdapter({ db });
    const [id = ""] = await stored(adapter, 1);
    const rows = db.prepare("SELECT 1 UNION SELECT 2").iterate();
    rows.next();
    const committing = adapter.turns.commit([append(id, "1")]);
    await new Promise((resolve) => setImmediate(resolve));
    rows.return?.();
    expect(await committing).toMatchObject([{ status: "committed" }]);
  });

  it("tables are made once by eight processes at once", async () => {
    const store = newStore();
    const entry = new URL("./process-entry.mjs", import.meta.url).href;
    const address = JSON.stringify({ driver: "better-sqlite3", path: store.path });
    const program = `const { default: connect } = await import(${JSON.stringify(entry)});
      const adapter = await connect(${address});
      console.log("ready");
      process.stdin.once("data", async () => {
        await adapter.initialize();
        process.exit((await adapter.describe()).writable ? 0 : 1);
      });`;
    const children = Array.from({ length: 8 }, () =>
      spawn(process.execPath, ["--input-type=module", "-e", program], { stdio: ["pipe", "pipe", "inherit"] }),
    );
    await Promise.all(children.map((child) => once(child.stdout, "data")));
    const ends = children.map((child) => once(child, "exit"));
    for (const child of children) child.stdin.write("go\n");
    expect((await Promise.all(ends)).map(([code]) => code as unknown)).toEqual(children.map(() => 0));
    const made = store.query("SELECT count(*) AS n FROM agent_sessions_schema");
    expect(made).toEqual([{ n: 1 }]);
  }, 60_000);
});

describe("turns", () => {
  it("many at once are one transaction, and one that SQLite does not keep fails alone", async () => {
    const { db, ran } = watched(newStore().open());
    const adapter = new SQLiteAdapter({ db });
    const ids = await stored(adapter, 32);
    const begun = () => ran.filter((text) => text === "BEGIN IMMEDIATE").length;
    ran.length = 0;
    const outcomes = await adapter.turns.commit(ids.map((id) => append(id, "1")));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => "committed"));
    expect(begun()).toBe(1);
    const turns = createTurnStore(adapter, systemEnvironment);
    const patience = { deadline: Date.now() + 60_000, signal: undefined };
    ran.length = 0;
    const results = await Promise.allSettled(
      ids.map((id, index) =>
        turns.inOrder(id, (commit) => commit(append(id, index === 7 ? "a\0b" : "ok"), patience)),
      ),
    );
    const failed = results.flatMap((result) => (result.status === "rejected" ? [result.reason] : []));
    expect(failed).toEqual([expect.objectContaining({ code: "STORAGE_FAILED", retryable: false })]);
    expect(failed[0].message).not.toContain("a\0b");
    expect(begun()).toBeLessThan(8);
    for (const [index, id] of ids.entries()) {
      const loaded = await adapter.turns.load(id, { last: 10 });
      expect(loaded?.entries.map(({ content }) => content)).toEqual([
        "0",
        "1",
        ...(index === 7 ? [] : ["ok"]),
      ]);
    }
  });

  it("a row that was changed in between, by whomever, is read again", async () => {
    const store = newStore();
    const [one, two] = [store.connect(), store.connect()];
    const [id = ""] = await stored(one, 1);
    for (let round = 0; round < 3; round++) {
      for (const adapter of [one, one, two])
        expect(await adapter.turns.commit([append(id, "x")])).toMatchObject([{ status: "committed" }]);
      const row = await two.sessionRepository.findById(id);
      if (row === null) throw new Error("not stored");
      await two.sessionRepository.update({ ...row, revision: newName("r"), userId: "ann" }, row.revision);
    }
    const loaded = await one.turns.load(id, { last: 100 });
    expect(loaded?.row).toMatchObject({ last: 10, userId: "ann", system: { count: 10 } });
    expect(loaded?.entries.length).toBe(10);
    if (loaded === null) throw new Error("not stored");
    await two.sessionRepository.delete(id, loaded.row.revision);
    expect(await one.turns.commit([append(id, "x")])).toEqual([{ status: "absent" }]);
    expect(await one.turns.commit([creation(id)])).toMatchObject([{ status: "committed", first: 1 }]);
  });

  it("a message whose key is taken stays, and the turn and its neighbours are stored", async () => {
    const adapter = newStore().connect();
    const ids = await stored(adapter, 3);
    const [taken = ""] = ids;
    const row = await adapter.sessionRepository.findById(taken);
    const key = { sessionId: taken, log: row?.life ?? "", sequence: 2 };
    const early = { ...key, userId: null, role: "user", content: "early", createdAt: 1, body: {} };
    await adapter.messageRepository.insert([early]);
    const outcomes = await adapter.turns.commit(ids.map((id) => append(id, "1")));
    expect(outcomes.map(({ status }) => status)).toEqual(ids.map(() => "committed"));
    for (const id of ids) {
      const loaded = await adapter.turns.load(id, { last: 10 });
      expect(loaded?.entries.map(({ content }) => content)).toEqual(["0", id === taken ? "early" : "1"]);
    }
  });

  it("operations come back in their order, however many there were", async () => {
    const adapter = newStore().connect();
    const [id = ""] = await stored(adapter, 1);
    for (let count = 2; count <= 40; count++) {
      const commit = append(id, "x");
      await adapter.turns.commit([commit]);
      const row = await adapter.sessionRepository.findById(id);
      expect(row?.system).toMatchObject({ count, operations: { length: Math.min(count, operationWindow) } });
      const sequences = [...JSON.stringify(row?.system).matchAll(/"first":(\d+)/g)].map(([, n]) => Number(n));
      expect(sequences).toEqual(sequences.map((_, index) => count - sequences.length + index + 1));
      expect(await adapter.turns.commit([commit])).toMatchObject([{ status: "replayed", first: count }]);
      // Written whole, they are found by the next turn all the same.
      if (row !== null && count % 7 === 0)
        expect(await adapter.sessionRepository.update({ ...row, revision: newName("r") }, row.revision)).toBe(
          true,
        );
    }
  });

  it("a row whose part of core is of another form keeps it", async () => {
    const adapter = newStore().connect();
    const [id = ""] = await stored(adapter, 1);
    const row = await adapter.sessionRepository.findById(id);
    if (row === null) throw new Error("not stored");
    const system = { pending: [], operations: [{ id: "o", digest: "", more: 1 }], count: 1 };
    await adapter.sessionRepository.update({ ...row, revision: "r", system }, row.revision);
    await adapter.turns.commit([append(id, "1")]);
    const next = await adapter.sessionRepository.findById(id);
    expect(next?.system).toMatchObject({ count: 2, operations: [{ id: "o", more: 1 }, { first: 2 }] });
  });
});

describe("indexes", () => {
  const store = openStore();
  afterAll(() => store.remove());

  it("every query of `find` uses one, and an ordinary turn writes none", async () => {
    const plain = store.open();
    const { db, ran } = watched(plain);
    const adapter = new SQLiteAdapter({ db });
    await adapter.initialize();
    const { sessionRepository: sessions } = adapter;
    const now = Date.now();
    const day = 24 * 60 * 60 * 1000;
    const cursor = encodeCursor({ createdAt: now - day, id: "s1440" });
    const filters: readonly [Filter, string][] = [
      [{}, "created_idx"],
      [{ userId: "u7" }, "user_idx"],
      [{ userId: "u7", agentName: "a" }, "user_idx"],
      [{ userId: "u7", status: ["active"], expiresAfter: now }, "user_idx"],
      [{ userId: "u7", updatedBefore: now - day }, "user_idx"],
      [{ userId: "u7", status: ["active", "completed", "abandoned", "deleting"] }, "user_idx"],
      [{ agentName: "a" }, "created_idx"],
      [{ status: ["completed", "abandoned"] }, "created_idx"],
      [{ updatedBefore: now - 13 * day }, "updated_idx"],
      [{ updatedAfter: now - day }, "updated_idx"],
      [{ expiresBefore: now + 1 }, "expires_idx"],
      [{ status: ["deleting"] }, "deleting_idx"],
      [{ dirty: true, updatedBefore: now - 60_000 }, "dirty_idx"],
      [{ dirty: true }, "dirty_idx"],
    ];
    const plans: string[][] = [];
    for (const [filter] of filters)
      for (const page of [{ limit: 50 }, { limit: 50, cursor }]) {
        ran.length = 0;
        await sessions.find(filter, page);
        const text = ran.find((each) => each.startsWith("SELECT")) ?? "";
        const values = Array.from({ length: text.split("?").length - 1 }, () => 1);
        const plan = plain
          .prepare<unknown[], { detail: string }>(`EXPLAIN QUERY PLAN ${text}`)
          .all(...values);
        plans.push([JSON.stringify(filter), ...plan.map(({ detail }) => detail)]);
      }
    const used = plans.map(([filter, ...details]) => [
      filter,
      /agent_sessions_(\w+)/.exec(details.join())?.[1],
    ]);
    expect(used).toEqual(
      filters.flatMap(([filter, index]) => [0, 1].map(() => [JSON.stringify(filter), index])),
    );

    const manager = new PersistenceManager<{ turn: number }>({ adapter, expireAfterMs: 30 * day });
    const session = createSession<{ turn: number }>({ id: "talk" });
    await manager.saveTurn({ session, messages: [said("hi")] });
    ran.length = 0;
    session.data.turn = 1;
    await manager.saveTurn({ session, messages: [said("hi"), said("again")] });
    const updates = ran.filter((text) => text.startsWith("UPDATE"));
    expect(updates.length).toBe(1);
    const opcodes = plain
      .prepare<[], { opcode: string }>(`EXPLAIN ${updates[0]?.replaceAll("?", "1")}`)
      .all();
    expect(opcodes.filter(({ opcode }) => opcode === "OpenWrite").length).toBe(1);
    await manager.close();
  });
});
