import fs from "node:fs";
import { join } from "node:path";
import type { Entry } from "../contract/row.js";
import { extendArchive, readArchive } from "./archive.js";
import type { Archive } from "./change.js";
import { listFolder, removeFile, syncFolder, unlessMissing } from "./disk.js";
import type { Doing } from "./failure.js";
import type { Entries, LogState } from "./log.js";
import { generationOf, newLogName } from "./names.js";
import { readAllRecords, readRecent } from "./recent.js";
import { appendChange, writeLog } from "./write.js";

const leastBytes = 524_288;
const basesKept = 16;

/**
 * Whether a new log is worth its few writes: this one is long beside its first record, which is about the row, or has what
 * must leave the disk.
 */
export function isLong(state: LogState): boolean {
  return state.holdsRemoved || state.size - state.base > Math.max(leastBytes, basesKept * state.base);
}

/**
 * Moves the messages of a log to their archives and goes on in a new log that begins with the row and the records. Cut short at any point,
 * the old log or the new one is there whole; the rest is never looked at. Null: another writer was faster.
 */
export async function rotate(state: LogState, doing: Doing): Promise<LogState | null> {
  const { folder, name } = state;
  const generation = (generationOf(name) ?? 0) + 1;
  const next = newLogName(generation);
  const base: Archive[] = [];
  for (const [log, entries] of state.logs) {
    const archive = await archived(state, log, entries, doing);
    if (archive !== null) base.push(archive);
  }
  const prepared = await writeLog(folder, `${next}.prep`, `${next}.log`, {
    base,
    cell: state.cell,
    records: readAllRecords(state, doing),
  });
  await syncFolder(folder);
  // Not made durable: the next log is before it is used, and the newest log that is found is the one that counts.
  const closed = appendChange(state, { next });
  if (closed === null) {
    removeFile(join(folder, `${next}.prep`));
    return null;
  }
  fs.closeSync(closed.file);
  if (!(await openNext(folder, next))) return null;
  removeFile(join(folder, name));
  for (const file of deadFiles(state, base)) removeFile(join(folder, file));
  removeLeftovers(folder, prepared.name, base);
  return prepared;
}

/** Gives a log its name that was closed for; false where it is not there, since another writer did it, or it was lost. */
export async function openNext(folder: string, next: string): Promise<boolean> {
  const moved = unlessMissing(() => {
    fs.renameSync(join(folder, `${next}.prep`), join(folder, `${next}.log`));
    return true;
  });
  if (moved !== true) return false;
  await syncFolder(folder);
  return true;
}

/** The archive with what is in the log. It is written anew where the order asks for it, or more is removed than is left. */
async function archived(
  state: LogState,
  log: string,
  { archive, recent }: Entries,
  doing: Doing,
): Promise<Archive | null> {
  const { folder } = state;
  const entries = readRecent(state, log, recent, doing);
  const [first] = entries;
  if (archive === null) return first === undefined ? null : extendArchive(folder, log, null, entries, doing);
  const isOrdered = first === undefined || first.sequence > archive.to;
  if (isOrdered && archive.floor - archive.from < archive.alive) {
    return first === undefined ? archive : extendArchive(folder, log, archive, entries, doing);
  }
  const all = new Map<number, Entry>();
  for (const entry of readArchive(folder, archive, 0, archive.to, doing)) all.set(entry.sequence, entry);
  for (const entry of entries) all.set(entry.sequence, entry);
  const sorted = [...all.values()].toSorted((a, b) => a.sequence - b.sequence);
  return sorted.length === 0 ? null : extendArchive(folder, log, null, sorted, doing);
}

/** Archives that the log named and the next one does not. */
function deadFiles({ logs, dead }: LogState, base: readonly Archive[]): string[] {
  const kept = new Set(base.map(({ file }) => file));
  const named = [...logs.values()].flatMap(({ archive }) => (archive === null ? [] : [archive.file]));
  return [...dead, ...named.filter((file) => !kept.has(file))];
}

const leftoverMs = 3_600_000;

/** What crashed writers prepared. Whoever may still be at work on it lost to this rotation, or began after it. */
function removeLeftovers(folder: string, live: string, base: readonly Archive[]): void {
  const kept = new Set([live, ...base.map(({ file }) => file)]);
  for (const name of listFolder(folder) ?? []) {
    if (kept.has(name)) continue;
    const found = fs.lstatSync(join(folder, name), { throwIfNoEntry: false });
    if (found !== undefined && Date.now() - found.mtimeMs > leftoverMs) removeFile(join(folder, name));
  }
}
