// What the tests use of Prisma. Those in prisma-6 have its clients.mjs in the place of this one.
export { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
export { PrismaMariaDb } from "@prisma/adapter-mariadb";
export { PrismaPg } from "@prisma/adapter-pg";
export { PrismaClient as MySqlClient } from "../.clients/mysql/client.js";
export { PrismaClient as OwnClient } from "../.clients/own/client.js";
export { PrismaClient as PostgreSqlClient } from "../.clients/postgresql/client.js";
export { PrismaClient as SqliteClient } from "../.clients/sqlite/client.js";

/** How long a call may take in the conformance suite, and what is left out of it on PostgreSQL. */
export const callTimeoutMs = 10_000;
export const leftOut = new Set();

/** Where another process finds the same. */
export const clients = import.meta.url;
