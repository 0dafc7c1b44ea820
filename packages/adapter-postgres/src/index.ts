export { PostgreSQLAdapter, type PostgreSQLAdapterOptions } from "./adapter.js";
export type { PostgresClient, PostgresStatement } from "./client.js";
export { printSchema } from "./schema.js";
