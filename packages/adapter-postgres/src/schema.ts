import { StorageError, ValidationError, WaymarkError, utf8Length } from "@waymark/core/adapter";
import type { Database, TextRow } from "./client.js";

/** How the tables are called, quoted for SQL. */
export interface Names {
  readonly sessions: string;
  readonly messages: string;
  readonly records: string;
  /** For messages and lookups, not quoted. */
  readonly plain: {
    readonly schema: string | undefined;
    readonly sessions: string;
    readonly messages: string;
    readonly records: string;
  };
}

export interface NameOptions {
  /** Default: `agent_sessions`, `agent_messages` and `agent_records`; beside sessions of another name, that with `_records`. */
  readonly tables?:
    { readonly sessions?: string; readonly messages?: string; readonly records?: string } | undefined;
  /** Default: what the connection's `search_path` names first. */
  readonly schema?: string | undefined;
}

/** Full text over the messages. */
export interface SearchOptions {
  /**
   * The text search configuration, which decides what a word is and what its stem: `simple` (every word as it is), `english`
   * or another of `pg_ts_config`. Each has an index of its own. Default: `simple`.
   */
  readonly configuration?: string;
}

/** The number of the tables' form; kept as a comment on the sessions table. */
export const schemaVersion = 2;

const versionComment = /^waymark schema (\d+)$/;

/** PostgreSQL cuts longer names off in silence, so two tables could become one. */
const longestName = 63;

/** @throws `INVALID_CONFIGURATION` */
export function namesOf({ tables = {}, schema }: NameOptions): Names {
  const { sessions = "agent_sessions", messages = "agent_messages" } = tables;
  // Two stores in one schema have had tables of different names before there were records: those must not meet either.
  const { records = sessions === "agent_sessions" ? "agent_records" : longName(sessions, "records") } =
    tables;
  for (const name of [sessions, messages, records, ...(schema === undefined ? [] : [schema])]) {
    if (typeof name !== "string" || name === "" || name.includes("\0") || utf8Length(name) > longestName)
      throw invalid(`a table or schema name must be a text of 1 to ${longestName} bytes without U+0000`);
  }
  if (new Set([sessions, messages, records]).size < 3)
    throw invalid("sessions, messages and records need a table each");
  const prefix = schema === undefined ? "" : `${quote(schema)}.`;
  return {
    sessions: prefix + quote(sessions),
    messages: prefix + quote(messages),
    records: prefix + quote(records),
    plain: { schema, sessions, messages, records },
  };
}

export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

export function literal(text: string): string {
  return `E'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
}

/** A name made of a table's; where it would be too long, its end is a hash of the whole. */
function longName(table: string, purpose: string): string {
  const name = `${table}_${purpose}`;
  if (typeof table !== "string" || utf8Length(name) <= longestName) return name;
  let start = table;
  const end = `_${purpose}_${hashOf(name)}`;
  while (utf8Length(start) + end.length > longestName) start = [...start].slice(0, -1).join("");
  return start + end;
}

function hashOf(text: string): string {
  let hash = 0;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) >>> 0;
  return hash.toString(36);
}

/** What searches go by. */
export interface SearchIndex {
  readonly configuration: string;
  /** The column of the messages table that has the words of a message, quoted. */
  readonly column: string;
  /** The index on it, quoted, without and with the schema. */
  readonly name: string;
  readonly qualifiedName: string;
}

/** How much of a message is searched, in characters. A `tsvector` has at most a mebibyte: so many never make so much. */
export const searchedLength = 100_000;

/**
 * A column of words, and no index on an expression: PostgreSQL takes the parsing of a text for cheap, and would parse all
 * messages of a user, or all that there are, where a word is common; and it has to be parsed once for a write in either case.
 * The column is there only where search was asked for. @throws `INVALID_CONFIGURATION`
 */
function searchIndexOf({ plain }: Names, { configuration = "simple" }: SearchOptions): SearchIndex {
  if (typeof configuration !== "string" || configuration === "" || configuration.includes("\0"))
    throw invalid("`search.configuration` must name a text search configuration");
  const purpose = `search_${/^[a-z0-9_]{1,20}$/.test(configuration) ? configuration : hashOf(configuration)}`;
  const name = quote(longName(plain.messages, purpose));
  return {
    configuration,
    column: quote(purpose),
    name,
    qualifiedName: plain.schema === undefined ? name : `${quote(plain.schema)}.${name}`,
  };
}

/** What stands between words. Other signs are the locale's to tell. */
const signs = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";
/** Those that are more than that to PostgreSQL's parser. */
const parsedSigns = "&+-./:<>@_~";

/**
 * The words of a text. PostgreSQL's parser looks for addresses, paths, tags and signed numbers, in which a word is not found
 * by itself; and of a text that goes on like the beginning of one it takes the time of its length squared, which for a message
 * of 100,000 characters is minutes. So it sees none of the signs by which it knows them. One `replace` each takes three
 * microseconds for a message of 600 characters, where one `translate` of all would take twenty-five.
 */
export function wordsOf(text: string): string {
  return [...parsedSigns].reduce((rest, sign) => `replace(${rest}, ${literal(sign)}, ' ')`, text);
}

/** What is looked for, as the column has it. */
export function withoutSigns(text: string): string {
  return [...text].map((character) => (signs.includes(character) ? " " : character)).join("");
}

/** Adding the column writes the table anew. */
function searchDdl({ messages }: Names, { configuration, column, name }: SearchIndex): string {
  return `
ALTER TABLE ${messages} ADD COLUMN IF NOT EXISTS ${column} tsvector
  GENERATED ALWAYS AS (to_tsvector(${literal(configuration)}::regconfig, ${wordsOf(`left(content, ${searchedLength})`)})) STORED;
CREATE INDEX IF NOT EXISTS ${name} ON ${messages} USING gin (${column});`;
}

/** What `find` goes by: the order of its pages, of all and of one user, and the few rows that housekeeping looks for. */
const indexDefinitions = [
  ["created_idx", "(created_at DESC, id)"],
  ["user_idx", "(user_id, created_at DESC, id)"],
  ["updated_idx", "(updated_day)"],
  ["expires_idx", "(expires_day) WHERE expires_day IS NOT NULL"],
  ["deleting_idx", "(created_at DESC, id) WHERE status = 'deleting'"],
  ["dirty_idx", "(created_at DESC, id) WHERE dirty"],
] as const;

/**
 * The statements that make what is missing, so that they also bring tables of an earlier form to the present one. The
 * primary key of messages is also the index by session. Ids are compared and
 * ordered by their bytes, whatever the collation of the database. A row of some two kilobytes is ordinary here, and is written
 * at each turn: compressing it would cost more than the bytes do. It is written in its page and without touching an index,
 * as no index has a column that every turn changes (a day, and not the time, says when it was changed last); and the log of
 * the server gets only what is between the first and the last byte that changed, so what rarely changes stands at the ends.
 */
export function ddl(
  names: Names,
  { search, partitions }: { readonly search: SearchIndex | null; readonly partitions?: number | undefined },
): string {
  const { sessions, messages, records, plain } = names;
  const { schema } = plain;
  const makeSchema = `DO ${literal(
    `BEGIN IF to_regnamespace(${literal(quote(schema ?? ""))}) IS NULL THEN CREATE SCHEMA ${quote(schema ?? "")}; END IF; END`,
  )};`;
  const indexes = indexDefinitions
    .map(
      ([purpose, on]) =>
        `CREATE INDEX IF NOT EXISTS ${quote(longName(plain.sessions, purpose))} ON ${sessions} ${on};`,
    )
    .join("\n");
  // All of a session has its id before it: a turn and a resume know the one partition of each table.
  const endOf = (table: string, key: string, storage = "") => {
    if (partitions === undefined) return `${storage};`;
    const parts = Array.from({ length: partitions }, (_, rest) => {
      const name = quote(longName(table, `p${rest}`));
      const prefix = schema === undefined ? "" : `${quote(schema)}.`;
      return `CREATE TABLE IF NOT EXISTS ${prefix}${name} PARTITION OF ${prefix}${quote(table)}
  FOR VALUES WITH (MODULUS ${partitions}, REMAINDER ${rest})${storage};`;
    });
    return ` PARTITION BY HASH (${key});\n${parts.join("\n")}`;
  };
  return `${schema === undefined ? "" : `${makeSchema}\n`}CREATE TABLE IF NOT EXISTS ${sessions} (
  id text COLLATE "C" PRIMARY KEY,
  life text COLLATE "C" NOT NULL,
  user_id text COLLATE "C",
  agent_name text COLLATE "C",
  created_at timestamptz NOT NULL,
  first_sequence bigint NOT NULL,
  operation_ids text[] COLLATE "C" NOT NULL,
  operations text[] COLLATE "C" NOT NULL,
  operation_count integer NOT NULL,
  revision text COLLATE "C" NOT NULL,
  version text COLLATE "C" NOT NULL,
  status text COLLATE "C" NOT NULL,
  last_sequence bigint NOT NULL,
  last_message_at timestamptz,
  updated_at timestamptz NOT NULL,
  completed_at timestamptz,
  expires_at timestamptz,
  current_route text COLLATE "C",
  current_step text COLLATE "C",
  dirty boolean NOT NULL,
  updated_day date GENERATED ALWAYS AS ((updated_at AT TIME ZONE 'UTC')::date) STORED,
  expires_day date GENERATED ALWAYS AS ((expires_at AT TIME ZONE 'UTC')::date) STORED,
  state jsonb NOT NULL,
  system json
)${endOf(plain.sessions, "id", " WITH (toast_tuple_target = 4080, fillfactor = 70)")}
CREATE TABLE IF NOT EXISTS ${messages} (
  session_id text COLLATE "C" NOT NULL,
  log text COLLATE "C" NOT NULL,
  sequence bigint NOT NULL,
  user_id text COLLATE "C",
  role text COLLATE "C" NOT NULL,
  content text NOT NULL,
  created_at timestamptz NOT NULL,
  body json NOT NULL,
  PRIMARY KEY (session_id, log, sequence)
)${endOf(plain.messages, "session_id")}
CREATE TABLE IF NOT EXISTS ${records} (
  scope text COLLATE "C" NOT NULL,
  key text COLLATE "C" NOT NULL,
  value json,
  revision text COLLATE "C" NOT NULL,
  stamp text COLLATE "C" NOT NULL,
  PRIMARY KEY (scope, key)
)${endOf(plain.records, "scope")}
${indexes}${search === null ? "" : searchDdl(names, search)}
COMMENT ON TABLE ${sessions} IS 'waymark schema ${schemaVersion}';
`;
}

/** Any number that nobody else uses. */
const lock = 7_246_158_031;

/** What `initialize` does: make the tables and bring older ones to this version, only look whether they are right, or nothing. */
export type Initialize = "migrate" | "verify" | "none";

/** What is there under the names of the tables. */
interface Found {
  /** As the tables' comment says it; null where there is none, or where a table is missing that should be there by it. */
  readonly version: number | null;
  /** Names of what is there and was not made by this adapter. */
  readonly foreign: readonly string[];
  /** What became of the index that was asked for: it is not used while it is being made, and where that failed. */
  readonly index: "ready" | "missing" | "unfinished";
}

async function look(
  db: Database,
  names: Names,
  search: SearchIndex | null,
  operation: string,
): Promise<Found> {
  const text = `SELECT obj_description(to_regclass($1), 'pg_class'), to_regclass($1), to_regclass($2), to_regclass($3),
    (SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($4))`;
  const values = [names.sessions, names.messages, names.records, search?.qualifiedName ?? null];
  const found = await db.run({ text }, values, { operation });
  const [comment, ...tables]: TextRow = found[0] ?? [];
  const isValid = tables[3] ?? null;
  const index = search === null || isValid === "t" ? "ready" : isValid === null ? "missing" : "unfinished";
  const { plain } = names;
  const present = [plain.sessions, plain.messages, plain.records].filter((_, index) => tables[index] != null);
  const number = versionComment.exec(comment ?? "")?.[1];
  if (number === undefined) return { version: null, foreign: present, index };
  const version = Number(number);
  const isWhole = present.length === 3 || (version === 1 && tables[1] != null);
  // There were no records in the first form: what has their name is somebody else's.
  const foreign = version === 1 && tables[2] != null ? [plain.records] : [];
  return { version: isWhole ? version : null, foreign, index };
}

export async function foundVersion(db: Database, names: Names, operation: string): Promise<number | null> {
  return (await look(db, names, null, operation)).version;
}

/**
 * Makes the tables where they are missing or of an earlier form. One process at a time: concurrent `CREATE … IF NOT EXISTS`
 * can still collide.
 */
export async function migrate(db: Database, names: Names, search: SearchIndex | null): Promise<void> {
  const { version, foreign, index } = await look(db, names, search, "initialize");
  if (version !== null && version > schemaVersion) throw tooNew(version);
  if (foreign.length > 0) throw foreignError(foreign);
  if (search !== null && index === "unfinished") throw unfinished(search);
  if (version === schemaVersion && index === "ready") return;
  // One message, so one transaction on one connection: whoever comes second finds everything.
  await db.script(`SELECT pg_advisory_xact_lock(${lock});\n${ddl(names, { search })}`, {
    operation: "initialize",
  });
}

/** Looks, and changes nothing. */
export async function verify(db: Database, names: Names, search: SearchIndex | null): Promise<void> {
  const { version, index } = await look(db, names, search, "initialize");
  if (search !== null && index === "unfinished") throw unfinished(search);
  if (version === schemaVersion && index === "ready") return;
  if (version !== null && version > schemaVersion) throw tooNew(version);
  const what =
    version === null
      ? "the tables are missing"
      : version === schemaVersion
        ? `the index ${search?.name} for searches is missing`
        : `the tables have schema ${version}`;
  throw new StorageError(
    "STORAGE_FAILED",
    `initialize: ${what}, and this version of @waymark/adapter-postgres needs schema ${schemaVersion}; nothing was changed. ` +
      'Run what `printSchema()` gives, or `initialize: "migrate"` with a role that may create tables',
    { operation: "initialize" },
  );
}

function unfinished({ name }: SearchIndex): StorageError {
  return new StorageError(
    "STORAGE_FAILED",
    `initialize: the index ${name} for searches is still being made, or that has failed; nothing was changed. ` +
      "Wait for it, or drop it and make it again",
    { operation: "initialize" },
  );
}

function tooNew(version: number): WaymarkError {
  return new WaymarkError(
    "STATE_TOO_NEW",
    `initialize: the tables have schema ${version} and this version of @waymark/adapter-postgres knows ${schemaVersion}; ` +
      "they were left as they are. Upgrade the package",
    { operation: "initialize" },
  );
}

function foreignError(tables: readonly string[]): StorageError {
  return new StorageError(
    "STORAGE_FAILED",
    `initialize: the database has something named ${tables.map((name) => JSON.stringify(name)).join(" and ")} that this ` +
      "adapter did not make; it was left as it is. Choose other names with `tables`, or another `schema`. Tables that were " +
      `restored without their comments need that of the sessions back: 'waymark schema ${schemaVersion}'`,
    { operation: "initialize" },
  );
}

/**
 * The statements that make the tables, for a migration of your own; they may be run again, and on tables of an earlier
 * version. Give the names, and the `search`, that the adapter gets. @throws `INVALID_CONFIGURATION`
 */
export function printSchema(options: SchemaOptions = {}): string {
  const names = namesOf(options);
  const { partitions } = options;
  if (
    partitions !== undefined &&
    !(Number.isInteger(partitions) && partitions >= 1 && partitions <= mostPartitions)
  )
    throw invalid(`\`partitions\` must be an integer from 1 to ${mostPartitions}`);
  return ddl(names, { search: searchOf(names, options.search), partitions });
}

/** Whatever looks at all partitions, as making them and each list does, locks each, and a server has some thousand locks. */
const mostPartitions = 100;

export interface SchemaOptions extends NameOptions {
  /** As the adapter's. Default: false. */
  readonly search?: boolean | SearchOptions | undefined;
  /**
   * In how many partitions the tables lie, 1 to 100, by a hash of the session's id; it cannot be changed later. The adapter
   * takes such tables as it takes others. Default: they are not partitioned.
   */
  readonly partitions?: number | undefined;
}

/** @throws `INVALID_CONFIGURATION` */
export function searchOf(names: Names, search: SchemaOptions["search"] = false): SearchIndex | null {
  if (search === false) return null;
  if (search !== true && (typeof search !== "object" || search === null))
    throw invalid("`search` must be true, false or an object with a `configuration`");
  return searchIndexOf(names, search === true ? {} : search);
}

/** @throws `INVALID_CONFIGURATION` */
export function checkInitialize(value: Initialize): void {
  if (value !== "migrate" && value !== "verify" && value !== "none")
    throw invalid('`initialize` must be "migrate", "verify" or "none"');
}

function invalid(message: string): ValidationError {
  return new ValidationError("INVALID_CONFIGURATION", `new PostgreSQLAdapter: ${message}`, {
    operation: "new PostgreSQLAdapter",
  });
}
