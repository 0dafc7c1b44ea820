import { StorageError, ValidationError, WaymarkError, isWaymarkError } from "@waymark/core/adapter";
import fs from "node:fs/promises";
import { resolve } from "node:path";
import { codeOf, replaceFile, unlessMissing } from "./disk.js";
import type { FileKeeper, Source } from "./keeper.js";
import { type Lock, takeLock } from "./lock.js";

/** How long after a change the file is written, in milliseconds. Changes until then travel together. */
const delayMs = 1_000;
/** SQLite changes its counters in the header with every copy. */
const headerBytes = 100;

/** A file is kept once for all adapters on a handle. */
const shared = new WeakMap<object, { readonly path: string; readonly keeper: SharedKeeper }>();

/** Keeps a database of sql.js in a file: by a temporary file, made durable, that takes the file's name. */
export function keepFile(db: object, path: string, source: Source): FileKeeper {
  const known = shared.get(db) ?? { path: resolve(path), keeper: createKeeper(resolve(path), source) };
  if (known.path !== resolve(path))
    throw new ValidationError("INVALID_CONFIGURATION", "new SQLiteAdapter: one handle has one `file`", {
      operation: "new SQLiteAdapter",
    });
  shared.set(db, known);
  const { keeper } = known;
  let isOpen = false;
  return {
    async open() {
      if (isOpen) return;
      isOpen = true;
      await keeper.open().catch((error: unknown) => {
        isOpen = false;
        throw error;
      });
    },
    changed: () => keeper.changed(),
    flush: () => keeper.flush(),
    async close() {
      if (!isOpen) return;
      isOpen = false;
      await keeper.close();
    },
  };
}

/** Opened and closed as often as there are adapters. */
type SharedKeeper = FileKeeper;

function createKeeper(path: string, source: Source): SharedKeeper {
  let lock: Lock | null = null;
  let users = 0;
  /**
   * What `source.changes()` was when the file was last written; null where it has to be written in any case, undefined before
   * it was opened, when nothing was acknowledged either.
   */
  let written: number | null | undefined;
  let writing: Promise<void> | null = null;
  let turn: Promise<unknown> = Promise.resolve();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const isWritten = () => written === undefined || written === source.changes();

  async function write(): Promise<void> {
    if (lock === null) throw closed();
    await lock.check();
    const bytes = source.bytes();
    const changes = source.changes();
    await replaceFile(path, bytes);
    written = changes;
  }

  async function flush(): Promise<void> {
    stopTimer();
    // A write that is under way may have begun before the last change.
    await writing?.catch(() => {});
    while (!isWritten()) {
      writing ??= guarded("flush", write).finally(() => (writing = null));
      await writing;
    }
  }

  function changed(): void {
    if (timer !== undefined || lock === null) return;
    timer = setTimeout(() => {
      timer = undefined;
      // What cannot be written now is tried again, and `flush` tells of it.
      flush().catch(changed);
    }, delayMs);
    timer.unref();
  }

  function stopTimer(): void {
    clearTimeout(timer);
    timer = undefined;
  }

  async function take(): Promise<void> {
    const taken = await takeLock(path);
    try {
      const isThere = await isStored(path, source);
      written = isThere ? source.changes() : null;
      lock = taken;
    } catch (error) {
      await taken.release();
      throw error;
    }
  }

  async function giveUp(): Promise<void> {
    stopTimer();
    const held = lock;
    lock = null;
    await held?.release();
  }

  /** One after the other: who opens while another one closes finds the file free. */
  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = turn.then(work, work);
    turn = result.catch(() => {});
    return result;
  }

  return {
    open: () =>
      inTurn(async () => {
        if (users === 0) await guarded("initialize", take);
        users++;
      }),
    changed,
    flush,
    close: () =>
      inTurn(async () => {
        users--;
        try {
          await flush();
        } finally {
          if (users === 0) await guarded("disconnect", giveUp);
        }
      }),
  };
}

/**
 * Whether there is a file; it has to be what the database was loaded from. Otherwise another process has written it since,
 * and would lose that.
 */
async function isStored(path: string, source: Source): Promise<boolean> {
  const bytes = await unlessMissing(fs.readFile(path));
  if (bytes === null || bytes.length === 0) return false;
  const wal = await unlessMissing(fs.stat(`${path}-wal`));
  if (wal !== null && wal.size > 0)
    throw refused("another program has the file open, or did not close it: there is a `-wal` file beside it");
  const own = source.bytes();
  const isSame = bytes.length === own.length && bytes.subarray(headerBytes).equals(own.subarray(headerBytes));
  if (!isSame)
    throw refused(
      "the file is not what the database was loaded from; load it, then call `initialize()`, and change it after that",
    );
  return true;
}

function refused(why: string): StorageError {
  return new StorageError("STORAGE_FAILED", `initialize: ${why}`, { operation: "initialize" });
}

async function guarded<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    if (isWaymarkError(cause)) throw cause;
    const code = codeOf(cause);
    const isFull = code === "ENOSPC" || code === "EDQUOT";
    throw new StorageError(
      isFull ? "STORAGE_FULL" : "STORAGE_UNAVAILABLE",
      `${operation}: the file of the database could not be read or written [${code}]; it is as it was before`,
      { operation, cause },
    );
  }
}

function closed(): WaymarkError {
  return new WaymarkError("CLOSED", "flush: the adapter does not hold its file; call `initialize()` first", {
    operation: "flush",
  });
}
