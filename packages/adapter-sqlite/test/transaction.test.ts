import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import { SQLiteAdapter } from "../src/index.js";
import { openSqlJs, said, storesPerTest } from "./stores.js";

const newStore = storesPerTest();

const handles = {
  "better-sqlite3": () => newStore().open(),
  "sql.js": () => openSqlJs(),
};

describe.each(Object.entries(handles))("a transaction of the application on %s", (_name, open) => {
  /** A manager outside, what makes one inside, and the contents of a session. */
  async function started() {
    const db = open();
    const outside = new PersistenceManager({ adapter: new SQLiteAdapter({ db }), conflict: "reject" });
    await outside.saveTurn({ session: createSession({ id: "s" }), messages: [said("1")] });
    db.exec("CREATE TABLE bookings (id INTEGER PRIMARY KEY)");
    const adapter = () => new SQLiteAdapter({ db, transaction: true });
    const inside = () => new PersistenceManager({ adapter: adapter(), conflict: "reject" });
    const load = async () => {
      const session = await outside.loadSessionState("s");
      if (session === null) throw new Error("not there");
      return session;
    };
    const contents = async () => (await outside.loadSessionHistory("s")).map(({ content }) => content);
    const bookings = async () => JSON.stringify(db.prepare("SELECT count(*) AS n FROM bookings").get([]));
    return { db, outside, inside, adapter, load, contents, bookings };
  }

  it("takes turns with what else is written, and stores them when it commits", async () => {
    const { db, outside, inside, load, contents } = await started();
    const session = await load();
    const manager = inside();
    db.exec("BEGIN IMMEDIATE");
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")] });
    db.exec("INSERT INTO bookings VALUES (1)");
    session.data = { n: 2 };
    await Promise.all([
      manager.saveTurn({ session, messages: [said("3")], records: [{ key: "k", value: 1 }] }),
      manager.saveTurn({ session: createSession({ id: "t" }), messages: [said("other")] }),
    ]);
    expect((await manager.open("s"))?.messages).toHaveLength(3);
    await manager.close();
    db.exec("COMMIT");
    expect(await contents()).toEqual(["1", "2", "3"]);
    expect((await load()).data).toEqual({ n: 2 });
    // Whoever has the object cannot know that the transaction was not undone.
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toThrow(/again/);
    await outside.saveTurn({ session: await load(), messages: [said("4")] });
  });

  it("takes all of it back when it is rolled back; the state is loaded again", async () => {
    const { db, outside, inside, load, contents } = await started();
    const session = await load();
    const { version } = session;
    db.exec("BEGIN IMMEDIATE");
    const manager = inside();
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")], records: [{ key: "k", value: 1 }] });
    await manager.saveTurn({ session: createSession({ id: "t" }) });
    await manager.close();
    db.exec("ROLLBACK");
    expect(await contents()).toEqual(["1"]);
    expect(await outside.loadSessionState("t")).toBeNull();
    expect(await outside.records({ sessionId: "s" }).list()).toEqual([]);
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toThrow();
    const again = await load();
    expect(again).toMatchObject({ version, data: {} });
    again.data = { n: 2 };
    await outside.saveTurn({ session: again, messages: [said("2 again")] });
    // Somebody else has come to the number of the version that was undone.
    session.data = { n: 3 };
    await expect(outside.saveTurn({ session, messages: [said("lost")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    expect((await load()).data).toEqual({ n: 2 });
    expect(await contents()).toEqual(["1", "2 again"]);
  });

  it("goes on after a conflict, and after a turn that cannot be stored", async () => {
    const { db, inside, adapter, load, contents } = await started();
    const [session, stale] = [await load(), await load()];
    db.exec("BEGIN IMMEDIATE");
    const manager = inside();
    session.data = { n: 1 };
    await manager.saveTurn({ session, messages: [said("2")] });
    stale.data = { n: 2 };
    await expect(manager.saveTurn({ session: stale, messages: [said("lost")] })).rejects.toMatchObject({
      code: "SESSION_CONFLICT",
    });
    const entry = { ...{ sessionId: "s", log: "l", userId: null, role: "user" }, createdAt: 1, body: {} };
    const { messageRepository } = adapter();
    await expect(
      messageRepository.insert([
        { ...entry, sequence: 1, content: "half" },
        { ...entry, sequence: 2, content: "a\0b" },
      ]),
    ).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: false });
    expect(await messageRepository.findBySessionId("s", { log: "l", from: 1, to: 9 })).toEqual([]);
    db.exec("INSERT INTO bookings VALUES (1)");
    await manager.saveTurn({ session, messages: [said("3")] });
    db.exec("COMMIT");
    expect(await contents()).toEqual(["1", "2", "3"]);
  });

  it("may be ended by a full disk, which the error says, and no later turn is stored without it", async () => {
    const { db, inside, contents } = await started();
    db.exec("PRAGMA max_page_count = 1"); // SQLite takes its present size for it
    db.exec("BEGIN IMMEDIATE");
    db.exec("INSERT INTO bookings VALUES (1)");
    const manager = inside();
    const large = { session: createSession({ id: "t" }), messages: [said("x".repeat(200_000))] };
    await expect(manager.saveTurn(large)).rejects.toMatchObject({
      code: "STORAGE_FULL",
      retryable: false,
      message: expect.stringContaining("has ended your transaction"),
    });
    await expect(manager.saveTurn({ session: createSession({ id: "u" }) })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("no transaction open"),
    });
    expect(() => db.exec("COMMIT")).toThrow("no transaction");
    expect(await contents()).toEqual(["1"]);
  });

  it("may have savepoints", async () => {
    const { db, inside, contents } = await started();
    db.exec("BEGIN IMMEDIATE");
    const manager = inside();
    const kept = (await manager.open("s"))?.session ?? createSession();
    await manager.saveTurn({ session: kept, messages: [said("kept")] });
    db.exec("SAVEPOINT mine");
    const undone = (await manager.open("s"))?.session ?? createSession();
    undone.data = { n: 1 };
    await manager.saveTurn({ session: undone, messages: [said("undone")] });
    db.exec("ROLLBACK TO mine");
    const last = (await manager.open("s"))?.session ?? createSession();
    last.data = { n: 2 };
    await manager.saveTurn({ session: last, messages: [said("last")] });
    undone.data = { n: 3 };
    await expect(manager.saveTurn({ session: undone })).rejects.toMatchObject({ code: "SESSION_CONFLICT" });
    db.exec("COMMIT");
    expect(await contents()).toEqual(["1", "kept", "last"]);
  });

  it("has to be open, and is not begun or ended by a call", async () => {
    const { db, inside, adapter, contents } = await started();
    const expected = {
      code: "STORAGE_FAILED",
      retryable: false,
      message: expect.stringContaining("no transaction open"),
    };
    const manager = inside();
    await expect(manager.saveTurn({ session: createSession({ id: "t" }) })).rejects.toMatchObject(expected);
    await expect(adapter().sessionRepository.findById("s")).rejects.toMatchObject(expected);
    db.exec("BEGIN");
    expect(await adapter().sessionRepository.findById("s")).not.toBeNull();
    db.exec("ROLLBACK");
    await expect(adapter().turns.load("s", { last: 1 })).rejects.toMatchObject(expected);
    expect(await contents()).toEqual(["1"]);
  });
});

it("a file that sql.js keeps belongs to another adapter than that of a transaction", () => {
  expect(() => new SQLiteAdapter({ db: openSqlJs(), file: "x.db", transaction: true })).toThrow(
    expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
  );
});
