import { type PrismaClientLike, isRefusedText, run } from "./client.js";
import { listOf } from "./messages.js";

/** Only the one of its own database is understood. */
const questions = [
  [
    "PostgreSQL",
    "SELECT current_setting('server_version') AS version, current_setting('transaction_read_only') AS read_only",
  ],
  [
    "MySQL",
    "SELECT version() AS version, CASE @@global.read_only WHEN 0 THEN 'off' ELSE 'on' END AS read_only",
  ],
  ["SQLite", "SELECT sqlite_version() AS version, 'off' AS read_only"],
] as const;

/** What the client is connected to. */
export async function describeServer(
  client: PrismaClientLike,
): Promise<{ server: string; writable: boolean }> {
  for (const [name, question] of questions) {
    const [found] = listOf(await run({ operation: "describe" }, () => ask(client, question)));
    if (found !== undefined)
      return { server: `${name} ${String(found["version"])}`, writable: found["read_only"] === "off" };
  }
  return { server: "a database that Prisma knows", writable: true };
}

/** Null: the database does not understand the question. */
async function ask(client: PrismaClientLike, question: string): Promise<unknown> {
  try {
    return await client.$queryRawUnsafe(question);
  } catch (cause) {
    if (isRefusedText(cause)) return null;
    throw cause;
  }
}
