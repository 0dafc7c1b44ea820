import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PrismaAdapter, type PrismaAdapterOptions } from "../src/index.js";
import { PrismaBetterSqlite3, SqliteClient } from "./clients.mjs";

export const tables = readFileSync(new URL("sql/sqlite.sql", import.meta.url), "utf8");

/** A database in a file of its own, with what opens clients and adapters on it and what removes it. */
export async function openFile(sql = tables) {
  const folder = mkdtempSync(join(tmpdir(), "waymark-prisma-"));
  const file = join(folder, "test.db");
  const clients: SqliteClient[] = [];
  /** Who waits for the file blocks the process, and with it whoever holds the file: here they are in one. */
  const client = (): SqliteClient => {
    const made = new SqliteClient({ adapter: new PrismaBetterSqlite3({ url: `file:${file}`, timeout: 1 }) });
    clients.push(made);
    return made;
  };
  const own = client();
  await own.$queryRawUnsafe("PRAGMA journal_mode = WAL");
  for (const statement of sql.split(";\n"))
    if (statement.trim() !== "") await own.$executeRawUnsafe(statement);
  return {
    file,
    client,
    connect: (options: Partial<PrismaAdapterOptions> = {}) =>
      new PrismaAdapter({ prisma: options.prisma ?? client(), ...options }),
    query: (text: string, ...values: unknown[]) =>
      own.$queryRawUnsafe<Record<string, unknown>[]>(text, ...values),
    remove: async () => {
      await Promise.all(clients.map((one) => one.$disconnect()));
      rmSync(folder, { recursive: true });
    },
  };
}
