/**
 * Every code that an error of this project can carry, with what it means and whether the same call may be made again.
 * Codes are stable: a released code keeps its meaning for ever.
 */
export const errorCodes = {
  INVALID_ARGUMENT: { retryable: false, meaning: "an argument has the wrong type or is out of its range" },
  INVALID_ID: {
    retryable: false,
    meaning: "an id (a record's key) is not 1 to 128 (256) bytes of well-formed UTF-8 without U+0000",
  },
  INVALID_VALUE: {
    retryable: false,
    meaning: "a value cannot be stored without loss; the message names its path",
  },
  INVALID_STATE: { retryable: false, meaning: "state does not match its schema; `issues` names each field" },
  INVALID_CONFIGURATION: {
    retryable: false,
    meaning: "an agent, route, step or option is not set up in a way that can work",
  },
  COMMIT_TOO_LARGE: {
    retryable: false,
    meaning: "one commit is larger or deeper than the store takes; nothing was written",
  },
  SESSION_NOT_FOUND: {
    retryable: false,
    meaning: "there is no such session, or it belongs to somebody else",
  },
  SESSION_EXISTS: { retryable: false, meaning: "a session with this id is already stored" },
  SESSION_CLOSED: {
    retryable: false,
    meaning: "the session is completed or abandoned; pass `reopen` to go on with it",
  },
  SESSION_CONFLICT: {
    retryable: false,
    meaning: "the session was changed by somebody else since this state was read",
  },
  RECORD_CONFLICT: {
    retryable: false,
    meaning: "the record was changed by somebody else since this revision of it was read",
  },
  SESSION_BUSY: {
    retryable: true,
    meaning: "other writers kept the session busy until the deadline; nothing was written",
  },
  OPERATION_MISMATCH: { retryable: false, meaning: "the operation id was used before with other contents" },
  OPERATION_UNKNOWN: {
    retryable: false,
    meaning: "whether the operation was applied can no longer be told; it was not applied again",
  },
  CLIENT_IN_TRANSACTION: {
    retryable: true,
    meaning: "the client that the adapter was given has a transaction open; nothing was written",
  },
  STORAGE_FAILED: { retryable: false, meaning: "the store refused or failed; `cause` has its own error" },
  STORAGE_UNAVAILABLE: {
    retryable: true,
    meaning: "the store could not be reached; the same operation id may be sent again",
  },
  STORAGE_LOCKED: {
    retryable: true,
    meaning: "the lock of a session was not released in time; nothing was written",
  },
  STORAGE_FULL: { retryable: true, meaning: "the store has no room left; what was stored before is intact" },
  STORAGE_DAMAGED: {
    retryable: false,
    meaning: "stored data does not read back as it was written; it was left as it is",
  },
  STATE_TOO_NEW: {
    retryable: false,
    meaning: "a newer version of the application or of Waymark wrote the state; it was left as it is",
  },
  MIGRATION_FAILED: {
    retryable: false,
    meaning: "a migration threw or made no state; what is stored was left as it is",
  },
  HOOK_FAILED: {
    retryable: false,
    meaning: "a hook of the application threw or did not end; the message says what became of the call",
  },
  EXPORT_DAMAGED: {
    retryable: false,
    meaning: "what was to be imported is no export, or does not read as it was written; nothing was imported",
  },
  EXPORT_TOO_NEW: {
    retryable: false,
    meaning: "a newer release of Waymark wrote the export; nothing was imported",
  },
  OWNER_MISMATCH: {
    retryable: false,
    meaning: "the export is a session of another user; nothing was imported",
  },
  CAPABILITY_MISSING: {
    retryable: false,
    meaning: "the store or runtime cannot do what was asked, and it cannot be emulated",
  },
  DECRYPTION_FAILED: {
    retryable: false,
    meaning: "what is stored does not decrypt: it was changed or moved; it was left as it is",
  },
  ENCRYPTION_KEY_MISSING: {
    retryable: false,
    meaning: "what is stored is encrypted with a key that was not given",
  },
  NOT_ENCRYPTED: {
    retryable: false,
    meaning: "what is stored is not encrypted, and plaintext is refused",
  },
  CLOSED: { retryable: false, meaning: "the manager or adapter was closed before the call" },
  ABORTED: { retryable: true, meaning: "the caller's signal was aborted before anything was committed" },
  MODEL_FAILED: { retryable: true, meaning: "the model's provider threw; `cause` has its error" },
  MODEL_TIMEOUT: { retryable: true, meaning: "the model did not answer within `timeoutMs`" },
  MODEL_INVALID: { retryable: true, meaning: "the model's answer does not have the shape of a reply" },
  TURN_NOT_SAVED: {
    retryable: true,
    meaning:
      "the model answered but the turn was not stored, or a hook after it failed; `save()` tries again",
  },
} as const satisfies Record<string, { retryable: boolean; meaning: string }>;

/** One of the stable codes in {@link errorCodes}. */
export type ErrorCode = keyof typeof errorCodes;

/** What every error of this project says besides its message. */
export interface ErrorDetails {
  /** The call that failed, as a user would name it: `saveTurn`, `findById`. */
  readonly operation: string;
  readonly sessionId?: string | undefined;
  /** Whether the same call, with the same operation id, may be made again. Default: as the table of codes says. */
  readonly retryable?: boolean | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for("waymark.error");

/**
 * The base of all errors: a stable `code`, the operation, the session, and whether a retry is safe.
 * Messages never contain what people said, nor secrets.
 */
export class WaymarkError extends Error {
  readonly code: ErrorCode;
  readonly operation: string;
  readonly sessionId: string | undefined;
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = new.target.name;
    this.code = code;
    this.operation = details.operation;
    this.sessionId = details.sessionId;
    this.retryable = details.retryable ?? errorCodes[code].retryable;
    Object.defineProperty(this, brand, { value: true });
  }
}

/** The session moved since the state was read (`SESSION_CONFLICT`). Load it again, or choose a conflict policy. */
export class SessionConflictError extends WaymarkError {
  /** The version that the caller's state was made from. */
  readonly expected: string;
  /** The version that the store holds now. */
  readonly actual: string;
  /** For a rebase: the keys that both sides changed, such as `data.email`. Empty otherwise. */
  readonly keys: readonly string[];

  constructor(
    message: string,
    details: ErrorDetails & { expected: string; actual: string; keys?: readonly string[] },
  ) {
    super("SESSION_CONFLICT", message, details);
    this.expected = details.expected;
    this.actual = details.actual;
    this.keys = details.keys ?? [];
  }
}

/** The record moved since its revision was read (`RECORD_CONFLICT`). Read it again, or write without `ifRevision`. */
export class RecordConflictError extends WaymarkError {
  readonly key: string;
  /** The revision that the caller named; null: no record. */
  readonly expected: string | null;
  /** The revision that the store holds now; null: no record. */
  readonly actual: string | null;

  constructor(
    message: string,
    details: ErrorDetails & { key: string; expected: string | null; actual: string | null },
  ) {
    super("RECORD_CONFLICT", message, details);
    this.key = details.key;
    this.expected = details.expected;
    this.actual = details.actual;
  }
}

/** One thing that is wrong with a value. */
export interface ValidationIssue {
  /** Where, as property names from the root: `["data", "email"]`. */
  readonly path: readonly string[];
  readonly message: string;
}

/** Input or stored state that is not what it must be (`INVALID_*`, `COMMIT_TOO_LARGE`). Nothing was written. */
export class ValidationError extends WaymarkError {
  readonly issues: readonly ValidationIssue[];

  constructor(
    code: ErrorCode,
    message: string,
    details: ErrorDetails & { issues?: readonly ValidationIssue[] },
  ) {
    super(code, message, details);
    this.issues = details.issues ?? [];
  }
}

/** The store failed (`STORAGE_*`); `cause` is the driver's own error, `retryable` says whether to try again. */
export class StorageError extends WaymarkError {}

/** The store or the runtime cannot do what was asked (`CAPABILITY_MISSING`). */
export class CapabilityError extends WaymarkError {
  constructor(message: string, details: ErrorDetails) {
    super("CAPABILITY_MISSING", message, details);
  }
}

/** True for errors of this project, also from another copy of the package in the same process. */
export function isWaymarkError(error: unknown): error is WaymarkError {
  return typeof error === "object" && error !== null && brand in error;
}

const unreadable: ReadonlySet<string> = new Set<ErrorCode>([
  "DECRYPTION_FAILED",
  "ENCRYPTION_KEY_MISSING",
  "NOT_ENCRYPTED",
]);

/** Whether one thing that is stored does not decrypt: what concerns many leaves it out and goes on. */
export function isUnreadable(error: unknown): boolean {
  return isWaymarkError(error) && unreadable.has(error.code);
}

/**
 * Wraps an error of a driver, once, at the border: an error that is already ours passes through unchanged.
 * Adapters call it in every `catch` after they recognised what they can.
 */
export function storageError(
  cause: unknown,
  details: Omit<ErrorDetails, "cause"> & { code?: StorageCode },
): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  const code = details.code ?? "STORAGE_FAILED";
  const name = cause instanceof Error ? cause.name : typeof cause;
  const driverCode =
    typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
      ? ` (${cause.code})`
      : "";
  return new StorageError(code, `${details.operation}: ${errorCodes[code].meaning} [${name}${driverCode}]`, {
    ...details,
    cause,
  });
}

/** The codes that a {@link StorageError} carries. */
export type StorageCode = Extract<ErrorCode, `STORAGE_${string}`>;
