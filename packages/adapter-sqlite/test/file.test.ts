import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "@jest/globals";
import { PersistenceManager, createSession } from "@waymark/core";
import Database from "better-sqlite3";
import { SQLiteAdapter } from "../src/index.js";
import { openSqlJs, said, storesPerTest } from "./stores.js";

const newStore = storesPerTest();

/** A database of sql.js that was loaded from the file, and an adapter that keeps it there. */
function open(path: string) {
  const db = openSqlJs(path);
  return { db, adapter: new SQLiteAdapter({ db, file: path }) };
}

/** A turn of a session, acknowledged. */
async function turn(adapter: SQLiteAdapter, id = "s"): Promise<void> {
  const manager = new PersistenceManager({ adapter });
  const session = (await manager.loadSessionState(id)) ?? createSession({ id });
  await manager.saveTurn({ session, messages: [said("hello")] });
}

/** How many messages the file has, as another program reads it. */
function inFile(path: string): number {
  if (!existsSync(path)) return 0;
  const db = new Database(path, { readonly: true });
  try {
    return Number(db.prepare("SELECT count(*) FROM agent_messages").pluck().get());
  } finally {
    db.close();
  }
}

describe("a file of sql.js", () => {
  it("has a turn after `flush`, and after `close`", async () => {
    const { path } = newStore();
    const { adapter } = open(path);
    await adapter.initialize();
    expect(inFile(path)).toBe(0);
    await turn(adapter);
    await adapter.flush();
    expect(inFile(path)).toBe(1);
    await adapter.disconnect();
    const next = open(path);
    const manager = new PersistenceManager({ adapter: next.adapter });
    await manager.saveTurn({ session: createSession({ id: "t" }), messages: [said("1"), said("2")] });
    await manager.close();
    expect(inFile(path)).toBe(3);
    expect(next.db.exec("SELECT 1").length).toBe(1);
    const again = open(path);
    await again.adapter.initialize();
    expect((await again.adapter.turns.load("t", { last: 9 }))?.entries.length).toBe(2);
    await again.adapter.disconnect();
  });

  it("is written a moment after a turn without being asked", async () => {
    const { path } = newStore();
    const { adapter } = open(path);
    await adapter.initialize();
    await turn(adapter);
    while (inFile(path) === 0) await sleep(20);
    await adapter.disconnect();
  });

  it("is written once for all that was changed, and not when nothing was", async () => {
    const { path } = newStore();
    const { db, adapter } = open(path);
    let exports = 0;
    const { export: bytes } = db;
    db.export = () => {
      exports++;
      return bytes.call(db);
    };
    await adapter.initialize();
    exports = 0;
    await Promise.all([turn(adapter, "a"), turn(adapter, "b"), turn(adapter, "c")]);
    await Promise.all([adapter.flush(), adapter.flush(), adapter.flush()]);
    await adapter.flush();
    expect(exports).toBe(1);
    db.exec("CREATE TABLE mine (n); INSERT INTO mine VALUES (1)");
    await adapter.flush();
    expect(exports).toBe(2);
    await adapter.disconnect();
    expect(exports).toBe(2);
  });

  it("is written in no transaction of the application", async () => {
    const { path } = newStore();
    const { db, adapter } = open(path);
    await adapter.initialize();
    await turn(adapter);
    db.exec("BEGIN; DELETE FROM agent_messages");
    await expect(adapter.flush()).rejects.toMatchObject({ code: "CLIENT_IN_TRANSACTION", retryable: true });
    expect(inFile(path)).toBe(0);
    db.exec("ROLLBACK");
    await adapter.flush();
    expect(inFile(path)).toBe(1);
    await adapter.disconnect();
  });

  it("keeps its mode and its place behind a link; a new one is the owner's alone", async () => {
    const { folder, path } = newStore();
    const fresh = open(path);
    await fresh.adapter.initialize();
    await fresh.adapter.disconnect();
    expect(statSync(path).mode & 0o777).toBe(0o600);
    chmodSync(path, 0o640);
    const link = join(folder, "link.db");
    symlinkSync(path, link);
    const linked = open(link);
    await linked.adapter.initialize();
    await turn(linked.adapter);
    await linked.adapter.disconnect();
    expect(realpathSync(link)).toBe(realpathSync(path));
    expect([statSync(path).mode & 0o777, inFile(path)]).toEqual([0o640, 1]);
    expect(readdirSync(folder).toSorted()).toEqual(["app.db", "link.db"]);
  });

  it("refuses calls before `initialize` and after `disconnect`, which may be repeated", async () => {
    const { path } = newStore();
    const { adapter } = open(path);
    const closed = expect.objectContaining({ code: "CLOSED" });
    await expect(adapter.sessionRepository.findById("s")).rejects.toEqual(closed);
    await adapter.disconnect();
    await adapter.initialize();
    await turn(adapter);
    await adapter.disconnect();
    await adapter.disconnect();
    await expect(turn(adapter)).rejects.toEqual(closed);
    expect(existsSync(`${path}.lock`)).toBe(false);
    await adapter.initialize();
    expect((await adapter.turns.load("s", { last: 1 }))?.row.last).toBe(1);
    await adapter.disconnect();
  });

  it("is not made by a manager that is closed without having been used", async () => {
    const { path } = newStore();
    const manager = new PersistenceManager({ adapter: open(path).adapter });
    await manager.flush();
    await manager.close();
    expect(existsSync(path)).toBe(false);
  });

  it("is kept for all adapters on one handle, until the last is disconnected", async () => {
    const { path } = newStore();
    const { db, adapter } = open(path);
    const tables = { sessions: "other", messages: "others" };
    const other = new SQLiteAdapter({ db, file: path, tables });
    await Promise.all([adapter.initialize(), other.initialize()]);
    await Promise.all([turn(adapter), turn(other)]);
    await adapter.disconnect();
    expect(inFile(path)).toBe(1);
    await turn(other, "t");
    await other.disconnect();
    expect(existsSync(`${path}.lock`)).toBe(false);
    expect(() => new SQLiteAdapter({ db, file: `${path}.2` })).toThrow(
      expect.objectContaining({ code: "INVALID_CONFIGURATION" }),
    );
  });

  it("cannot be written: told, and the turn is written when it can", async () => {
    const { folder } = newStore();
    const inner = join(folder, "inner");
    const path = join(inner, "app.db");
    const { adapter } = open(path);
    await expect(adapter.initialize()).rejects.toMatchObject({
      code: "STORAGE_UNAVAILABLE",
      retryable: true,
    });
    mkdirSync(inner);
    await adapter.initialize();
    await turn(adapter);
    // A folder in the place of the file: no rename replaces it.
    rmSync(path);
    mkdirSync(join(path, "x"), { recursive: true });
    await expect(adapter.flush()).rejects.toMatchObject({ code: "STORAGE_UNAVAILABLE" });
    rmSync(path, { recursive: true });
    await adapter.flush();
    expect(inFile(path)).toBe(1);
    await adapter.disconnect();
  });
});

describe("two processes on one file of sql.js", () => {
  const hold = async (path: string) => {
    const entry = new URL("./process-entry.mjs", import.meta.url).href;
    const program = `const { default: connect } = await import(${JSON.stringify(entry)});
      const adapter = await connect(${JSON.stringify({ driver: "sql.js", path })});
      await adapter.initialize();
      console.log("ready");
      process.stdin.once("data", () => adapter.disconnect().then(() => process.exit(0)));`;
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    await once(child.stdout, "data");
    return child;
  };

  it("the second one is told who has it, until the first gives it up", async () => {
    const { path } = newStore();
    const child = await hold(path);
    const ended = once(child, "exit");
    const second = open(path);
    const error: unknown = await second.adapter.initialize().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "STORAGE_LOCKED",
      retryable: false,
      message: expect.stringContaining(`process ${child.pid} on ${hostname()}`),
    });
    child.stdin.write("go\n");
    await ended;
    const third = open(path);
    await third.adapter.initialize();
    await third.adapter.disconnect();
  }, 30_000);

  it("one that was killed is over: the next takes the file", async () => {
    const { folder, path } = newStore();
    const child = await hold(path);
    child.kill("SIGKILL");
    await once(child, "exit");
    expect(existsSync(`${path}.lock`)).toBe(true);
    const { adapter } = open(path);
    await adapter.initialize();
    await turn(adapter);
    await adapter.disconnect();
    expect(inFile(path)).toBe(1);
    expect(readdirSync(folder)).toEqual(["app.db"]);
  }, 30_000);

  it("two handles of one process are two", async () => {
    const { path } = newStore();
    const [one, two] = [open(path), open(path)];
    await one.adapter.initialize();
    await expect(two.adapter.initialize()).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await one.adapter.disconnect();
    // It was loaded before the first one wrote.
    await expect(two.adapter.initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("not what the database was loaded from"),
    });
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  it("a lock of an earlier process of this number is over; one that cannot be asked about is not", async () => {
    const { path } = newStore();
    const write = (owner: unknown) => writeFileSync(`${path}.lock`, JSON.stringify(owner));
    const { adapter } = open(path);
    for (const owner of [{ pid: 1, host: "elsewhere", token: "t" }, { no: "owner" }]) {
      write(owner);
      await expect(adapter.initialize()).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    }
    write({ pid: process.pid, host: hostname(), token: "of an earlier life" });
    await adapter.initialize();
    await adapter.disconnect();
  });

  it("whoever lost its lock writes nothing more", async () => {
    const { path } = newStore();
    const { adapter } = open(path);
    await adapter.initialize();
    await turn(adapter);
    writeFileSync(`${path}.lock`, JSON.stringify({ pid: 1, host: "elsewhere", token: "t" }));
    const before = readFileSync(path);
    await expect(adapter.flush()).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    await expect(adapter.disconnect()).rejects.toMatchObject({ code: "STORAGE_LOCKED" });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(true);
  });

  it("one that another program has open in WAL mode is refused", async () => {
    const { path } = newStore();
    const db = new Database(path);
    db.pragma("journal_mode = WAL");
    db.exec("CREATE TABLE mine (n)");
    await expect(open(path).adapter.initialize()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("-wal"),
    });
    db.close();
    const { adapter } = open(path);
    await adapter.initialize();
    await adapter.disconnect();
  });
});
