import { type PersistenceAdapter, StorageError, isWaymarkError } from "@waymark/core/adapter";
import { type Driver, type SQLiteHandle, isSqlJs } from "./client.js";
import type { Database } from "./database.js";
import { failure } from "./failure.js";
import { type Names, foundVersion, schemaVersion } from "./schema.js";

// All of it is the application's to set: a setting of the handle, or of the file, is there for the application's own tables
// too. What would break a promise is refused.

/** Whether what is stored outlives the process. */
export function isOnDisk(handle: SQLiteHandle, driver: Driver): boolean {
  if (isSqlJs(handle)) return false;
  try {
    const databases = driver.all<{ name: string; file: string | null }>("PRAGMA database_list");
    return (databases.find(({ name }) => name === "main")?.file ?? "") !== "";
  } catch (cause) {
    throw failure(cause, { operation: "new SQLiteAdapter" });
  }
}

/** @throws `STORAGE_FAILED` */
export async function checkSettings(
  db: Database,
  durability: PersistenceAdapter["durability"],
): Promise<void> {
  const { encoding, journalMode } = await db.read({ operation: "initialize" }, () => settingsOf(db));
  if (encoding !== "UTF-8")
    throw refused(
      `the database is in ${encoding}, where ids have another order; make it with \`PRAGMA encoding = 'UTF-8'\``,
    );
  if (durability === "commit" && (journalMode === "off" || journalMode === "memory"))
    throw refused(
      `with \`PRAGMA journal_mode = ${journalMode}\` a process that is killed leaves half a turn; use \`WAL\` or \`DELETE\``,
    );
}

interface Settings {
  readonly encoding: string;
  readonly journalMode: string;
  readonly synchronous: number;
}

function settingsOf(db: Database): Settings {
  const read = <T>(name: string) => db.all<Record<string, T>>(`PRAGMA main.${name}`)[0]?.[name];
  return {
    encoding: read<string>("encoding") ?? "UTF-8",
    journalMode: read<string>("journal_mode") ?? "",
    synchronous: read<number>("synchronous") ?? 0,
  };
}

const synchronousNames = ["off", "normal", "full", "extra"];

export async function describeDatabase(
  db: Database,
  names: Names,
): Promise<{ server: string; schemaVersion: number; writable: boolean }> {
  const doing = { operation: "describe" };
  const found = await db.read(doing, () => ({
    ...settingsOf(db),
    sqlite: db.all<{ version: string }>("SELECT sqlite_version() AS version")[0]?.version ?? "",
    version: foundVersion(db, names),
  }));
  const isReady = found.version === schemaVersion;
  // Only a statement that writes tells whether it may, even where it finds nothing to write.
  const probe = () => db.prepare(`DELETE FROM ${names.schema} WHERE version < 0`).run() === 0;
  const writable = isReady && (await db.write(doing, probe).catch(refusedAsReadOnly));
  const synchronous = synchronousNames[found.synchronous] ?? found.synchronous;
  return {
    server: `SQLite ${found.sqlite} by ${db.driver} (journal_mode ${found.journalMode}, synchronous ${synchronous})`,
    schemaVersion: found.version,
    writable,
  };
}

function refusedAsReadOnly(error: unknown): boolean {
  if (isWaymarkError(error) && error.code === "STORAGE_FAILED") return false;
  throw error;
}

function refused(why: string): StorageError {
  return new StorageError("STORAGE_FAILED", `initialize: ${why}`, { operation: "initialize" });
}
