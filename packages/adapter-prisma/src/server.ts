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
    "SELECT version() AS version, CASE @@global.read_only WHEN 0 THEN 'off' ELSE 'on' END AS read_only, @@sql_mode AS mode",
  ],
  ["SQLite", "SELECT sqlite_version() AS version, 'off' AS read_only"],
] as const;

/** What the client is connected to. */
export interface Server {
  /** MariaDB is one of MySQL's kind. Null: another database that Prisma knows. */
  readonly kind: (typeof questions)[number][0] | null;
  readonly name: string;
  readonly writable: boolean;
  /** The SQL mode of MySQL and MariaDB. */
  readonly mode: string;
}

export async function describeServer(client: PrismaClientLike, operation: string): Promise<Server> {
  for (const [kind, question] of questions) {
    const [found] = listOf(await run({ operation }, () => ask(client, question)));
    if (found === undefined) continue;
    const version = String(found["version"]);
    const name = `${version.includes("MariaDB") ? "MariaDB" : kind} ${version}`;
    return { kind, name, writable: found["read_only"] === "off", mode: String(found["mode"]) };
  }
  return { kind: null, name: "a database that Prisma knows", writable: true, mode: "" };
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
