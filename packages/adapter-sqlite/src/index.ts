export { SQLiteAdapter, type SQLiteAdapterOptions } from "./adapter.js";
export type { BetterSqlite3Database, NodeSqliteDatabase, SQLiteHandle, SqlJsDatabase } from "./client.js";
