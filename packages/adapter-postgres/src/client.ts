import { StorageError, type StorageCode, type WaymarkError, isWaymarkError } from "@waymark/core/adapter";

/** What is used of `pg`: a `Pool`, a `PoolClient` or a connected `Client`, or anything that answers alike. */
export interface PostgresClient {
  query(statement: PostgresStatement): Promise<{ rows: (string | null)[][]; rowCount: number | null }>;
  query(text: string): Promise<unknown>;
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

export function createDatabase(client: PostgresClient, isPreparing: boolean): Database {
  return {
    async run({ text, name }, values, doing) {
      const statement: PostgresStatement = { text, values: [...values], rowMode: "array", types };
      if (isPreparing && name !== undefined) statement.name = name;
      try {
        const { rows } = await client.query(statement);
        return rows;
      } catch (cause) {
        throw failure(cause, doing);
      }
    },

    async script(text, doing) {
      try {
        await client.query(text);
      } catch (cause) {
        throw failure(cause, doing);
      }
    },
  };
}

/** Turns an error of the driver into ours. Messages name the driver's code and nothing that it quotes. */
export function failure(cause: unknown, { operation, sessionId }: Doing): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  const code = codeOf(cause);
  const [ours, says] = explain(code, cause);
  return new StorageError(ours, `${operation}: ${says}${code === "" ? "" : ` [${code}]`}`, {
    operation,
    sessionId,
    cause,
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
