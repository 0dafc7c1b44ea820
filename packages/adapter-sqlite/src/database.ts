import { StorageError, WaymarkError } from "@waymark/core/adapter";
import type { Driver, Statement, Value } from "./client.js";
import { type Doing, failure, isInTransaction } from "./failure.js";

/** Runs work in transactions of its own. `work` is synchronous, so nobody else on the handle comes in between. */
export interface Database {
  readonly driver: Driver["name"];
  readonly select: Driver["select"];
  prepare<Row = never>(text: string): Statement<Row>;
  /** Within a transaction: runs a statement that is needed rarely. */
  all<Row>(text: string, ...values: Value[]): Row[];
  /** One snapshot for all that `work` reads. */
  read<T>(doing: Doing, work: () => T): Promise<T>;
  /** All that `work` writes is stored, or none of it. */
  write<T>(doing: Doing, work: () => T): Promise<T>;
  /**
   * Within `write`: all or none of what `work` writes, whatever becomes of the rest. Its error is an answer, unless it is
   * one that SQLite ends the transaction by: then it is thrown, and nothing of the whole is written.
   */
  part<T>(doing: Doing, work: () => T): { result: T } | { error: WaymarkError };
  /** Throws `CLOSED` from every call, until `open`. */
  close(): void;
  open(): void;
}

/** How long a call goes on asking for a database that another connection holds, in milliseconds. */
const patienceMs = 5_000;
const longestPauseMs = 20;

export interface DatabaseOptions {
  /** False where calls throw `CLOSED` until `open`. */
  readonly isOpen: boolean;
  /** Whether all work is part of the transaction that the application has open, and never a transaction of its own. */
  readonly isInside: boolean;
  /** Is told of each transaction that may have changed something. */
  written(): void;
}

export function createDatabase(driver: Driver, { isInside, written, ...options }: DatabaseOptions): Database {
  let { isOpen } = options;
  const begin = driver.prepare("BEGIN");
  const beginWrite = driver.prepare("BEGIN IMMEDIATE");
  const commit = driver.prepare("COMMIT");
  const rollback = driver.prepare("ROLLBACK");
  const savepoint = driver.prepare("SAVEPOINT waymark");
  const release = driver.prepare("RELEASE waymark");
  const rollbackTo = driver.prepare("ROLLBACK TO waymark");

  /** All or none of the work, as a part of the application's transaction. */
  function attemptInside<T>(doing: Doing, work: () => T): T {
    if (begins(begin)) {
      rollback.run();
      throw outside(doing);
    }
    savepoint.run();
    try {
      const result = work();
      release.run();
      return result;
    } catch (error) {
      if (undone(rollbackTo)) {
        release.run();
        throw error;
      }
      // A full disk, and some other errors, have ended the whole of it.
      const more = "; SQLite has ended your transaction, and nothing of it is stored";
      throw failure(error, doing, { retryable: false, more });
    }
  }

  function attempt<T>(start: Statement<never>, work: () => T): T {
    // Fails where the application has a transaction open, which is then left as it is.
    start.run();
    try {
      const result = work();
      commit.run();
      return result;
    } catch (error) {
      undone(rollback);
      throw error;
    }
  }

  async function transact<T>(start: Statement<never>, doing: Doing, work: () => T): Promise<T> {
    if (isInside) {
      try {
        return attemptInside(doing, work);
      } catch (cause) {
        throw failure(cause, doing, { retryable: false });
      }
    }
    const begun = performance.now();
    for (;;) {
      if (!isOpen) throw closed(doing);
      try {
        return attempt(start, work);
      } catch (cause) {
        const error = failure(cause, doing);
        if (error.code !== "STORAGE_LOCKED" || performance.now() - begun >= patienceMs) throw error;
      }
      // The handle's own `busy_timeout` has passed by now. Waiting here leaves the event loop free.
      await new Promise((resolve) => setTimeout(resolve, Math.random() * longestPauseMs));
    }
  }

  return {
    driver: driver.name,
    select: driver.select,
    prepare: driver.prepare,
    all: driver.all,
    read: (doing, work) => transact(begin, doing, work),

    async write(doing, work) {
      const result = await transact(beginWrite, doing, work);
      written();
      return result;
    },

    part(doing, work) {
      savepoint.run();
      try {
        const result = work();
        release.run();
        return { result };
      } catch (cause) {
        const error = failure(cause, doing);
        if (error.retryable) throw error;
        if (!undone(rollbackTo)) throw ended(doing, error);
        release.run();
        return { error };
      }
    },

    close() {
      isOpen = false;
    },
    open() {
      isOpen = true;
    },
  };
}

/** False where the handle is inside a transaction already. */
function begins(begin: Statement<never>): boolean {
  try {
    begin.run();
    return true;
  } catch (error) {
    if (isInTransaction(error)) return false;
    throw error;
  }
}

function outside({ operation, sessionId }: Doing): WaymarkError {
  return new StorageError(
    "STORAGE_FAILED",
    `${operation}: the handle has no transaction open, which \`transaction: true\` is for; nothing was written`,
    { operation, sessionId },
  );
}

/** False where there is nothing to undo: a full disk, and some other errors, end the transaction. */
function undone(rollback: Statement<never>): boolean {
  try {
    rollback.run();
    return true;
  } catch {
    return false;
  }
}

function ended(doing: Doing, cause: unknown): WaymarkError {
  const message = `${doing.operation}: SQLite ended the transaction; nothing of it was written`;
  return new StorageError("STORAGE_UNAVAILABLE", message, { ...doing, cause });
}

function closed({ operation, sessionId }: Doing): WaymarkError {
  return new WaymarkError(
    "CLOSED",
    `${operation}: the adapter does not hold its file; call \`initialize()\` first`,
    { operation, sessionId },
  );
}
