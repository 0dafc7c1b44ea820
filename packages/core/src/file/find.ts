import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { checkId } from "../contract/id.js";
import type { Filter, Page, SessionRow } from "../contract/row.js";
import { ValidationError, isWaymarkError } from "../errors.js";
import { type Cell, parse, toRow } from "./change.js";
import { unlessMissing } from "./disk.js";
import { type Doing, failure } from "./failure.js";
import { findLog, peekRow } from "./log.js";
import { idOfFolder } from "./names.js";
import type { Store } from "./store.js";

const doing: Doing = { operation: "find" };
const foldersAtATime = 64;

/** Looks at the end of each session's log: the time grows with the number of sessions, not with their length. */
export async function findRows(
  store: Store,
  filter: Filter,
  { limit, cursor }: { limit: number; cursor?: string },
): Promise<Page<SessionRow>> {
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw invalid("`limit` must be 1 to 100");
  const after = cursor === undefined ? null : decodeCursor(cursor);
  let found: Cell[] = [];
  for await (const { id, folder } of sessionsIn(store)) {
    const cell = rowOf(store, id, folder);
    if (cell === null || !matches(cell, filter) || (after !== null && order(cell.row, after) <= 0)) continue;
    found.push(cell);
    // Only a page is kept in memory, and what may become of it.
    if (found.length > 10 * limit) found = firstOf(found, limit + 1);
  }
  const page = firstOf(found, limit + 1);
  const last = page[limit - 1];
  return {
    items: page.slice(0, limit).map(toRow),
    next: page.length > limit && last !== undefined ? encodeCursor(last.row) : null,
  };
}

/** Sessions whose files do not read back as they were written. */
export async function findDamaged(store: Store): Promise<{ sessionId: string; error: unknown }[]> {
  const found: { sessionId: string; error: unknown }[] = [];
  for await (const { id: sessionId } of sessionsIn(store)) {
    try {
      store.read({ operation: "findDamaged", sessionId }, () => {});
    } catch (error) {
      found.push({ sessionId, error });
    }
  }
  return found;
}

async function* sessionsIn({ directory }: Store): AsyncIterable<{ id: string; folder: string }> {
  let count = 0;
  for (const found of await readdir(directory, { withFileTypes: true })) {
    const { name } = found;
    const id = found.isDirectory() ? idOfFolder(name) : null;
    if (id === null) continue;
    yield { id, folder: join(directory, name) };
    // Other work has its turn in between.
    if (++count % foldersAtATime === 0) await breathe();
  }
}

function rowOf(store: Store, id: string, folder: string): Cell | null {
  try {
    const name = findLog(folder);
    if (name === null) return null;
    const peeked = unlessMissing(() => peekRow(join(folder, name), doing) ?? "unknown");
    if (peeked !== null && peeked !== "unknown") return peeked.row.id === id ? peeked : null;
    return store.read({ operation: "find", sessionId: id }, (state) => state?.cell ?? null);
  } catch (error) {
    if (isWaymarkError(error) && error.code === "STORAGE_DAMAGED") return null;
    throw failure(error, store.directory, { operation: "find", sessionId: id });
  }
}

function matches({ row }: Cell, filter: Filter): boolean {
  const { userId, agentName, status, updatedBefore, updatedAfter, expiresBefore, dirty } = filter;
  return (
    (userId === undefined || row.userId === userId) &&
    (agentName === undefined || row.agentName === agentName) &&
    (status === undefined ? row.status !== "deleting" : status.includes(row.status)) &&
    (updatedBefore === undefined || row.updatedAt < updatedBefore) &&
    (updatedAfter === undefined || row.updatedAt > updatedAfter) &&
    (expiresBefore === undefined || (row.expiresAt !== null && row.expiresAt < expiresBefore)) &&
    (dirty === undefined || row.dirty === dirty)
  );
}

interface Position {
  readonly createdAt: number;
  readonly id: string;
}

function order(a: Position, b: Position): number {
  return b.createdAt - a.createdAt || Buffer.compare(Buffer.from(a.id), Buffer.from(b.id));
}

function firstOf(cells: readonly Cell[], count: number): Cell[] {
  return cells.toSorted((a, b) => order(a.row, b.row)).slice(0, count);
}

function encodeCursor({ createdAt, id }: Position): string {
  return Buffer.from(JSON.stringify([createdAt, id])).toString("base64url");
}

function decodeCursor(cursor: string): Position {
  const value = parse(Buffer.from(cursor, "base64url").toString("utf8"));
  if (!Array.isArray(value) || value.length !== 2) throw invalid("the cursor is not one that `find` gave");
  const [createdAt, id]: readonly unknown[] = value;
  if (!Number.isSafeInteger(createdAt) || typeof createdAt !== "number") {
    throw invalid("the cursor is not one that `find` gave");
  }
  checkCursorId(id);
  return { createdAt, id };
}

function checkCursorId(id: unknown): asserts id is string {
  try {
    checkId(id, "find");
  } catch {
    throw invalid("the cursor is not one that `find` gave");
  }
}

function invalid(problem: string): ValidationError {
  return new ValidationError("INVALID_ARGUMENT", `find: ${problem}`, doing);
}
