// Makes an adapter in another process, which runs the built package.
import { existsSync, readFileSync } from "node:fs";
import { SQLiteAdapter } from "@waymark/adapter-sqlite";

const openers = {
  "better-sqlite3": async (path) => {
    const { default: Database } = await import("better-sqlite3");
    const db = new Database(path);
    db.pragma("journal_mode = WAL");
    return new SQLiteAdapter({ db });
  },
  "node:sqlite": async (path) => {
    const { DatabaseSync } = await import("node:sqlite");
    const db = new DatabaseSync(path);
    db.exec("PRAGMA journal_mode = WAL");
    return new SQLiteAdapter({ db });
  },
  "sql.js": async (path) => {
    const { default: initSqlJs } = await import("sql.js");
    const { Database } = await initSqlJs();
    const db = new Database(existsSync(path) ? readFileSync(path) : null);
    return new SQLiteAdapter({ db, file: path });
  },
};

export default ({ driver, path }) => openers[driver](path);
