// What the tests use of Prisma 6.
import * as mariadb from "@prisma/adapter-mariadb";
import * as pg from "@prisma/adapter-pg";
import { givingBack } from "./giving-back.mjs";

export { PrismaBetterSQLite3 as PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
export { PrismaClient as MySqlClient } from "./.clients/mysql/client.js";
export { PrismaClient as OwnClient } from "./.clients/own/client.js";
export { PrismaClient as PostgreSqlClient } from "./.clients/postgresql/client.js";
export { PrismaClient as SqliteClient } from "./.clients/sqlite/client.js";

export class PrismaMariaDb extends mariadb.PrismaMariaDb {
  constructor(...options) {
    super(...options);
    givingBack(this);
  }
}

export class PrismaPg extends pg.PrismaPg {
  constructor(...options) {
    super(...options);
    givingBack(this);
  }
}

/** A mebibyte of text that is not ASCII takes this major seconds. */
export const callTimeoutMs = 60_000;

/** They ask nothing else of the client than the others do, and run on SQLite. */
export const leftOut = new Set([
  ...["rules", "retries", "groups", "endings", "evolution", "retention", "kills"],
  "through the outbox",
]);

/** Where another process finds the same. */
export const clients = import.meta.url;
