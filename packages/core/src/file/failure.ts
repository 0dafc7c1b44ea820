import { type StorageCode, StorageError, type WaymarkError, isWaymarkError } from "../errors.js";
import { codeOf } from "./disk.js";

/** What was being done, for the error. */
export interface Doing {
  readonly operation: string;
  readonly sessionId?: string | undefined;
}

/** Turns an error of the file system into ours; one that is ours already passes through. */
export function failure(cause: unknown, directory: string, { operation, sessionId }: Doing): WaymarkError {
  if (isWaymarkError(cause)) return cause;
  const code = codeOf(cause);
  const [ours, says] = explain(code, directory);
  return new StorageError(ours, `${operation}: ${says}${code === undefined ? "" : ` [${code}]`}`, {
    operation,
    sessionId,
    cause,
  });
}

function explain(code: string | undefined, directory: string): [StorageCode, string] {
  switch (code) {
    case "ENOSPC":
    case "EDQUOT":
    case "EFBIG":
      return ["STORAGE_FULL", `no room is left to write in ${directory}; what was stored before is intact`];
    case "EMFILE":
    case "ENFILE":
      return [
        "STORAGE_UNAVAILABLE",
        "too many files are open; raise the limit (`ulimit -n`) or do less at once",
      ];
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return [
        "STORAGE_FAILED",
        `${directory} cannot be read or written; give this user the right to it, or pass another \`directory\``,
      ];
    case "ENOTDIR":
    case "EEXIST":
    case "ELOOP":
      return [
        "STORAGE_FAILED",
        `in ${directory}, a file or link stands where a folder must be; remove it, or pass another \`directory\``,
      ];
    case "ENOENT":
      return ["STORAGE_FAILED", `${directory} is gone, or a file in it was removed by hand`];
    default:
      return ["STORAGE_FAILED", `reading or writing in ${directory} failed`];
  }
}

/** A file that does not read back as it was written. It stays as it is, and its session refuses every call. */
export function damaged(
  path: string,
  offset: number,
  what: string,
  { operation, sessionId }: Doing,
): StorageError {
  return new StorageError(
    "STORAGE_DAMAGED",
    `${operation}: ${what} at byte ${offset} of ${path}; nothing was changed. Move its folder away to use the id again`,
    { operation, sessionId },
  );
}
