import { StorageError, type StorageCode, WaymarkError, isWaymarkError } from "@waymark/core/adapter";

/** What is used of `pg`: a `Pool`, a `PoolClient` or a connected `Client`, or anything that answers alike. */
export interface PostgresClient {
  query(statement: PostgresStatement): Promise<{ rows: (string | null)[][]; rowCount: number | null }>;
  query(text: string): Promise<unknown>;
  /**
   * Of a single client, in newer versions of `pg` 8: `I` outside of a transaction, `T` inside of one, `E` inside of one that has failed.
   */
  getTransactionStatus?(): string | null;
}

/** A statement with parameters, as `pg` takes it. */
export interface PostgresStatement {
  name?: string;
  text: string;
  values: unknown[];
  rowMode: "array";
  types: { getTypeParser(): (value: string) => string };
}

/** A value of a parameter, in the text that PostgreSQL reads. */
export type Value = string | number | null;

/** A row of a result: each column as PostgreSQL wrote it. */
export type TextRow = readonly (string | null)[];

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** Sends statements; each call is one round trip on whichever connection the client has. */
export interface Database {
  /** A statement that is sent often: it is prepared once a connection, where the options allow it. */
  run(statement: Statement, values: readonly Value[], doing: Doing): Promise<readonly TextRow[]>;
  /** Several statements without parameters, as one transaction. */
  script(text: string, doing: Doing): Promise<void>;
}

/** A text with its name; no name for a statement that is sent too rarely to be prepared. */
export interface Statement {
  readonly text: string;
  readonly name?: string;
}

/** Names a statement by its text: connections are shared, by other tables and by other copies of this package. */
export function prepared(text: string): Statement {
  let a = 0x811c9dc5;
  let b = 0x9e3779b9;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b ^ unit, 0x85ebca6b) + (b >>> 15);
  }
  return { text, name: `waymark_${(a >>> 0).toString(36)}_${(b >>> 0).toString(36)}` };
}

/** The application may have set parsers of its own for all of `pg`; rows are decoded here, from text. */
const types = { getTypeParser: () => (value: string) => value };

export interface DatabaseOptions {
  /** Whether statements that are sent often are prepared. */
  readonly isPreparing: boolean;
  /** Whether all is part of the transaction that the application has open on the client. */
  readonly isInside: boolean;
}

export function createDatabase(client: PostgresClient, { isPreparing, isInside }: DatabaseOptions): Database {
  /** Null: the client does not say, or is a pool, which gives each statement a connection without a transaction. */
  const status = () => client.getTransactionStatus?.() ?? null;

  async function send<T>(doing: Doing, query: () => Promise<T>): Promise<T> {
    const before = status();
    if (!isInside && (before === "T" || before === "E")) throw inTransaction(doing, "nothing was written");
    if (isInside && before === "I") throw outside(doing);
    let answer: T;
    try {
      answer = await query();
    } catch (cause) {
      // Inside, whatever is sent after an error fails too.
      throw failure(cause, doing, isInside ? { retryable: false } : {});
    }
    // A `BEGIN` that was on its way has come first: then the application decides what becomes of it, and nobody may be told
    // that it is stored.
    if (!isInside && status() === "T") throw inTransaction(doing, "the call has become a part of it");
    return answer;
  }

  return {
    run({ text, name }, values, doing) {
      const statement: PostgresStatement = { text, values: [...values], rowMode: "array", types };
      if (isPreparing && name !== undefined) statement.name = name;
      return send(doing, async () => (await client.query(statement)).rows);
    },

    script: (text, doing) => send(doing, async () => void (await client.query(text))),
  };
}

function inTransaction({ operation, sessionId }: Doing, says: string, cause?: unknown): WaymarkError {
  return new WaymarkError(
    "CLIENT_IN_TRANSACTION",
    `${operation}: the client has a transaction open; ${says}. End it first, give the adapter a client or pool of its own, or ` +
      "make an adapter with `transaction: true` for what shall be part of it",
    { operation, sessionId, cause },
  );
}

function outside({ operation, sessionId }: Doing): WaymarkError {
  return new StorageError(
    "STORAGE_FAILED",
    `${operation}: the client has no transaction open, which \`transaction: true\` is for; nothing was written`,
    { operation, sessionId },
  );
}

/**
 * Turns an error of the driver into ours. Messages name the driver's code and nothing that it quotes.
 * @param how.retryable default: as the code says.
 */
export function failure(
  cause: unknown,
  { operation, sessionId }: Doing,
  { retryable }: { readonly retryable?: boolean } = {},
): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  const code = codeOf(cause);
  // Older versions of `pg` do not know that there is one.
  if (code === "25P02" && retryable !== false)
    return inTransaction({ operation, sessionId }, "nothing was written", cause);
  const [ours, says] = explain(code, cause);
  return new StorageError(ours, `${operation}: ${says}${code === "" ? "" : ` [${code}]`}`, {
    operation,
    sessionId,
    cause,
    retryable,
  });
}

function codeOf(cause: unknown): string {
  return typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "";
}

/** What `pg` says, without a code, of a client that the application has closed, and of a connection that is lost. */
const closedClient = /after calling end|was closed/i;
const lostConnection = /connection|terminated|not queryable|timeout/i;

function explain(code: string, cause: unknown): [StorageCode, string] {
  switch (code) {
    case "ECONNREFUSED":
    case "ECONNRESET":
    case "ECONNABORTED":
    case "EPIPE":
    case "ETIMEDOUT":
    case "EHOSTUNREACH":
    case "ENETUNREACH":
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "57P01": // admin_shutdown
    case "57P02": // crash_shutdown
    case "57P03": // cannot_connect_now
    case "57P05": // idle_session_timeout
    case "25P03": // idle_in_transaction_session_timeout
      return ["STORAGE_UNAVAILABLE", "the connection to PostgreSQL was lost or could not be made"];
    case "53200": // out_of_memory
    case "53300": // too_many_connections
    case "53400": // configuration_limit_exceeded
      return ["STORAGE_UNAVAILABLE", "PostgreSQL has no connection or memory left for this"];
    case "57014": // query_canceled
      return ["STORAGE_UNAVAILABLE", "PostgreSQL cancelled the statement, which took too long"];
    case "40001": // serialization_failure
    case "40P01": // deadlock_detected
    case "55P03": // lock_not_available
      return ["STORAGE_LOCKED", "another transaction held the row; nothing was written"];
    case "25P02": // in_failed_sql_transaction
      return [
        "STORAGE_FAILED",
        "a statement of your transaction has failed before; nothing was written. Roll it back, or to a savepoint",
      ];
    case "53100": // disk_full
      return ["STORAGE_FULL", "PostgreSQL has no room left; what was stored before is intact"];
    case "42P01": // undefined_table
    case "3F000": // invalid_schema_name
      return [
        "STORAGE_FAILED",
        "the tables are missing; call `initialize()`, or check `tables` and `schema`",
      ];
    case "42703": // undefined_column
    case "42804": // datatype_mismatch
      return ["STORAGE_FAILED", "the tables are not those of this version; check `tables` and `schema`"];
    case "42704": // undefined_object
      return ["STORAGE_FAILED", "the database has no such text search configuration; check `search`"];
    case "42501": // insufficient_privilege
      return ["STORAGE_FAILED", "the role may not do this; grant it the right to the tables"];
    case "28000": // invalid_authorization_specification
    case "28P01": // invalid_password
    case "3D000": // invalid_catalog_name
      return ["STORAGE_FAILED", "PostgreSQL refused the login; check user, password and database"];
    case "25006": // read_only_sql_transaction
      return ["STORAGE_FAILED", "this server only reads; connect to the primary"];
    case "26000": // invalid_sql_statement_name
    case "42P05": // duplicate_prepared_statement
      return [
        "STORAGE_FAILED",
        "a pooler between does not keep prepared statements; pass `preparedStatements: false`",
      ];
    case "22021": // character_not_in_repertoire
    case "22P02": // invalid_text_representation
    case "22P05": // untranslatable_character
    case "22008": // datetime_field_overflow
    case "22003": // numeric_value_out_of_range
      return ["STORAGE_FAILED", "a text or number is one that PostgreSQL cannot keep; nothing was written"];
    default:
      if (code === "" && closedClient.test(messageOf(cause)))
        return ["STORAGE_FAILED", "the application has closed the client"];
      if (code.startsWith("08") || (code === "" && lostConnection.test(messageOf(cause))))
        return ["STORAGE_UNAVAILABLE", "the connection to PostgreSQL was lost or could not be made"];
      return ["STORAGE_FAILED", "PostgreSQL refused the statement"];
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : "";
}
