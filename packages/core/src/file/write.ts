import fs from "node:fs";
import { join } from "node:path";
import { type Change, encodeChange } from "./change.js";
import {
  append,
  codeOf,
  forAppending,
  forCreating,
  listFolder,
  makeFolder,
  removeEmptyFolder,
  removeFile,
  sizeOf,
  syncFile,
  syncFolder,
  unlessMissing,
  withFile,
} from "./disk.js";
import { encodeFrame, fileHeader } from "./frame.js";
import { type LogState, absorb, emptyState } from "./log.js";
import { newLogName, uniqueName } from "./names.js";

/**
 * Appends a record. What it returns goes to `settle`. Null: the log is not what `state`
 * says, so the record was not written, or is void.
 */
export function appendChange(state: LogState, change: Change): Unsettled | null {
  const at = state.size;
  const frame = encodeFrame(at, state.tip, encodeChange(change, state.rowAt));
  const end = at + frame.length;
  const file = unlessMissing(() => fs.openSync(join(state.folder, state.name), forAppending));
  if (file === null) return null;
  let counts = false;
  try {
    if (sizeOf(file) === at) {
      append(file, frame);
      counts = sizeOf(file) === end;
    }
  } finally {
    if (!counts) fs.closeSync(file);
  }
  if (!counts) return null;
  absorb(state, change, { at, end });
  return { file, state, end };
}

/** A log to be made durable up to where it ended when its file was opened. */
export interface Unsettled {
  readonly file: number;
  readonly state: LogState;
  readonly end: number;
}

/** What another process wrote, and may not have made durable yet. Null: nothing, or the log is there no more. */
export function unsettled(state: LogState): Unsettled | null {
  if (state.durable >= state.tip) return null;
  const file = unlessMissing(() => fs.openSync(join(state.folder, state.name), forAppending));
  return file === null ? null : { file, state, end: state.tip };
}

/** Makes it durable. */
export async function settle({ file, state, end }: Unsettled): Promise<void> {
  try {
    await syncFile(file);
    state.durable = Math.max(state.durable, end);
  } finally {
    fs.closeSync(file);
  }
}

/** Writes a log that has one record, under a name that no log has yet. */
export async function writeLog(
  folder: string,
  file: string,
  name: string,
  change: Change,
): Promise<LogState> {
  const state = emptyState(folder, name);
  const at = fileHeader.length;
  const frame = encodeFrame(at, at, encodeChange(change, -1));
  await withFile(join(folder, file), forCreating, async (handle) => {
    append(handle, Buffer.concat([fileHeader, frame]));
    await syncFile(handle);
  });
  const end = at + frame.length;
  absorb(state, change, { at, end });
  state.base = end;
  state.durable = end;
  return state;
}

/** Makes the folder of a new session, all at once. Null: there is one already. */
export async function createLog(directory: string, folder: string, change: Change): Promise<LogState | null> {
  const prepared = join(directory, `.${uniqueName()}.new`);
  const name = `${newLogName(1)}.log`;
  makeFolder(prepared);
  let state: LogState;
  try {
    state = await writeLog(prepared, name, name, { base: [], cell: null, ...change });
    await syncFolder(prepared);
    if (!moveFolder(prepared, folder)) {
      discard(prepared, name);
      return null;
    }
  } catch (error) {
    discard(prepared, name);
    throw error;
  }
  await syncFolder(directory);
  return { ...state, folder };
}

/**
 * Removes the files of a session of which nothing is left, the live log last: should this be cut short, the log still says
 * so. Only what was listed together with that log belongs to it; a new session may have taken the folder's name.
 */
export async function removeLog(directory: string, { folder, name }: LogState): Promise<void> {
  const names = listFolder(folder);
  if (names === null || !names.includes(name)) return;
  for (const other of names) if (other !== name) removeFile(join(folder, other));
  removeFile(join(folder, name));
  if (removeEmptyFolder(folder)) await syncFolder(directory);
}

/** Makes way for a new session where a removal was cut short: a folder without a log has nothing that lives. */
export function clearFolder(folder: string): void {
  const names = listFolder(folder) ?? [];
  if (names.some((name) => name.endsWith(".log"))) return;
  for (const name of names) removeFile(join(folder, name));
}

function discard(folder: string, name: string): void {
  removeFile(join(folder, name));
  removeEmptyFolder(folder);
}

function moveFolder(from: string, to: string): boolean {
  try {
    fs.renameSync(from, to);
    return true;
  } catch (error) {
    const code = codeOf(error);
    if (code === "ENOTEMPTY" || code === "EEXIST" || (code === "EPERM" && process.platform === "win32"))
      return false;
    throw error;
  }
}
