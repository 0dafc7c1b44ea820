import { join } from "node:path";
import type { SessionRow } from "../contract/row.js";
import { StorageError } from "../errors.js";
import { type System, operationWindow, systemOf, withOperation } from "../turn/system.js";
import { type Archive, type Cell, type Change, type Drop, decodeChange } from "./change.js";
import { forReading, listFolder, readAt, sizeOf, unlessMissing, withFileSync } from "./disk.js";
import { type Doing, damaged } from "./failure.js";
import { decodeFrame, fileHeader, formatVersion, lastLine, nextLine } from "./frame.js";
import { generationOf } from "./names.js";

// A session's log, and why its lock is not what keeps it right
//
// A log only grows; nobody cuts it, overwrites it or renames another file over it. A record says at which offset its writer
// expected it to stand, that is, how much of the log its writer had read. Standing there, it counts: nothing came between
// what the writer knew and what it wrote. Standing anywhere else, another writer was faster, and it is void for every
// reader. So of two records made from the same past exactly the first counts, whoever held the lock. A writer that was
// paused, lost its lock and wakes up sees before it answers that the file did not have the size that it expected, or that it
// does not end where its own record should; it reads what happened and decides again. What it holds in memory is trusted
// only while the log has the size at which it was read. A torn record is skipped in the same way: the next writer knows the
// whole size, and its record also names the end of the last one that counts. Where a reader cannot find that one, a record
// in the middle is damaged.
//
// A log that grew long is closed by a record that names the next one, which was written and made durable before under a
// name never used before or again. That record counts or is void like any other: whoever made it, there is one next log,
// and what came after the closing is void. The old log is removed only then. The same holds for the end of a session: a
// last record says that nothing is left, then its files are removed, each by its unique name. A new session arrives as a
// whole folder, renamed to where no folder is, or an empty one: the file system lets only one through. So a writer that
// wakes up late can remove nothing but what is dead, and add nothing but what is void.

/** Where in a log an entry stands: a record of the log, from `at` to `end`. */
export interface Place {
  readonly at: number;
  readonly end: number;
}

/** Messages of one log (a life of the session, or its route history). */
export interface Entries {
  archive: Archive | null;
  /** Those in the session's log: newer than the archive's, with rare exceptions, which then count. */
  readonly recent: Map<number, Place>;
}

/** A record, without its value: that is read from its place. */
export interface KeptRecord {
  readonly revision: string;
  readonly stamp: string;
  /** Only its stamp is left. */
  readonly isRemoved: boolean;
  readonly place: Place;
}

/** What a session's log says, as far as `size`. */
export interface LogState {
  readonly folder: string;
  /** File name of the log. */
  readonly name: string;
  /** End of the file when it was read or written last. */
  size: number;
  /** End of the last record that counts. */
  tip: number;
  /** How far it is known to this process to be durable. */
  durable: number;
  /** End of the first record. */
  base: number;
  cell: Cell | null;
  /** Where the record stands that has the row; -1 before there is one. */
  rowAt: number;
  readonly logs: Map<string, Entries>;
  /** By scope and key; no scope is empty. */
  readonly records: Map<string, Map<string, KeptRecord>>;
  /** Archives that this log gave up. */
  readonly dead: string[];
  /** It still has the text of removed messages, which has to leave the disk. */
  holdsRemoved: boolean;
  next: string | null;
  gone: boolean;
}

export function emptyState(folder: string, name: string): LogState {
  return {
    folder,
    name,
    size: 0,
    tip: 0,
    durable: 0,
    base: 0,
    cell: null,
    rowAt: -1,
    logs: new Map(),
    records: new Map(),
    dead: [],
    holdsRemoved: false,
    next: null,
    gone: false,
  };
}

/** Makes a record that counts part of what is known. */
export function absorb(state: LogState, change: Change, { at, end }: Place): void {
  for (const archive of change.base ?? []) state.logs.set(archive.log, { archive, recent: new Map() });
  if (change.cell !== undefined) {
    state.cell = change.cell;
    state.rowAt = at;
  }
  if (change.drop !== undefined) drop(state, change.drop);
  for (const { log, sequence } of change.entries ?? [])
    entriesOf(state, log).recent.set(sequence, { at, end });
  if (change.forget !== undefined) forget(state, change.forget);
  for (const { scope, key, value, revision, stamp } of change.records ?? []) {
    const kept = { revision, stamp, isRemoved: value === null, place: { at, end } };
    const inScope = state.records.get(scope);
    if (inScope === undefined) state.records.set(scope, new Map([[key, kept]]));
    else inScope.set(key, kept);
  }
  if (change.next !== undefined) state.next = change.next;
  if (change.gone === true) state.gone = true;
  state.tip = end;
  state.size = end;
}

function entriesOf(state: LogState, log: string): Entries {
  let entries = state.logs.get(log);
  if (entries === undefined) state.logs.set(log, (entries = { archive: null, recent: new Map() }));
  return entries;
}

function drop(state: LogState, { log, to, left }: Drop): void {
  const entries = state.logs.get(log);
  if (entries === undefined) return;
  if (to === null || left === 0) {
    if (entries.archive !== null) state.dead.push(entries.archive.file);
    entries.archive = null;
  } else if (entries.archive !== null) {
    entries.archive = { ...entries.archive, floor: Math.max(entries.archive.floor, to), alive: left };
  }
  for (const sequence of entries.recent.keys())
    if (to === null || sequence <= to) entries.recent.delete(sequence);
  if (entries.archive !== null || entries.recent.size > 0) return;
  state.logs.delete(log);
  state.holdsRemoved = true;
}

function forget(state: LogState, { scope, key }: NonNullable<Change["forget"]>): void {
  const inScope = state.records.get(scope);
  if (inScope === undefined) return;
  if (key === undefined) {
    state.records.delete(scope);
    state.holdsRemoved = true;
    return;
  }
  inScope.delete(key);
  if (inScope.size === 0) state.records.delete(scope);
}

/** The file name of a session's live log; null where it has none. */
export function findLog(folder: string): string | null {
  for (let again = false; ; again = true) {
    let newest: string | null = null;
    let highest = -1;
    for (const name of listFolder(folder) ?? []) {
      const generation = generationOf(name);
      if (generation === null || generation <= highest) continue;
      newest = name;
      highest = generation;
    }
    // One log may have been removed and the next one made while the folder was listed: an absence is looked at twice.
    if (newest !== null || again) return newest;
  }
}

/** Reads a whole log. Null: there is no such file any more. @throws `STORAGE_DAMAGED` */
export function readLog(folder: string, name: string, doing: Doing): LogState | null {
  const path = join(folder, name);
  const bytes = unlessMissing(() => withFileSync(path, forReading, (file) => readAt(file, 0, sizeOf(file))));
  if (bytes === null) return null;
  checkHeader(bytes, path, doing);
  const state = emptyState(folder, name);
  state.tip = fileHeader.length;
  for (let at = nextLine(bytes, fileHeader.length); at >= 0;) {
    const frame = decodeFrame(bytes, at, 0);
    if (frame === null || frame.at !== at) {
      at = nextLine(bytes, frame?.end ?? at + 1);
      continue;
    }
    if (frame.previous !== state.tip) throw damaged(path, state.tip, "a record is damaged", doing);
    const decoded = decodeChange(frame.json.toString());
    const change = decoded === null ? null : completed(decoded.change, state.cell);
    if (change === null) throw damaged(path, at, "a record is not of this format", doing);
    absorb(state, change, { at, end: frame.end });
    if (state.base === 0) state.base = frame.end;
    at = nextLine(bytes, frame.end);
  }
  // The first record was durable before the log had its name, so it cannot be torn.
  if (state.base === 0) throw damaged(path, fileHeader.length, "the first record is damaged", doing);
  checkOwner(state, path, doing);
  state.size = bytes.length;
  return state;
}

/** A record of a turn with all that its row has. Null: there is no row to go on from. */
function completed(change: Change, before: Cell | null): Change | null {
  const { cell, added } = change;
  if (added === undefined || cell == null) return change;
  if (before === null) return null;
  const system = withOperation(systemOf(before.row), added.operation);
  return system.count === added.count ? { ...change, cell: withSystem(cell, system) } : null;
}

function withSystem({ row, state }: Cell, system: System): Cell {
  return { row: { ...row, system }, state };
}

function checkHeader(bytes: Buffer, path: string, doing: Doing): void {
  if (bytes.subarray(0, fileHeader.length).equals(fileHeader) && bytes[fileHeader.length] === 10) return;
  const version = /^waymark-session (\d{1,6})\n/.exec(bytes.toString("latin1", 0, 32))?.[1];
  if (version !== undefined && Number(version) > formatVersion) {
    throw new StorageError(
      "STORAGE_FAILED",
      `${doing.operation}: ${path} has format ${version}, which a newer version of this package wrote; this one reads up to ${formatVersion}. Update it`,
      doing,
    );
  }
  throw damaged(path, 0, "the first line is damaged", doing);
}

/** A folder that was copied or renamed by hand must not show one session under the id of another. */
function checkOwner(state: LogState, path: string, doing: Doing): void {
  const id = state.cell?.row.id;
  if (id === undefined || doing.sessionId === undefined || id === doing.sessionId) return;
  throw damaged(path, state.rowAt, "the file belongs to another session", doing);
}

const peekBytes = 16_384;
/** Room for as many records of a common size as a row has operations. */
const peekBackBytes = 65_536;

/**
 * The row of a log from the end of the file alone. `undefined`: the end does not tell, the whole must be read. Of a row that
 * is not wanted, `system` may be missing.
 */
export function peekRow(
  path: string,
  isWanted: (row: SessionRow) => boolean,
  doing: Doing,
): Cell | null | undefined {
  return withFileSync(path, forReading, (file) => {
    checkHeader(readAt(file, 0, 32), path, doing);
    const size = sizeOf(file);
    const offset = Math.max(0, size - peekBytes);
    const bytes = readAt(file, offset, size - offset);
    const start = lastLine(bytes);
    if (start < 0) return undefined;
    // A record that stands where it was expected counts, whatever is before it.
    const last = recordAt(bytes, start, offset);
    if (last?.change.gone === true) return null;
    if (last === null || last.change.cell !== undefined) return wholeRow(file, last, isWanted);
    if (last.rowAt === null) return undefined;
    return last.rowAt < 0 ? null : wholeRow(file, readRecord(file, last.rowAt), isWanted);
  });
}

interface Found {
  readonly change: Change;
  readonly rowAt: number | null;
  readonly previous: number;
  readonly end: number;
}

function recordAt(bytes: Buffer, start: number, offset: number): Found | null {
  const frame = decodeFrame(bytes, start, offset);
  if (frame === null || frame.at !== offset + start) return null;
  const decoded = decodeChange(frame.json.toString());
  return decoded === null ? null : { ...decoded, previous: frame.previous, end: frame.end };
}

function readRecord(file: number, at: number): Found | null {
  for (let length = peekBytes; ; length *= 16) {
    const bytes = readAt(file, at, length);
    const found = recordAt(bytes, 0, at);
    if (found !== null || bytes.length < length) return found;
  }
}

/** The row of a record, with the operations that the records before it say. */
function wholeRow(
  file: number,
  record: Found | null,
  isWanted: (row: SessionRow) => boolean,
): Cell | null | undefined {
  if (record === null) return undefined;
  const { cell, added } = record.change;
  if (cell == null || added === undefined || !isWanted(cell.row)) return cell;
  const offset = Math.max(0, record.previous - peekBackBytes);
  const bytes = readAt(file, offset, record.previous - offset);
  const operations = [added.operation];
  for (let end = record.previous; operations.length < operationWindow;) {
    const start = lastLine(bytes.subarray(0, Math.max(0, end - offset)));
    const before = start < 0 ? null : recordAt(bytes, start, offset);
    if (before === null || before.end !== end) return undefined;
    end = before.previous;
    const { change } = before;
    if (change.added !== undefined) operations.unshift(change.added.operation);
    else if (change.cell === null) return undefined;
    else if (change.cell !== undefined)
      return withSystem(cell, operations.reduce(withOperation, systemOf(change.cell.row)));
  }
  return withSystem(cell, { pending: [], operations, count: added.count });
}
