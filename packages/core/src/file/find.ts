import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate as breathe } from "node:timers/promises";
import { checkFind, compareFound, encodeCursor, matches } from "../contract/find.js";
import type { Filter, Page, SessionRow } from "../contract/row.js";
import { isWaymarkError } from "../errors.js";
import { type Cell, toRow } from "./change.js";
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
  page: { limit: number; cursor?: string },
): Promise<Page<SessionRow>> {
  const behind = checkFind(page);
  const { limit } = page;
  let found: Cell[] = [];
  const isWanted = (row: SessionRow) =>
    matches(row, filter) && (behind === null || compareFound(row, behind) > 0);
  for await (const { id, folder } of sessionsIn(store)) {
    const cell = rowOf(store, id, folder, isWanted);
    if (cell === null || !isWanted(cell.row)) continue;
    found.push(cell);
    // Only a page is kept in memory, and what may become of it.
    if (found.length > 10 * limit) found = firstOf(found, limit + 1);
  }
  const first = firstOf(found, limit + 1);
  const last = first[limit - 1];
  return {
    items: first.slice(0, limit).map(toRow),
    next: first.length > limit && last !== undefined ? encodeCursor(last.row) : null,
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

export async function* sessionsIn({ directory }: Store): AsyncIterable<{ id: string; folder: string }> {
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

function rowOf(
  store: Store,
  id: string,
  folder: string,
  isWanted: (row: SessionRow) => boolean,
): Cell | null {
  try {
    const name = findLog(folder);
    if (name === null) return null;
    const peeked = unlessMissing(() => peekRow(join(folder, name), isWanted, doing) ?? "unknown");
    if (peeked !== null && peeked !== "unknown") return peeked.row.id === id ? peeked : null;
    return store.read({ operation: "find", sessionId: id }, (state) => state?.cell ?? null);
  } catch (error) {
    if (isWaymarkError(error) && error.code === "STORAGE_DAMAGED") return null;
    throw failure(error, store.directory, { operation: "find", sessionId: id });
  }
}

function firstOf(cells: readonly Cell[], count: number): Cell[] {
  return cells.toSorted((a, b) => compareFound(a.row, b.row)).slice(0, count);
}
