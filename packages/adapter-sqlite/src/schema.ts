import { StorageError, ValidationError, WaymarkError } from "@waymark/core/adapter";
import type { Database } from "./database.js";
import type { Doing } from "./failure.js";

/** How the tables are called, quoted for SQL. */
export interface Names {
  readonly sessions: string;
  readonly messages: string;
  readonly records: string;
  /** Keeps the number of the tables' form. */
  readonly schema: string;
  /** For messages and lookups, not quoted. */
  readonly plain: {
    readonly sessions: string;
    readonly messages: string;
    readonly records: string;
    readonly schema: string;
  };
}

export interface TableNames {
  /** Default: `agent_sessions`. */
  readonly sessions?: string;
  /** Default: `agent_messages`. */
  readonly messages?: string;
  /** Default: `agent_records`; beside sessions of another name, that with `_records`. */
  readonly records?: string;
}

/** @throws `INVALID_CONFIGURATION` */
export function namesOf({
  sessions = "agent_sessions",
  messages = "agent_messages",
  records = sessions === "agent_sessions" ? "agent_records" : `${sessions}_records`,
}: TableNames = {}): Names {
  for (const name of [sessions, messages, records]) {
    if (typeof name !== "string" || name === "" || /[\0\p{Surrogate}]/u.test(name) || /^sqlite_/i.test(name))
      throw invalid("a table name must be a text that is not empty and does not begin with `sqlite_`");
  }
  const plain = { sessions, messages, records, schema: `${sessions}_schema` };
  // SQLite compares names without regard to the case of ASCII letters.
  if (new Set(Object.values(plain).map(lower)).size < 4)
    throw invalid(
      "sessions, messages and records need a table each, and `<sessions>_schema` is kept for the schema",
    );
  return {
    sessions: `main.${quote(sessions)}`,
    messages: `main.${quote(messages)}`,
    records: `main.${quote(records)}`,
    schema: `main.${quote(plain.schema)}`,
    plain,
  };
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function lower(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * What `find` goes by: the order of its pages, of all and of one user, and the few rows that housekeeping looks for. No index
 * has a column that every turn sets, so an ordinary turn writes none of them: a day, and not the time, says when a session
 * was changed last.
 */
const indexDefinitions = [
  ["created_idx", "(created_at DESC, id)"],
  ["user_idx", "(user_id, created_at DESC, id)"],
  ["updated_idx", "(updated_day)"],
  ["expires_idx", "(expires_day) WHERE expires_day IS NOT NULL"],
  ["deleting_idx", "(created_at DESC, id) WHERE status = 'deleting'"],
  ["dirty_idx", "(created_at DESC, id) WHERE dirty = 1"],
] as const;

/** Names of the indexes, not quoted. */
export function indexNames({ plain }: Names): string[] {
  return indexDefinitions.map(([purpose]) => `${plain.sessions}_${purpose}`);
}

/** Each takes the tables from one version to the next. Only ever appended to: databases of every version are about. */
const migrations: readonly ((names: Names) => string[])[] = [
  ({ sessions, messages, records, plain }) => [
    // Ordinary tables: in one WITHOUT ROWID, a row of more than a quarter of a page would take a page of its own. What is
    // large stands last, so that it need not be read for what is before it.
    `CREATE TABLE ${sessions} (
      id TEXT PRIMARY KEY NOT NULL,
      life TEXT NOT NULL,
      revision TEXT NOT NULL,
      version TEXT NOT NULL,
      user_id TEXT,
      agent_name TEXT,
      status TEXT NOT NULL,
      first_sequence INTEGER NOT NULL,
      last_sequence INTEGER NOT NULL,
      last_message_at INTEGER,
      created_at INTEGER NOT NULL,
      updated_at INTEGER NOT NULL,
      completed_at INTEGER,
      expires_at INTEGER,
      current_route TEXT,
      current_step TEXT,
      dirty INTEGER NOT NULL,
      updated_day INTEGER NOT NULL,
      expires_day INTEGER,
      operation_count INTEGER NOT NULL,
      operations TEXT NOT NULL,
      system TEXT,
      state TEXT NOT NULL
    )`,
    `CREATE TABLE ${messages} (
      session_id TEXT NOT NULL,
      log TEXT NOT NULL,
      sequence INTEGER NOT NULL,
      user_id TEXT,
      role TEXT NOT NULL,
      content TEXT NOT NULL,
      created_at INTEGER NOT NULL,
      body TEXT NOT NULL,
      PRIMARY KEY (session_id, log, sequence)
    )`,
    `CREATE TABLE ${records} (
      scope TEXT NOT NULL,
      key TEXT NOT NULL,
      value TEXT,
      revision TEXT NOT NULL,
      stamp TEXT NOT NULL,
      PRIMARY KEY (scope, key)
    )`,
    ...indexDefinitions.map(
      ([purpose, on]) =>
        `CREATE INDEX main.${quote(`${plain.sessions}_${purpose}`)} ON ${quote(plain.sessions)} ${on}`,
    ),
  ],
];

export const schemaVersion = migrations.length;

/** The version that the tables have; 0 where there are none. To be called within a transaction. */
export function foundVersion(db: Database, { schema, plain }: Names): number {
  if (!exists(db, plain.schema)) return 0;
  return db.all<{ version: number }>(`SELECT max(version) AS version FROM ${schema}`)[0]?.version ?? 0;
}

/** Makes the tables, or brings them to this version. One process at a time; whoever comes second finds everything. */
export async function createTables(db: Database, names: Names, doing: Doing): Promise<void> {
  const found = await db.read(doing, () => foundVersion(db, names));
  if (found > schemaVersion) throw tooNew(found, names);
  if (found < schemaVersion) await db.write(doing, () => migrate(db, names));
}

function migrate(db: Database, names: Names): void {
  const from = foundVersion(db, names);
  if (from > schemaVersion) throw tooNew(from, names);
  if (from === 0) {
    for (const name of Object.values(names.plain)) if (exists(db, name)) throw foreign(name);
    execute(db, `CREATE TABLE ${names.schema} (version INTEGER PRIMARY KEY NOT NULL)`);
  }
  for (const [index, statements] of migrations.entries()) {
    if (index < from) continue;
    for (const text of statements(names)) execute(db, text);
    db.prepare(`INSERT INTO ${names.schema} (version) VALUES (?)`).run(index + 1);
  }
}

function execute(db: Database, text: string): void {
  db.prepare(text).run();
}

/** Tables, views and indexes share their names. */
export function exists(db: Database, name: string): boolean {
  return db.all("SELECT 1 FROM main.sqlite_master WHERE name = ? COLLATE NOCASE", name).length > 0;
}

function tooNew(found: number, { plain }: Names): WaymarkError {
  return new WaymarkError(
    "STATE_TOO_NEW",
    `initialize: the tables of "${plain.sessions}" have schema ${found} and this version of @waymark/adapter-sqlite knows ` +
      `${schemaVersion}; they were left as they are. Upgrade the package`,
    { operation: "initialize" },
  );
}

export function foreign(name: string): StorageError {
  return new StorageError(
    "STORAGE_FAILED",
    `initialize: the database has something named "${name}" that this adapter did not make; it was left as it is. ` +
      "Choose other names with `tables`",
    { operation: "initialize" },
  );
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `new SQLiteAdapter: ${message}`, {
    operation: "new SQLiteAdapter",
  });
}
