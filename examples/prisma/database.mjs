import { fileURLToPath } from "node:url";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";

/** Where the database is: a file beside this one, unless the environment names another. */
export const url = process.env.DATABASE_URL ?? `file:${fileURLToPath(new URL("shop.db", import.meta.url))}`;

/** A client of the shop's database. Who opens it disconnects it. */
export async function openDatabase() {
  // Not at the top: the configuration of Prisma reads this file before there is a client.
  const { PrismaClient } = await import("./generated/prisma/index.js");
  const prisma = new PrismaClient({ adapter: new PrismaBetterSqlite3({ url }) });
  // Readers and the one writer do not wait for each other then.
  await prisma.$queryRawUnsafe("PRAGMA journal_mode = WAL");
  return prisma;
}
