import fs from "node:fs";
import { join } from "node:path";
import { StorageError, WaymarkError } from "../errors.js";
import type { Change } from "./change.js";
import { makeFolder, unlessMissing } from "./disk.js";
import { type Doing, failure } from "./failure.js";
import { takeLock } from "./lock.js";
import { type LogState, findLog, readLog } from "./log.js";
import { isLong, openNext, rotate } from "./rotate.js";
import {
  type Unsettled,
  appendChange,
  clearFolder,
  createLog,
  removeLog,
  settle,
  unsettled,
} from "./write.js";

type OfSession = Doing & { readonly sessionId: string };

/** What a call makes of a session: an answer and, where something is to be stored, the record that says it. */
export interface Decision<T> {
  readonly answer: T;
  readonly change?: Change;
  /** What was removed, now or before, must leave the disk before the answer. */
  readonly rewrite?: boolean;
}

/** The sessions of a folder, or the scopes of records that belong to no session, each with a folder of its own. */
export interface Store {
  readonly directory: string;
  /** Makes the folder where it is not there yet. */
  start(doing: Doing): Promise<void>;
  /**
   * Reads what is stored of a session, without its lock: whatever is there is whole. `read` is run again where files were
   * replaced under it (`ENOENT`), and must do nothing but read. Null: certainly nothing is stored.
   */
  read<T>(doing: OfSession, read: (state: LogState | null) => T): T;
  /** Decides on what is stored and stores the decision, under the lock; decides again where another writer was faster. */
  write<T>(doing: OfSession, decide: (state: LogState | null) => Decision<T>): Promise<T>;
  /** Runs a call that is about more than one session. */
  guard<T>(doing: Doing, call: () => Promise<T>): Promise<T>;
  folderOf(id: string): string;
  /** Waits for the writes that have begun, and refuses further calls until `start`. */
  close(): Promise<void>;
}

export interface StoreOptions {
  readonly directory: string;
  readonly lockTimeoutMs: number;
  /** The name of the folder for an id; no two ids have one. */
  readonly nameOf: (id: string) => string;
}

const statesHeld = 500;
const mostAttempts = 100;

export function createStore({ directory, lockTimeoutMs, nameOf }: StoreOptions): Store {
  const held = new Map<string, LogState>();
  const queues = new Map<string, Promise<unknown>>();
  const lockedAt = new Map<string, number>();
  /** Sessions whose log could not be made durable: the next write makes a new one. */
  const doubtful = new Set<string>();
  let mode: "new" | "open" | "closed" = "new";

  const folderOf = (id: string): string => join(directory, nameOf(id));

  function open(): void {
    makeFolder(directory, { parents: true });
    fs.accessSync(directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
    mode = "open";
  }

  function checkOpen({ operation, sessionId }: Doing): void {
    if (mode === "open") return;
    if (mode === "new") return open();
    throw new WaymarkError("CLOSED", `${operation}: the file store was disconnected`, {
      operation,
      sessionId,
    });
  }

  function hold(id: string, state: LogState): void {
    held.delete(id);
    held.set(id, state);
    if (held.size <= statesHeld) return;
    for (const oldest of held.keys()) return void held.delete(oldest);
  }

  /** What the live log says: from memory where the file has not changed since. */
  function look(doing: OfSession): LogState | null {
    const { sessionId } = doing;
    const known = held.get(sessionId);
    if (known !== undefined && known.next === null && isUnchanged(known)) return known;
    held.delete(sessionId);
    const folder = folderOf(sessionId);
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      const name = findLog(folder);
      if (name === null) {
        if (fs.existsSync(directory)) return null;
        throw Object.assign(new Error("the folder of the store is gone"), { code: "ENOENT" });
      }
      const state = readLog(folder, name, doing);
      if (state === null) continue;
      hold(sessionId, state);
      return state;
    }
    throw restless(doing);
  }

  function isUnchanged({ folder, name, size }: LogState): boolean {
    const found = fs.lstatSync(join(folder, name), { throwIfNoEntry: false });
    return found !== undefined && found.size === size && found.isFile();
  }

  function read<T>(doing: OfSession, use: (state: LogState | null) => T): T {
    try {
      checkOpen(doing);
      for (let attempt = 1; attempt <= mostAttempts; attempt++) {
        const state = look(doing);
        const result = unlessMissing(() => ({ value: use(state === null || state.gone ? null : state) }));
        if (result !== null) return result.value;
        held.delete(doing.sessionId);
      }
      throw restless(doing);
    } catch (error) {
      throw failure(error, directory, doing);
    }
  }

  async function write<T>(doing: OfSession, decide: (state: LogState | null) => Decision<T>): Promise<T> {
    const { sessionId } = doing;
    const since = performance.now();
    const before = queues.get(sessionId);
    const turn = (async () => {
      if (before !== undefined) await before.catch(() => {});
      try {
        checkOpen(doing);
        const { answer, rest } = await locked(doing, since, () => attempts(doing, decide));
        // The lock is free again: who comes next may go on from a record that is not durable yet, since a later one
        // of the same file cannot become durable without it.
        if (rest !== null) await makeDurable(sessionId, rest);
        return answer;
      } catch (error) {
        throw failure(error, directory, doing);
      }
    })();
    queues.set(sessionId, turn);
    try {
      return await turn;
    } finally {
      if (queues.get(sessionId) === turn) {
        queues.delete(sessionId);
        lockedAt.delete(sessionId);
      }
    }
  }

  async function locked<T>(doing: OfSession, since: number, run: () => Promise<T>): Promise<T> {
    const { sessionId } = doing;
    const path = `${folderOf(sessionId)}.lock`;
    // Those who wait in line here count their patience from the last time that the line moved.
    const waitsSince = Math.max(since, lockedAt.get(sessionId) ?? 0);
    const release = await takeLock(path, { timeoutMs: lockTimeoutMs, since: waitsSince }, doing);
    try {
      return await run();
    } finally {
      lockedAt.set(sessionId, performance.now());
      release();
    }
  }

  /** Stores a decision; `rest` is what is still to be made durable before the answer. */
  async function attempts<T>(
    doing: OfSession,
    decide: (state: LogState | null) => Decision<T>,
  ): Promise<{ readonly answer: T; readonly rest: Unsettled | null }> {
    for (let attempt = 1; attempt <= mostAttempts; attempt++) {
      // Held in memory, it is taken on trust at first: a record can only be appended where it is right.
      const isTrusted = attempt === 1;
      const state = await current(doing, isTrusted);
      if (state === "again") continue;
      const decided = unlessMissing(() => decide(state));
      if (decided !== null) {
        const { answer, change, rewrite = false } = decided;
        const isRight = change !== undefined || !isTrusted || state === null || isUnchanged(state);
        const stored = isRight ? await store(doing, state, change, rewrite) : "again";
        if (stored !== "again") return { answer, rest: stored };
      }
      held.delete(doing.sessionId);
    }
    throw restless(doing);
  }

  /** The state that a writer may go on from, after what others left unfinished. */
  async function current(doing: OfSession, isTrusted: boolean): Promise<LogState | null | "again"> {
    const { sessionId } = doing;
    const state = (isTrusted ? held.get(sessionId) : undefined) ?? look(doing);
    if (state === null) return null;
    if (state.gone) {
      await removeLog(directory, state);
      held.delete(sessionId);
      return "again";
    }
    if (state.next !== null) {
      held.delete(sessionId);
      // Another writer may have opened it, and gone further; otherwise what was prepared is lost, and is made again.
      const isOpen = await openNext(state.folder, state.next);
      if (!isOpen && findLog(state.folder) === state.name) await renew(doing, state);
      return "again";
    }
    if (doubtful.has(sessionId)) {
      await renew(doing, state);
      return "again";
    }
    if (!isLong(state)) return state;
    try {
      await renew(doing, state);
      return "again";
    } catch {
      // Perhaps a record still finds the room that a new log does not; if not, that is what is thrown.
      const after = look(doing);
      return after === null || after.gone || after.next !== null ? "again" : after;
    }
  }

  async function store(
    doing: OfSession,
    state: LogState | null,
    change: Change | undefined,
    rewrite: boolean,
  ): Promise<Unsettled | null | "again"> {
    const { sessionId } = doing;
    if (state === null) {
      if (change === undefined) return null;
      const folder = folderOf(sessionId);
      clearFolder(folder);
      const created = await createLog(directory, folder, change);
      if (created === null) return "again";
      hold(sessionId, created);
      return null;
    }
    // An answer about what another process wrote is an acknowledgement too.
    const rest = change === undefined ? unsettled(state) : appendChange(state, change);
    if (change !== undefined && rest === null) return "again";
    hold(sessionId, state);
    if (state.gone && rest !== null) {
      await makeDurable(sessionId, rest);
      await removeLog(directory, state);
      held.delete(sessionId);
      return null;
    }
    if (!rewrite) return rest;
    if (rest !== null) await makeDurable(sessionId, rest);
    await renew(doing, state);
    return null;
  }

  /** Goes on in a new log, without what was removed. */
  async function renew(doing: OfSession, state: LogState): Promise<void> {
    const { sessionId } = doing;
    held.delete(sessionId);
    const next = await rotate(state, doing);
    if (next === null) return;
    doubtful.delete(sessionId);
    hold(sessionId, next);
  }

  async function makeDurable(sessionId: string, rest: Unsettled): Promise<void> {
    try {
      await settle(rest);
    } catch (error) {
      // It may never have reached the disk, and the system tells so only once: nothing must be built upon it.
      doubtful.add(sessionId);
      held.delete(sessionId);
      throw error;
    }
  }

  async function start(doing: Doing): Promise<void> {
    try {
      open();
    } catch (error) {
      throw failure(error, directory, doing);
    }
  }

  async function guard<T>(doing: Doing, call: () => Promise<T>): Promise<T> {
    try {
      checkOpen(doing);
      return await call();
    } catch (error) {
      throw failure(error, directory, doing);
    }
  }

  async function close(): Promise<void> {
    mode = "closed";
    await Promise.allSettled(queues.values());
    held.clear();
  }

  return { directory, start, read, write, guard, folderOf, close };
}

function restless({ operation, sessionId }: Doing): StorageError {
  return new StorageError(
    "STORAGE_LOCKED",
    `${operation}: other processes kept changing the session's files`,
    {
      operation,
      sessionId,
    },
  );
}
