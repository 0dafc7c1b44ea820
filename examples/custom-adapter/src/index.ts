export { LmdbAdapter } from "./adapter.js";
export type { Database, Key, Table } from "./store.js";
