export { PostgreSQLAdapter, type PostgreSQLAdapterOptions } from "./adapter.js";
export type { PostgresClient, PostgresStatement } from "./client.js";
export { type SchemaOptions, type SearchOptions, printSchema } from "./schema.js";
