import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "@jest/globals";
import Database from "better-sqlite3";
import initSqlJs from "sql.js";
import { SQLiteAdapter, type SQLiteAdapterOptions, type SQLiteHandle } from "../src/index.js";

type Options = Omit<SQLiteAdapterOptions, "db">;

/** A database of its own in a folder of its own, with what opens handles on it and what removes it. */
export function openStore() {
  const folder = mkdtempSync(join(tmpdir(), "waymark-sqlite-"));
  const path = join(folder, "app.db");
  const handles: Database.Database[] = [];
  const open = (options?: Database.Options): Database.Database => {
    const db = new Database(path, options);
    handles.push(db);
    if (options?.readonly !== true) db.pragma("journal_mode = WAL");
    return db;
  };
  return {
    folder,
    path,
    open,
    connect: (options: Options & { db?: SQLiteHandle } = {}) => new SQLiteAdapter({ db: open(), ...options }),
    /** Reads beside every adapter. */
    query: (text: string, ...values: unknown[]) =>
      (handles[0] ?? open()).prepare<unknown[], Record<string, unknown>>(text).all(...values),
    remove: async () => {
      for (const db of handles) db.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Opens stores that are removed after each test of the file that calls it. */
export function storesPerTest() {
  const stores: ReturnType<typeof openStore>[] = [];
  afterEach(async () => {
    for (const store of stores.splice(0)) await store.remove();
  });
  return () => {
    const store = openStore();
    stores.push(store);
    return store;
  };
}

export const said = (content: string) => ({ role: "user", content }) as const;

const sql = await initSqlJs();

/** A database of sql.js; with the contents of a file where one is named and there. */
export function openSqlJs(path?: string) {
  let bytes: Uint8Array | null = null;
  if (path !== undefined) {
    try {
      bytes = readFileSync(path);
    } catch {
      // There is none yet.
    }
  }
  return new sql.Database(bytes);
}
