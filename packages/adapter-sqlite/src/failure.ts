import { StorageError, WaymarkError, isWaymarkError } from "@waymark/core/adapter";

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/**
 * Turns an error of a driver into ours. Messages name SQLite's code and nothing that it quotes.
 * @param how.retryable default: as the code says.
 * @param how.more what its message ends with.
 */
export function failure(
  cause: unknown,
  { operation, sessionId }: Doing,
  { retryable, more = "" }: { readonly retryable?: boolean; readonly more?: string } = {},
): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  const code = codeOf(cause);
  const [ours, says] = explain(code, messageOf(cause));
  const message = `${operation}: ${says}${more}${code === null ? "" : ` [${code}]`}`;
  const details = { operation, sessionId, cause, retryable };
  return ours === "CLIENT_IN_TRANSACTION"
    ? new WaymarkError(ours, message, details)
    : new StorageError(ours, message, details);
}

type Explained = [
  (
    | "CLIENT_IN_TRANSACTION"
    | "STORAGE_FAILED"
    | "STORAGE_UNAVAILABLE"
    | "STORAGE_LOCKED"
    | "STORAGE_FULL"
    | "STORAGE_DAMAGED"
  ),
  string,
];

function explain(code: string | null, message: string): Explained {
  // Further words of a code, such as those of SQLITE_BUSY_SNAPSHOT, only say more.
  switch (code?.split("_").slice(0, 2).join("_")) {
    case "SQLITE_BUSY":
    case "SQLITE_LOCKED":
      return ["STORAGE_LOCKED", "another connection held the database; nothing was written"];
    case "SQLITE_FULL":
      return ["STORAGE_FULL", "there is no room left for the database; what was stored before is intact"];
    case "SQLITE_READONLY":
      return code === "SQLITE_READONLY_DBMOVED"
        ? ["STORAGE_FAILED", "the file of the database was moved or removed; open it again"]
        : ["STORAGE_FAILED", "the database can only be read; open it for writing"];
    case "SQLITE_NOTADB":
      return ["STORAGE_DAMAGED", "the file is no SQLite database, or is encrypted; it was left as it is"];
    case "SQLITE_CORRUPT":
      return ["STORAGE_DAMAGED", "the database is damaged; it was left as it is"];
    case "SQLITE_IOERR":
    case "SQLITE_CANTOPEN":
    case "SQLITE_NOMEM":
    case "SQLITE_PROTOCOL":
    case "SQLITE_INTERRUPT":
      return ["STORAGE_UNAVAILABLE", "the file of the database could not be read or written"];
    case "SQLITE_TOOBIG":
      return ["STORAGE_FAILED", "a text is larger than this SQLite keeps; nothing was written"];
    case "SQLITE_PERM":
    case "SQLITE_AUTH":
      return ["STORAGE_FAILED", "the application's authorizer refused the statement"];
    case "SQLITE_CONSTRAINT":
      return ["STORAGE_FAILED", "a constraint or trigger of the tables refused the row; nothing was written"];
    default:
      return explainText(message);
  }
}

/** Whether a transaction could not be begun since there is one. */
export function isInTransaction(cause: unknown): boolean {
  return /within a transaction/.test(messageOf(cause));
}

/** What only the text of an error tells: SQLite has one code for all of it, and the drivers have none for their own. */
function explainText(message: string): Explained {
  if (/within a transaction/.test(message))
    return [
      "CLIENT_IN_TRANSACTION",
      "the handle has a transaction open; nothing was written. End it first, or give the adapter a handle of its own",
    ];
  if (/no such table/.test(message))
    return ["STORAGE_FAILED", "the tables are missing; call `initialize()`, or check `tables`"];
  if (/no such column|has no column/.test(message))
    return ["STORAGE_FAILED", "the tables are not those of this version; check `tables`"];
  if (/no such module/.test(message))
    return [
      "STORAGE_FAILED",
      "this SQLite has no FTS5, which the index for searches of these tables needs; nothing was written",
    ];
  if (/connection is busy/.test(message))
    return [
      "STORAGE_LOCKED",
      "the handle is at work for an iterator of the application; nothing was written",
    ];
  if (/not open|closed|finalized/i.test(message))
    return ["STORAGE_FAILED", "the application has closed the handle"];
  return ["STORAGE_FAILED", "SQLite refused the statement"];
}

/** SQLite's name of what went wrong; null where the driver does not say. */
function codeOf(cause: unknown): string | null {
  if (typeof cause === "object" && cause !== null) {
    if ("code" in cause && typeof cause.code === "string" && cause.code.startsWith("SQLITE_"))
      return cause.code;
    if ("errcode" in cause && typeof cause.errcode === "number")
      return extendedCodes[cause.errcode] ?? codes[cause.errcode & 255] ?? null;
  }
  const message = messageOf(cause);
  return messages.find(([text]) => message.includes(text))?.[1] ?? null;
}

function messageOf(cause: unknown): string {
  if (typeof cause === "string") return cause;
  // Errors of a driver that a test runner loaded are not `instanceof` this realm's.
  const message = typeof cause === "object" && cause !== null ? Reflect.get(cause, "message") : undefined;
  return typeof message === "string" ? message : "";
}

/** node:sqlite gives the number. */
const codes: Readonly<Record<number, string>> = {
  3: "SQLITE_PERM",
  5: "SQLITE_BUSY",
  6: "SQLITE_LOCKED",
  7: "SQLITE_NOMEM",
  8: "SQLITE_READONLY",
  9: "SQLITE_INTERRUPT",
  10: "SQLITE_IOERR",
  11: "SQLITE_CORRUPT",
  13: "SQLITE_FULL",
  14: "SQLITE_CANTOPEN",
  15: "SQLITE_PROTOCOL",
  18: "SQLITE_TOOBIG",
  19: "SQLITE_CONSTRAINT",
  23: "SQLITE_AUTH",
  26: "SQLITE_NOTADB",
};

const extendedCodes: Readonly<Record<number, string>> = { 1032: "SQLITE_READONLY_DBMOVED" };

/** sql.js gives SQLite's text alone. */
const messages: readonly (readonly [string, string])[] = [
  ["database is locked", "SQLITE_BUSY"],
  ["table is locked", "SQLITE_LOCKED"],
  ["out of memory", "SQLITE_NOMEM"],
  ["readonly database", "SQLITE_READONLY"],
  ["disk I/O error", "SQLITE_IOERR"],
  ["disk image is malformed", "SQLITE_CORRUPT"],
  ["disk is full", "SQLITE_FULL"],
  ["unable to open database", "SQLITE_CANTOPEN"],
  ["too big", "SQLITE_TOOBIG"],
  ["constraint failed", "SQLITE_CONSTRAINT"],
  ["not a database", "SQLITE_NOTADB"],
];
