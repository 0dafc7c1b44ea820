import type { Committed, Outcome } from "../contract/turns.js";
import { SessionConflictError, StorageError, WaymarkError, storageError } from "../errors.js";

/** An outcome that stored nothing. */
export type Refused = Exclude<Outcome, Committed>;

export function isStored(outcome: Outcome): outcome is Committed {
  return outcome.status === "committed" || outcome.status === "replayed";
}

/** The error for an outcome that stored nothing, as the caller of a public method sees it. */
export function refusalError(refused: Refused, operation: string, sessionId: string, expected = ""): Error {
  const details = { operation, sessionId };
  switch (refused.status) {
    case "absent":
      return new WaymarkError("SESSION_NOT_FOUND", `${operation}: there is no such session`, details);
    case "exists":
      return new WaymarkError(
        "SESSION_EXISTS",
        `${operation}: a session with this id is already stored; load it, or choose another id`,
        details,
      );
    case "closed":
      return new WaymarkError(
        "SESSION_CLOSED",
        `${operation}: the session is ${refused.rowStatus}; pass \`reopen: true\` to go on with it`,
        details,
      );
    case "mismatch":
      return new WaymarkError(
        "OPERATION_MISMATCH",
        `${operation}: this operation id was used before with other contents; use a new one`,
        details,
      );
    case "unknown":
      return new WaymarkError(
        "OPERATION_UNKNOWN",
        `${operation}: the session no longer remembers whether this operation was applied; load it and look`,
        details,
      );
    case "conflict":
      return new SessionConflictError(
        `${operation}: the session was changed by somebody else; load it again, or choose another conflict policy`,
        { ...details, expected, actual: refused.version },
      );
    case "busy":
      return new WaymarkError("SESSION_BUSY", `${operation}: the session is busy; try again`, details);
    case "failed":
      return storageError(refused.error, details);
    default:
      return new StorageError(
        "STORAGE_FAILED",
        `${operation}: the adapter gave an outcome that there is not`,
        details,
      );
  }
}
